"""Users that are kept out whatever the policy says."""

from collections.abc import Callable, Iterable
from typing import Protocol

from proxy.stores.blocks import Block


class Store(Protocol):
    """Where blocks outlive the process; each call raises `Fault` when it cannot be reached."""

    async def blocks(self) -> Iterable[Block]:
        """Give every block."""

    async def block(self, block: Block) -> None:
        """Keep a block in place of an earlier one of its user."""

    async def unblock(self, user: str) -> None:
        """Forget a block."""


class Blocks(dict[str, Block]):
    """The blocked users; every decision looks here, so they are all in memory. `clock` gives epoch milliseconds.

    Those are included whose time has passed since they were last asked for. It is a dictionary because to see that one is empty costs
    nothing, and mostly nobody is blocked.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock

    def __contains__(self, user: object) -> bool:
        """Whether this user is blocked now."""
        block = self.get(user)  # type: ignore[call-overload]  # whatever it is
        if block is None or block.until_s is None:
            return block is not None
        if block.until_s * 1000 <= self._clock():
            del self[block.user]
            return False
        return True

    def add(self, block: Block) -> None:
        """Block a user."""
        self[block.user] = block

    def remove(self, user: str) -> None:
        """Let a user in again."""
        self.pop(user, None)
