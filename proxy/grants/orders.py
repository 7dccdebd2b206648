"""What backends order about people and tokens, whatever the policy says of them."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from proxy.grants.blocks import Blocks, Store
from proxy.grants.endings import Endings
from proxy.grants.grant import Grant
from proxy.grants.registry import Registry
from proxy.stores.blocks import Block
from proxy.wire.connections import Connection

LISTED: Final = 10_000
"""Connections that are listed at most."""

USER: Final = "user:"
"""Begins the holder of all connections of a user, known here or not."""


class Orders:
    """Carries orders out at once on everything that is held; blocks stay for what is yet to come.

    `clock` gives epoch milliseconds; `token_ttl_s` is how long a connection token may be used, and so how long one that another process
    minted is to be reckoned with. A token that is not known here can be ended through a block of its user only.
    """

    def __init__(
        self, registry: Registry, endings: Endings, blocks: Blocks, store: Store, clock: Callable[[], int], token_ttl_s: int
    ) -> None:
        self._registry = registry
        self._endings = endings
        self._blocks = blocks
        self._store = store
        self._clock = clock
        self._token_ttl_s = token_ttl_s

    async def load(self) -> None:
        """Take over the blocks that are kept, and forget those that are kept no more; raises `Fault`."""
        kept = {block.user: block for block in await self._store.blocks()}
        for user in self._blocks.keys() - kept.keys():
            self.let_in(user)
        for user in kept.keys() - self._blocks.keys():
            self.keep_out(kept[user])

    async def block(self, user: str, until_s: int | None) -> None:
        """Keep a user out until then (epoch seconds, None: until it is taken back), and end all that the user has; raises `Fault`."""
        block = Block(user=user, since_s=self._clock() // 1000, until_s=until_s)
        self.keep_out(block)
        await self._store.block(block)

    def keep_out(self, block: Block) -> None:
        """Take over a block that is kept already."""
        self._blocks.add(block)
        if block.user not in self._blocks:
            return
        for grant in self._registry.of_user(block.user):
            if not grant.channel:
                self._endings.end(grant, self._clock())  # after the block, what is allowed anew lifts it
        usable_s = block.since_s + self._token_ttl_s
        if usable_s > self._clock() // 1000:
            self._end(_everything(block.user, self._clock(), usable_s))

    async def unblock(self, user: str) -> None:
        """Let a user in again, as far as the policy does; raises `Fault`."""
        await self._store.unblock(user)
        self.let_in(user)

    def let_in(self, user: str) -> None:
        """Forget a block that is not kept any more."""
        self._blocks.remove(user)
        self._endings.spare(_everything(user, 0, 0).key)

    def revoke(self, token: str) -> bool:
        """End what the token with this `jti` has given and may still give; False if it is not known here."""
        grant = self._registry.of_token(token)
        if grant is not None:
            self._end(grant)
        return grant is not None

    def outdate(self, user: str, before_ms: int, channel: str | None) -> None:
        """End what tokens of a user give that were minted before then (epoch milliseconds), on one channel or altogether."""
        for grant in self._registry.of_user(user):
            if grant.minted and grant.since_ms <= before_ms and channel in (None, grant.channel):
                self._end(grant)

    def connections(self, user: str | None) -> Sequence[Connection]:
        """Give the connections of a user, or of everybody: at most `LISTED`, and of tokens none, since they have no client."""
        grants = iter(self._registry) if user is None else self._registry.of_user(user)
        found = (grant for grant in grants if not grant.channel and not grant.minted)
        return [self._connection(grant) for grant in islice(found, LISTED)]

    def _connection(self, grant: Grant) -> Connection:
        channels = (other.channel for other in self._registry.of_holder(grant.user, grant.holder) if other.channel)
        return Connection(
            client=grant.holder,
            user=grant.user,
            transport=grant.transport or "",
            name=grant.more.name if grant.more else "",
            version=grant.more.version if grant.more else "",
            channels=tuple(sorted(channels)),
        )

    def _end(self, grant: Grant) -> None:
        self._endings.end(grant, self._clock(), final=True)


def _everything(user: str, now_ms: int, usable_s: int) -> Grant:
    return Grant(
        holder=USER + user,
        user=user,
        channel="",
        rule="",
        revision="",
        topics=(),
        end_s=usable_s,
        since_ms=now_ms,
        decided_ms=now_ms,
        usable_s=usable_s,
    )
