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


class Blocks:
    """The blocked users; every decision looks here, so they are all in memory. `clock` gives epoch milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._blocks: dict[object, Block] = {}

    def __contains__(self, user: object) -> bool:
        """Whether this user is blocked now."""
        block = self._blocks.get(user)
        if block is None or block.until_s is None:
            return block is not None
        if block.until_s * 1000 <= self._clock():
            del self._blocks[user]
            return False
        return True

    def __len__(self) -> int:
        """Give their number, those included whose time has passed since they were last asked for."""
        return len(self._blocks)

    def users(self) -> set[str]:
        """Give who is blocked, those included whose time has passed since they were last asked for."""
        return {block.user for block in self._blocks.values()}

    def add(self, block: Block) -> None:
        """Block a user."""
        self._blocks[block.user] = block

    def remove(self, user: str) -> None:
        """Let a user in again."""
        self._blocks.pop(user, None)
