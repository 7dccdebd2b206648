"""Leaves the grants of this replica where others find them, and takes over those of a replica that was lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

import orjson
from pydantic import TypeAdapter, ValidationError

from proxy.errors import StoreFault
from proxy.grants.grant import Grant, Key
from proxy.grants.pause import pause
from proxy.grants.registry import Registry

BEAT_S: Final = 2.0
"""Seconds between two signs of life, and two looks for lost replicas."""

GATHER_S: Final = 0.02
"""Seconds in which changes gather, because writing a hundred costs little more than writing one."""

AGAIN_S: Final = 0.5
"""Seconds until the next attempt while the store is away."""

TOGETHER: Final = 500
"""Grants that are written at a time."""

SPARE: Final = 10_000
"""Grants that may have ended since the store is away, besides as many as there are, before all of them are written anew instead."""

_GRANT: Final = TypeAdapter(Grant)
_NEVER: Final = 1 << 53
"""What no time is."""
_LOG: Final = logging.getLogger(__name__)


class Estates(Protocol):
    """Where grants are left, those of all replicas; every call raises `StoreFault`."""

    async def live(self, *, anew: bool) -> bool:
        """Give a sign of life; True if what was left of this replica's is gone, as it is where it begins `anew`."""

    async def put(self, left: Mapping[bytes, bytes], gone: Collection[bytes]) -> None:
        """Leave these, and none of those that are gone."""

    async def lost(self) -> list[str]:
        """Give the replicas that are lost."""

    async def claim(self, name: str) -> bool:
        """Whether it is this replica that may take over a lost one now."""

    def pages(self, name: str) -> AsyncIterator[Mapping[bytes, bytes]]:
        """Read what a replica left."""

    async def bury(self, name: str) -> None:
        """Forget a lost replica."""

    async def leave(self) -> None:
        """Give no sign of life any more."""


class Mirror:
    """The grants of a registry as others find them, `backlog` of them not yet; `adopted` counts those that were taken over.

    What was lost with a replica is decided again by `ask`, since nobody watched it meanwhile; then `adopting` does what was ordered of it.
    `clock` gives epoch milliseconds.
    """

    def __init__(
        self,
        estates: Estates,
        registry: Registry,
        ask: Callable[[Iterable[Grant]], int],
        adopting: Callable[[], Awaitable[None]],
        clock: Callable[[], int],
    ) -> None:
        self.adopted = 0
        self._estates = estates
        self._registry = registry
        self._ask = ask
        self._adopting = adopting
        self._clock = clock
        self._changed: dict[Key, None] = {}
        self._anew = True
        self._due_s = 0.0
        self._wake = asyncio.Event()
        registry.changed = self._note

    @property
    def backlog(self) -> int:
        """How many grants are to be written."""
        return len(self._changed)

    async def run(self) -> None:
        """Write what changes and look after others, for ever."""
        loop = asyncio.get_running_loop()
        away, look_s = False, 0.0
        while True:
            try:
                await self._beat()
                await self._write()
                if loop.time() >= look_s:
                    await self._inherit()
                    look_s = loop.time() + BEAT_S
                away = False
            except StoreFault as fault:
                _LOG.log(logging.DEBUG if away else logging.WARNING, "grants are not mirrored: %s", fault)
                away = True
                await asyncio.sleep(AGAIN_S)
            if not self._changed:
                await pause(self._wake, BEAT_S)
            await asyncio.sleep(GATHER_S)

    async def close(self) -> None:
        """Write what is left to write, and let another replica take over at once."""
        with suppress(StoreFault):
            await self._write()
            await self._estates.leave()

    def _note(self, key: Key) -> None:
        """Hear that a grant was given, renewed or forgotten."""
        self._changed[key] = None
        if len(self._changed) > 2 * len(self._registry) + SPARE:
            self._changed.clear()
            self._anew = True
        self._wake.set()

    async def _beat(self) -> None:
        """Give a sign of life if it is time to, and write everything where nothing is left of it."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._due_s:
            return
        if await self._estates.live(anew=self._anew):
            self._anew = False
            self._changed.update(dict.fromkeys(grant.key for grant in self._registry))
        self._due_s = loop.time() + BEAT_S

    async def _write(self) -> None:
        """Write what has changed until now; what changes meanwhile waits for the next time."""
        for _ in range(-(-len(self._changed) // TOGETHER)):
            await self._beat()
            batch = list(islice(self._changed, TOGETHER))
            for key in batch:
                del self._changed[key]
            try:
                await self._put(batch)
            except BaseException:  # also when it is told to end, since `close` writes the rest
                self._changed.update(dict.fromkeys(batch))
                raise

    async def _put(self, keys: Iterable[Key]) -> None:
        texts = {orjson.dumps(key): _written(grant) if (grant := self._registry.get(key)) else None for key in keys}
        await self._estates.put({key: text for key, text in texts.items() if text}, [key for key, text in texts.items() if not text])

    async def _inherit(self) -> None:
        for name in await self._estates.lost():
            if await self._estates.claim(name):
                count, passed = self.adopted, 0
                async for page in self._estates.pages(name):
                    passed += len(page) - self._adopt(page)
                    await self._write()  # first it is mirrored here, then it is forgotten there
                    await self._beat()
                await self._adopting()
                await self._estates.bury(name)
                _LOG.info("took over %d grants of a lost instance, passed over %d", self.adopted - count, passed)

    def _adopt(self, page: Mapping[bytes, bytes]) -> int:
        """Hold what is not known here and has not ended, and have it decided again; gives the number."""
        now_s = self._clock() // 1000
        grants = [grant for grant in map(_read, page.values()) if grant and (grant.end_s is None or grant.end_s > now_s)]
        new = [grant for grant in grants if self._registry.get(grant.key) is None]
        self._registry.hold(new)
        self._ask(new)
        self.adopted += len(new)
        return len(new)


def _written(grant: Grant) -> bytes | None:
    """A grant as it is left; None for one that cannot be written, which no JSON could have brought."""
    with suppress(orjson.JSONEncodeError):
        return orjson.dumps(grant)
    return None


def _read(text: bytes) -> Grant | None:
    """The grant that was left; None for what another version may have left."""
    with suppress(ValidationError, orjson.JSONDecodeError):
        grant = _GRANT.validate_json(text)
        orjson.loads(grant.meta or "null")
        times = (grant.end_s, grant.since_ms, grant.decided_ms, grant.usable_s)
        if all(each is None or 0 <= each < _NEVER for each in times):
            return grant
    return None
