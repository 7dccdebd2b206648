"""How soon a change of the data reaches clients: from `POST /api/invalidate` to the end of their subscriptions, through a real Centrifugo.

Of many live subscriptions some lose their right and all others stay. Where all of them lose it, the time is set beside that which
Centrifugo takes for as many `unsubscribe` commands, sent in batches by a loop that knows nothing else.
"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import uvloop

from bench import reconnect_crew as crew
from bench import reconnect_stage as stage
from bench.gateway import vacant
from bench.ratios import CONTROL, Findings, Interval
from proxy.delivery.http import Server
from proxy.wire.api import Command, Result

GOAL_S: Final = 1.0
SUBSCRIPTIONS: Final = 10
"""Of each client."""

BATCH: Final = 512
SLACK: Final = 0.3
_SERVICE_KEY: Final = "application-" * 3
_OPENING: Final = 64
_LIMIT: Final = 1 << 24
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many clients are there, and how often one subscription and how often some lose their right."""

    clients: int
    singles: int
    some: int
    groups: int


BIG: Final = Size(clients=1000, singles=40, some=100, groups=5)


class Crowd:
    """The load tool with all its clients, which tells when their subscriptions end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def answer(self) -> object:
        """Give what it prints next."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE_S):
            return json.loads(await self._process.stdout.readline())

    async def waits(self, ended: int, act: Callable[[], Awaitable[object]]) -> Sequence[float]:
        """Do something that ends so many subscriptions and give the seconds until each did; raises `AssertionError` for another number."""
        assert self._process.stdin is not None
        began = time.time_ns()
        await act()
        self._process.stdin.write(b"%d\n" % ended)
        found = await self.answer()
        assert isinstance(found, dict)
        waits = [(at - began) / 1e9 for at in found["at"]]
        assert len(waits) == ended, f"{len(waits)} subscriptions ended, {ended} should have"
        return waits


def findings(size: Size = BIG) -> Findings:
    """Measure what one, some and all subscriptions take."""
    return uvloop.run(_findings(size))


async def _findings(size: Size) -> Findings:
    stage.tool()
    stage.afford()
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), vacant()
        crew.database(folder, size.clients, SUBSCRIPTIONS)
        file = crew.listening(folder, size.clients, SUBSCRIPTIONS)
        more = {"CENTRIGATE_CENTRIFUGO_URL": f"http://127.0.0.1:{port}", "STORM_SERVICE_KEY": _SERVICE_KEY}
        async with stage.centrigate(folder, "revoked", more=more) as own, _application(own.url) as invalidate:
            bare = [await _bare(own.url, port, file, size) for _ in range(2)]
            async with _crowd(own.url, port, file) as crowd:
                found = await _revoked(crowd, folder / crew.DATABASE, invalidate, size)
    return _told(found, bare, size)


def _told(found: Sequence[Sequence[float]], loops: Sequence[float], size: Size) -> Findings:
    singles, some, every = found
    count, bare = size.clients * SUBSCRIPTIONS, statistics.mean(loops)
    names = (f"1 of {count:,}, the slowest 1 %", f"{size.some} of {count:,}, the slowest 1 %")
    tails = (_tail(singles), _tail(some))
    return Findings(
        yardstick="a second; of all, the time of a plain loop of batches",
        intervals={
            CONTROL: _sure(loops[1] / loops[0]),
            **{name: _sure(tail / GOAL_S) for name, tail in zip(names, tails, strict=True)},
            f"all {len(every):,}": _sure(max(every) / bare * count / len(every)),
        },
        goals=dict.fromkeys(names, 1.0),
        slack=SLACK,
        amounts={
            "1, p50 ms": statistics.median(singles) * 1000,
            f"{size.some}, p50 ms": statistics.median(some) * 1000,
            f"all {len(every):,}, p50 s": statistics.median(every),
            f"all {len(every):,}, s": max(every),
            f"all {len(every):,}, a second": len(every) / max(every),
            f"a plain loop, all {count:,}, a second": count / bare,
        },
    )


async def _revoked(crowd: Crowd, file: Path, invalidate: Callable[..., Awaitable[None]], size: Size) -> Sequence[Sequence[float]]:
    """Take memberships away: of one user at a time, of some in different documents, and all that are left."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        rows = database.execute("select doc_id, min(user_id) from doc_members group by doc_id order by doc_id").fetchall()
        singles: list[float] = []
        for number in range(size.singles):
            singles += await crowd.waits(1, _taken(database, rows[number : number + 1], invalidate))
        some: list[float] = []
        for number in range(size.groups):
            first = size.singles + number * size.some
            some += await crowd.waits(size.some, _taken(database, rows[first : first + size.some], invalidate))
        left = database.execute("delete from doc_members").rowcount
        return singles, some, await crowd.waits(left, lambda: invalidate("docs"))


def _taken(
    database: sqlite3.Connection, rows: Sequence[tuple[str, str]], invalidate: Callable[..., Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    database.executemany("delete from doc_members where doc_id = ? and user_id = ?", rows)
    return lambda: invalidate(*(f"doc:{doc}" for doc, _ in rows))


async def _bare(service: str, port: int, file: Path, size: Size) -> float:
    """The seconds until all clients have heard of commands that a loop sends to Centrifugo, batch after batch."""
    channels = [(number, doc) for number in range(size.clients) for doc in crew.docs(number, size.clients, SUBSCRIPTIONS)]
    commands = [Command(method="unsubscribe", params={"user": crew.uid(number), "channel": f"chat:doc-{doc}"}) for number, doc in channels]
    async with _crowd(service, port, file) as crowd:
        server = Server(f"http://127.0.0.1:{port}", stage.API_KEY)

        async def send() -> None:
            for first in range(0, len(commands), BATCH):
                assert all(isinstance(each, Result) for each in await server.send(commands[first : first + BATCH]))

        try:
            return max(await crowd.waits(len(commands), send))
        finally:
            await server.close()


@asynccontextmanager
async def _crowd(service: str, port: int, file: Path) -> AsyncIterator[Crowd]:
    """Start a Centrifugo and let all clients in; raises `AssertionError` if some are not served."""
    async with stage.centrifugo(service, port) as server:
        command = stage.loading("watch", server.url, file, _OPENING)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=_LIMIT)
        try:
            crowd = Crowd(process)
            report = await crowd.answer()
            assert isinstance(report, dict)
            assert report["served"] == report["clients"], report
            yield crowd
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _application(service: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Give what an application calls when its data has changed: with topics."""
    async with httpx.AsyncClient(base_url=service, trust_env=False, timeout=_PATIENCE_S, headers={"x-api-key": _SERVICE_KEY}) as client:

        async def invalidate(*topics: str) -> None:
            reply = await client.post("/api/invalidate", json={"topics": topics})
            assert "result" in reply.raise_for_status().json(), reply.text

        yield invalidate


def _tail(waits: Sequence[float]) -> float:
    return sorted(waits)[len(waits) * 99 // 100]


def _sure(value: float) -> Interval:
    return Interval(median=value, low=value, high=value)
