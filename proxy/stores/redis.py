"""What several replicas share through Redis: rate limits, blocks, and news of what has changed.

Redis is never waited for longer than `PATIENCE_S`; a call that fails raises `StoreFault`, and what that means is for the caller to say.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.errors import SetupFault, StoreFault
from proxy.policy.decision import Limit

PATIENCE_S: Final = 0.25
"""Seconds that a call may take, connecting included."""

CONNECTIONS: Final = 32

QUIET_S: Final = 2.0
"""Seconds without news after which it is found out whether Redis is still there."""

KEPT_S: Final = 86_400
"""Seconds that the estate of a lost replica is kept when nobody is left to take it over, and what was ordered meanwhile."""

AGAIN_S: Final = 0.5
"""Seconds until the next attempt to listen."""

PREFIX: Final = "centrigate:"
_NEWS: Final = PREFIX + "news"
_LOG: Final = logging.getLogger(__name__)
_Value = TypeVar("_Value")

# One number for each bucket, as in `stores.memory`: when it will be full again, in microseconds by Redis's own clock, so that the clocks of
# replicas do not matter. A full bucket is no key at all.
_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + token
if full - now > token * burst then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 1
"""


class Shared:
    """A connection to one Redis; nothing is connected before the first call. Raises `SetupFault` for an address that is none."""

    def __init__(self, url: str) -> None:
        try:
            pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
                url,
                socket_timeout=PATIENCE_S,
                socket_connect_timeout=PATIENCE_S,
                retry=Retry(NoBackoff(), 1),  # a connection that was closed while it rested is noticed by using it
                max_connections=CONNECTIONS,
                timeout=PATIENCE_S,
            )
        except ValueError:
            raise SetupFault("CENTRIGATE_REDIS_URL is no address of a Redis: write it like redis://127.0.0.1:6379/0") from None
        self.client = Redis(connection_pool=pool)
        # Its connections are never mended behind the listener's back, since what was told meanwhile is lost.
        self.listening = Redis.from_url(url, socket_connect_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0))
        self._take = self.client.register_script(_TAKE)

    async def ping(self) -> None:
        """Return when Redis answers; raises `StoreFault`."""
        await self.call(self.client.ping())

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose(close_connection_pool=True)
        await self.listening.aclose()

    async def take(self, limit: Limit) -> bool:
        """Take a token of a limit that all replicas share; False when there is none; raises `StoreFault`."""
        key = PREFIX + "limit:" + orjson.dumps([limit.rule, *limit.key]).decode()
        token_us = max(limit.per_ms * 1000 // limit.rate, 1)
        return bool(await self.call(self._take(keys=[key], args=[token_us, limit.burst])))

    async def call(self, asked: Awaitable[_Value]) -> _Value:
        """Wait for an answer of Redis; raises `StoreFault`."""
        own = asyncio.current_task()
        before = own.cancelling() if own else 0
        try:
            async with asyncio.timeout(2 * PATIENCE_S):
                return await asked
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreFault(f"Redis: {type(error).__name__}") from None
        finally:
            # the client may swallow a cancellation that meets one of its own timeouts
            if own and own.cancelling() > before:
                raise asyncio.CancelledError


class Table:
    """A small table that all replicas share; every call raises `StoreFault`."""

    def __init__(self, shared: Shared, name: str) -> None:
        self._shared = shared
        self._name = PREFIX + name

    async def items(self) -> Mapping[str, bytes]:
        """Give everything in it."""
        found: Mapping[Any, Any] = await self._shared.call(self._shared.client.hgetall(self._name))
        return {key.decode(): value for key, value in found.items()}

    async def put(self, key: str, value: bytes) -> None:
        """Put a value in place of an earlier one."""
        await self._shared.call(self._shared.client.hset(self._name, key, value))

    async def drop(self, key: str) -> None:
        """Take a value out, if it is there."""
        await self._shared.call(self._shared.client.hdel(self._name, key))


class Recent:
    """What replicas ordered within `KEPT_S`, for those who take over what they could not hear of; every call raises `StoreFault`."""

    def __init__(self, shared: Shared, name: str) -> None:
        self._shared = shared
        self._name = PREFIX + name

    async def note(self, message: Mapping[str, object], now_s: float) -> None:
        """Keep an order, and forget old ones."""
        pipeline: Any = self._shared.client.pipeline(transaction=False)
        pipeline.zadd(self._name, {orjson.dumps(message): now_s}).zremrangebyscore(self._name, 0, now_s - KEPT_S)
        await self._shared.call(pipeline.expire(self._name, KEPT_S).execute())

    async def all(self, now_s: float) -> Sequence[Mapping[str, Any]]:
        """Give them, the oldest first."""
        out: list[Mapping[str, Any]] = []
        found: Iterable[Any] = await self._shared.call(self._shared.client.zrangebyscore(self._name, now_s - KEPT_S, "+inf"))
        for each in found:
            with suppress(orjson.JSONDecodeError):
                message = orjson.loads(each)
                out += [message] if isinstance(message, dict) else []
        return out


class News:
    """What one replica tells the others; each gets what was told while it listened, its own news too.

    What is told while nobody can hear it is lost: `gap` is called when listening begins and whenever it begins again, so that the hearer
    does what news it may have missed would have asked of it. `hear` takes each message; neither may raise or wait.
    """

    def __init__(self, shared: Shared, hear: Callable[[Mapping[str, Any]], None], gap: Callable[[], None]) -> None:
        self._shared = shared
        self._hear = hear
        self._gap = gap

    async def tell(self, message: Mapping[str, object]) -> None:
        """Tell all replicas; raises `StoreFault`."""
        await self._shared.call(self._shared.client.publish(_NEWS, orjson.dumps(message)))

    async def run(self) -> None:
        """Listen, for ever."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                _LOG.warning("news of other replicas cannot be heard: Redis: %s", type(error).__name__)
            await asyncio.sleep(AGAIN_S)

    async def _listen(self) -> None:
        """Listen until the connection ends, which raises."""
        async with self._shared.listening.pubsub(ignore_subscribe_messages=True) as heard:
            async with asyncio.timeout(4 * PATIENCE_S):
                await heard.subscribe(_NEWS)
            self._gap()
            own, pinged = asyncio.current_task(), False
            # the client may swallow a cancellation that meets one of its own timeouts
            while not (own and own.cancelling()):
                found = await heard.get_message(timeout=QUIET_S)
                if found is not None:
                    pinged = False
                    with suppress(orjson.JSONDecodeError):
                        self._take(orjson.loads(found["data"]))
                elif pinged:
                    raise TimeoutError
                else:
                    pinged = True
                    await heard.ping()
            raise asyncio.CancelledError

    def _take(self, message: object) -> None:
        if isinstance(message, dict):
            self._hear(message)
