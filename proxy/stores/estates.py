"""What each of several replicas leaves behind in Redis, so that another can take it over when it is lost."""

import re
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final, cast

from proxy.stores.redis import KEPT_S, PREFIX, Shared

LIFE_S: Final = 6.0
"""Seconds that a sign of life counts: a replica that gives none for so long is lost."""

HEIR_S: Final = 30.0
"""Seconds that a replica has for taking over another, before a third one may begin."""

PAGE: Final = 500
"""Entries that are read at a time."""

_REPLICAS: Final = PREFIX + "replicas"
_NAME: Final = re.compile(r"[0-9a-f]{16}")

_LIVE: Final = """
local anew = redis.call('SADD', KEYS[1], ARGV[1]) + ARGV[2]
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
if anew > 0 then redis.call('UNLINK', KEYS[3]) end
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1 - redis.call('EXISTS', KEYS[3])
"""

_CLAIM: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""

_BURY: Final = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('UNLINK', KEYS[3])
return redis.call('DEL', KEYS[4])
"""


class Estates:
    """The estate of this replica, and those of others; every call raises `StoreFault`.

    Lives are measured by Redis's clock, so that those of replicas do not matter.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._own = secrets.token_hex(8)
        self._live = shared.client.register_script(_LIVE)
        self._claim = shared.client.register_script(_CLAIM)
        self._bury = shared.client.register_script(_BURY)

    async def live(self, *, anew: bool) -> bool:
        """Give a sign of life; True if the own estate is empty now: because it was to begin `anew`, is new, or was taken over.

        It is asked of the estate itself, since an answer may be lost and the call be repeated.
        """
        args: list[str | int] = [self._own, int(anew), int(LIFE_S * 1000), KEPT_S]
        return bool(await self._shared.call(self._live(keys=_keys(self._own)[:3], args=args)))

    async def put(self, left: Mapping[bytes, bytes], gone: Collection[bytes]) -> None:
        """Leave these entries, in place of earlier ones, and none of those that are gone."""
        name, pipeline = _keys(self._own)[2], cast("Any", self._shared.client.pipeline(transaction=False))
        if left:
            pipeline.hset(name, mapping=left)
        if gone:
            pipeline.hdel(name, *gone)
        await self._shared.call(pipeline.expire(name, KEPT_S).execute())

    async def lost(self) -> list[str]:
        """Give the replicas that are lost."""
        found: Collection[Any] = await self._shared.call(self._shared.client.smembers(_REPLICAS))
        names = sorted(name for each in found if _NAME.fullmatch(name := each.decode(errors="replace")) and name != self._own)
        signs = await self._shared.call(self._shared.client.mget([_keys(name)[1] for name in names])) if names else []
        return [name for name, sign in zip(names, signs, strict=True) if sign is None]

    async def claim(self, name: str) -> bool:
        """Whether it is this replica that may take over a lost one now."""
        args: list[str | int] = [self._own, int(HEIR_S * 1000)]
        return bool(await self._shared.call(self._claim(keys=_keys(name)[3:], args=args)))

    async def pages(self, name: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        """Read the estate of a replica."""
        cursor = -1
        while cursor:
            scanned: Any = self._shared.client.hscan(_keys(name)[2], cursor=max(cursor, 0), count=PAGE)
            cursor, page = await self._shared.call(scanned)
            yield page

    async def bury(self, name: str) -> None:
        """Forget a lost replica and what it left; one that has come back meanwhile is left alone."""
        await self._shared.call(self._bury(keys=_keys(name), args=[name]))

    async def leave(self) -> None:
        """Give no sign of life any more, so that another replica takes over at once."""
        await self._shared.call(self._shared.client.delete(_keys(self._own)[1]))


def _keys(name: str) -> list[str]:
    """Where Redis has all replicas, and of one of them its sign of life, its estate, and who takes it over."""
    return [_REPLICAS, f"{PREFIX}alive:{name}", f"{PREFIX}grants:{name}", f"{PREFIX}heir:{name}"]
