"""Orders about people, tokens and facts: carried out here, and, where several instances act as one, told to the others through Redis."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from proxy.engine import Engine
from proxy.errors import StoreFault
from proxy.grants.mirror import Mirror
from proxy.grants.orders import Orders
from proxy.grants.revocation import Revocation
from proxy.stores.blocks import Block
from proxy.stores.estates import Estates
from proxy.stores.redis import News, Recent, Shared, Table
from proxy.wire.connections import Connection

AGAIN_S: Final = 0.5
"""Seconds until the next attempt to read the blocks."""

_LOG: Final = logging.getLogger(__name__)


class Alone:
    """One instance without others."""

    works: Sequence[Callable[[], Awaitable[None]]] = ()
    mirror: Mirror | None = None

    def __init__(self, engine: Engine, orders: Orders, clock: Callable[[], int]) -> None:
        """`clock` gives epoch milliseconds."""
        self._engine = engine
        self._orders = orders
        self._clock = clock

    async def forget(self, topics: Collection[str]) -> int:
        """Drop the facts with these topics and give how many were cached here."""
        return self._engine.forget(topics)

    async def block(self, user: str, until_s: int | None) -> None:
        """Keep a user out until then (epoch seconds, None: until it is taken back); raises `StoreFault`."""
        await self._orders.block(user, until_s)

    async def unblock(self, user: str) -> None:
        """Let a user in again; raises `StoreFault`."""
        await self._orders.unblock(user)

    async def revoke(self, token: str) -> bool:
        """End what the token with this `jti` gives; False if it is not known."""
        return self._orders.revoke(token)

    async def outdate(self, user: str, before_s: int | None, channel: str | None) -> None:
        """End what tokens of a user give that were minted before then (None: now), on one channel or altogether."""
        self._orders.outdate(user, self._clock() if before_s is None else before_s * 1000, channel)

    def connections(self, user: str | None) -> Sequence[Connection]:
        """Give the connections of a user, or of everybody, that came through this instance."""
        return self._orders.connections(user)

    async def close(self) -> None:
        """Leave the grants to others, where there are any."""
        if self.mirror is not None:
            await self.mirror.close()


class Replicas(Alone):
    """One of several instances; every call that the others could not be told of raises `StoreFault`, and has been carried out here.

    After a gap in the news everything that they could have said counts as said: all facts are dropped, what rests on them is decided
    again, and the blocks are read again.
    """

    def __init__(self, shared: Shared, engine: Engine, orders: Orders, revocation: Revocation, clock: Callable[[], int]) -> None:
        super().__init__(engine, orders, clock)
        ask = revocation.redecision.ask
        self.mirror = mirror = Mirror(Estates(shared), revocation.registry, ask, self._recall, clock)
        self._withdrawn = Recent(shared, "withdrawn")
        self._name = secrets.token_hex(8)
        self._news = News(shared, self._hear, self._gap)
        self._stale = asyncio.Event()
        self.works = (self._news.run, self._reread, mirror.run)

    async def forget(self, topics: Collection[str]) -> int:
        """Drop the facts with these topics everywhere and give how many were cached here."""
        count = await super().forget(topics)
        await self._tell(topics=[*topics])
        return count

    async def block(self, user: str, until_s: int | None) -> None:
        """Keep a user out of all instances."""
        await super().block(user, until_s)
        await self._tell(blocks=True)

    async def unblock(self, user: str) -> None:
        """Let a user in again everywhere."""
        await super().unblock(user)
        await self._tell(blocks=True)

    async def revoke(self, token: str) -> bool:
        """End what a token gives, whichever instance minted it; True, since the others do not say whether they know it."""
        await super().revoke(token)
        await self._withdraw(revoke=token)
        return True

    async def outdate(self, user: str, before_s: int | None, channel: str | None) -> None:
        """End what tokens of a user give, whichever instance minted them."""
        before_ms = self._clock() if before_s is None else before_s * 1000
        self._orders.outdate(user, before_ms, channel)
        await self._withdraw(outdate=[user, before_ms, channel])

    async def _withdraw(self, **said: object) -> None:
        """Tell the others, and those who take over the grants of one that did not hear it."""
        await self._withdrawn.note(said, self._clock() / 1000)
        await self._tell(**said)

    async def _recall(self) -> None:
        for said in await self._withdrawn.all(self._clock() / 1000):
            self._hear(said)

    async def _tell(self, **said: object) -> None:
        await self._news.tell({"from": self._name, **said})

    def _hear(self, said: Mapping[str, Any]) -> None:
        if said.get("from") == self._name:
            return
        try:
            self._follow(said)
        except (TypeError, ValueError, AttributeError):
            _LOG.warning("another instance said what this one does not understand: is it of the same version?")

    def _follow(self, said: Mapping[str, Any]) -> None:
        if "topics" in said:
            self._engine.forget(map(str, said["topics"]))
        if "revoke" in said:
            self._orders.revoke(str(said["revoke"]))
        if "outdate" in said:
            user, before_ms, channel = said["outdate"]
            self._orders.outdate(user, int(before_ms), channel)
        if "blocks" in said:
            self._stale.set()

    def _gap(self) -> None:
        self._engine.doubt()
        self._stale.set()

    async def _reread(self) -> None:
        """Read the blocks again whenever they may have changed, for ever."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await self._orders.load()
            except StoreFault as fault:
                _LOG.warning("the blocked users cannot be read: %s", fault)
                self._stale.set()
                await asyncio.sleep(AGAIN_S)


class SharedBlocks:
    """The blocked users of all instances; every call raises `StoreFault`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._table = Table(shared, "blocks")

    async def blocks(self) -> Iterable[Block]:
        """Give every block."""
        found = ((user, *orjson.loads(value)) for user, value in (await self._table.items()).items())
        return [Block(user=user, since_s=since_s, until_s=until_s) for user, since_s, until_s in found]

    async def block(self, block: Block) -> None:
        """Keep a block in place of an earlier one of its user."""
        await self._table.put(block.user, orjson.dumps([block.since_s, block.until_s]))

    async def unblock(self, user: str) -> None:
        """Forget a block."""
        await self._table.drop(user)

    async def close(self) -> None:
        """Close the connections, also for those who share them."""
        await self._shared.close()
