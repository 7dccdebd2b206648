"""Keeping messages on disk: the outbox's group commit against a commit for each message, in SQLite with `synchronous = full`.

The yardstick is the driver alone, on the event loop, with one caller: a service could not do that, but nothing is faster. How much a
commit costs is up to the disk, so its own rate is told beside.
"""

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from typing import Final

import uvloop

from bench.gateway_load import DATA, Slice, Way
from bench.ratios import CONTROL, Findings, Interval, interval
from proxy.delivery.outbox import Outbox
from proxy.delivery.outbox_writer import Writer
from proxy.stores.outbox import Draft
from proxy.stores.outbox_sqlite import SqliteOutbox
from proxy.wire.api import Command, Outcome, Result
from proxy.wire.write import dump

ROUNDS: Final = 11
SECONDS: Final = 0.08
"""How long a slice lasts."""
CALLERS: Final = (1, 64, 512)
SLACK: Final = 0.3

_SYNCS: Final = 200
_BODY: Final = dump({"channel": "c1", "data": DATA})
_MOST: Final = 10_000_000


def findings() -> Findings:
    """Measure the commit of each message, the group commit, and the whole outbox with a Centrifugo that answers at once."""
    return uvloop.run(_findings())


async def _findings() -> Findings:
    # Not where a memory file system may be: it would have no disk to wait for.
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        disk = 1 / statistics.median(_syncs(Path(folder) / "sync"))
        async with _ways(Path(folder)) as (alone, each, group, whole):
            shots = [(alone, 1), (each, 64), *((group, callers) for callers in CALLERS), (whole, 64)]
            rounds = [await _round(shots) for _ in range(ROUNDS)]
    return _told(rounds, disk)


async def _round(shots: Sequence[tuple[Way, int]]) -> Mapping[str, Slice]:
    return {_name(way, callers): await way.slice(callers, SECONDS) for way, callers in shots}


def _told(rounds: Sequence[Mapping[str, Slice]], disk: float) -> Findings:
    yardstick, *candidates = rounds[0]

    def ratio(name: str, beside: str, of: Callable[[Slice], float]) -> Interval:
        return interval([of(each[name]) / of(each[beside]) for each in rounds])

    def took(found: Slice) -> float:
        return found.each_s

    intervals = {CONTROL: interval([after[yardstick].each_s / before[yardstick].each_s for before, after in pairwise(rounds)])}
    intervals |= {f"{name}, a message": ratio(name, yardstick, took) for name in candidates}
    single, many = "group commit, 1 caller", "group commit, 64 callers"
    intervals[f"{single}, p50"] = ratio(single, yardstick, lambda found: found.p50_s)
    beside = "a commit a message, 64 callers"
    intervals[f"{many} / {beside}"] = ratio(many, beside, took)
    intervals[f"the outbox, 64 callers / {beside}"] = ratio("the outbox, 64 callers", beside, took)
    goals = {f"{many} / {beside}": 0.1, f"{single}, p50": 2.5}
    notes = [f"{name}: {rounds[-1][name].told()}" for name in rounds[-1]]
    return Findings(
        yardstick=yardstick,
        intervals=intervals,
        goals=goals,
        slack=SLACK,
        amounts={"synchronisations of the disk a second": disk},
        notes=notes,
    )


def _name(way: Way, callers: int) -> str:
    return f"{way.name}, {callers} caller{'s' * (callers > 1)}"


@asynccontextmanager
async def _ways(folder: Path) -> AsyncIterator[tuple[Way, Way, Way, Way]]:
    with closing(_driver(folder / "driver.db")) as driver:
        single, grouped, whole = (SqliteOutbox(folder / f"{name}.db") for name in ("single", "grouped", "whole"))
        await single.open()
        await grouped.open()
        writer, outbox = Writer(grouped, _now, _MOST), Outbox(whole, Prompt(), _now, _MOST)
        writing = asyncio.create_task(writer.run())
        await outbox.start()
        yield (
            Way(name="a commit a message, the driver alone", send=_alone(driver)),
            Way(name="a commit a message", send=_drafts(lambda drafts: single.write(drafts, (), 0))),
            Way(name="group commit", send=_drafts(writer.add)),
            Way(name="the outbox", send=_accept(outbox), after=_emptied(outbox)),
        )
        await outbox.close()
        writer.end()
        await writing
        await single.close()
        await grouped.close()


class Prompt:
    """A Centrifugo that takes everything at once."""

    async def send(self, command: Command) -> Outcome:  # noqa: ARG002 - it takes any
        """Take it."""
        return Result(fields={})


def _driver(file: Path) -> sqlite3.Connection:
    driver = sqlite3.connect(file, isolation_level=None)
    for statement in ("pragma journal_mode = wal", "pragma synchronous = full", "create table messages (channel text, body blob)"):
        driver.execute(statement)
    return driver


def _alone(driver: sqlite3.Connection) -> Callable[[int], Awaitable[None]]:
    async def send(number: int) -> None:
        driver.execute("insert into messages values (?, ?)", (f"c{number}", _BODY))

    return send


def _drafts(write: Callable[[Sequence[Draft]], Awaitable[object]]) -> Callable[[int], Awaitable[None]]:
    async def send(number: int) -> None:
        await write([Draft(channel=f"c{number}", key=None, body=_BODY)])

    return send


def _accept(outbox: Outbox) -> Callable[[int], Awaitable[None]]:
    async def send(number: int) -> None:
        await outbox.accept([Command(method="publish", params={"channel": f"c{number}", "data": DATA})])

    return send


def _emptied(outbox: Outbox) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        while (await outbox.status())[0].waiting:  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.005)

    return wait


def _syncs(file: Path) -> list[float]:
    """Write a page of SQLite's again and again, and give the seconds that each synchronisation takes."""
    taken = []
    with file.open("wb", buffering=0) as opened:
        for _ in range(_SYNCS):
            opened.write(os.urandom(4096))
            began = time.perf_counter()
            os.fdatasync(opened)
            taken.append(time.perf_counter() - began)
    return taken


def _now() -> int:
    return time.time_ns() // 1_000_000
