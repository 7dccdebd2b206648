"""Publications in a Redis Stream that Centrifugo's consumer reads; what it has done with is trimmed here, since it deletes nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from proxy.errors import DeliveryFault
from proxy.stores.outbox import Draft, Numbers, Settlement, refuse
from proxy.stores.outbox_handed import METHOD, SETTING, Handed

TIMEOUT_S: Final = 3.0
"""Seconds that a call may take, connecting included."""
CONNECTIONS: Final = 3


class StreamOutbox(Handed):
    """The stream at `redis://…?stream=NAME&group=NAME`, which are one of `streams` and the `consumer_group` of the consumer."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        asked = parse_qs(parts.query)
        self._stream, self._group = asked["stream"][0], asked["group"][0]
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            urlunsplit(parts._replace(query="")),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS,
            timeout=TIMEOUT_S,
        )
        self._redis = Redis(connection_pool=pool)

    async def open(self) -> None:
        """Create the group if need be, from the first entry on: Centrifugo would begin behind the last; raises `SetupFault`."""
        try:
            async with self._answered():
                await self._join()
        except DeliveryFault as fault:
            refuse(f"cannot be opened, {fault}", SETTING)

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose(close_connection_pool=True)

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:  # noqa: ARG002 - none is settled here
        """Add the drafts, all or none; without any, set a key beside the stream, to see whether it can be."""
        async with self._answered(), self._redis.pipeline(transaction=True) as pipeline:
            for draft in drafts:
                _ = pipeline.xadd(self._stream, {"method": METHOD, "payload": draft.body})
            if not drafts:
                _ = pipeline.set(f"{self._stream}:probe", now_ms, ex=60)
            await pipeline.execute()
        return len(drafts)

    async def numbers(self) -> Numbers:
        """Count what Centrifugo has not taken or not done with, and trim what is before."""
        async with self._answered():
            groups = {each["name"].decode(): each for each in await self._redis.xinfo_groups(self._stream)}
            group: Mapping[str, Any] = groups[self._group]
            taken: Mapping[str, Any] = await self._redis.xpending(self._stream, self._group)
            first: bytes = taken["min"] or group["last-delivered-id"]
            await self._redis.xtrim(self._stream, minid=first, approximate=True)
            ahead: Any = await self._redis.xrange(self._stream, b"(" + group["last-delivered-id"], count=1)
            oldest = taken["min"] or (ahead[0][0] if ahead else None)
        waiting = taken["pending"] + (group["lag"] or 0)
        return Numbers(waiting=waiting, dead=0, oldest_ms=oldest and int(oldest.partition(b"-")[0]))

    async def _join(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield
        except (RedisError, OSError, TimeoutError, KeyError) as error:
            raise DeliveryFault(
                f"the stream cannot be used: {error if isinstance(error, ResponseError) else type(error).__name__}"
            ) from None
