"""Storms of clients that come back through a real Centrifugo, all at once: what they cost, and whether a hook is lost.

Everything runs on one machine: Centrifugo, the backend of its hooks and the clients share its cores, so that storms are compared with
their neighbours only. Each meets a Centrifugo that has just started, with the configuration that is shipped. The service has its facts at
hand, as it has when Centrifugo alone was away; what it takes to find them first is told beside.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import uvloop

from bench import reconnect_crew as crew
from bench import reconnect_stage as stage
from bench.ratios import CONTROL, Findings, Interval, interval
from bench.reconnect_renewals import renewing
from bench.reconnect_stage import Backend, Storm

SLACK: Final = 0.3
TIME_GOAL: Final = 1.15
CPU_GOAL: Final = 1.4
REPEATED_GOAL: Final = 1.05
"""Hooks that are asked when all come at once, by those that are needed."""

SLOW_MS: Final = 50
SLOW_AT_ONCE: Final = 8
"""Facts that the service asks one application for at once."""

_RAW: Final = "a raw ASGI application"
_OWN: Final = "centrigate"
_GO: Final = "Go on one core"
_HOOKS: Final = "a hook for each subscription"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many clients come, how many of them open at once (0: all), and how often."""

    clients: int
    opening: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is compared: a backend and the clients that come."""

    name: str
    backend: Backend
    crew: Path


Storms = Mapping[str, Sequence[Storm]]
"""By the names of the sides; of the yardstick, which is the first, there is one before each of the others, and one at the end."""

MANY: Final = Size(clients=2000, opening=256, rounds=20)
ALL: Final = Size(clients=4000, opening=0, rounds=3)
WAYS: Final = Size(clients=2000, opening=256, rounds=3)
SLOW: Final = Size(clients=300, opening=0, rounds=1)


def many(size: Size = MANY) -> Findings:
    """Compare the service with backends that answer constants, where clients open in a row, so many at once."""
    return uvloop.run(_many(size))


async def _many(size: Size) -> Findings:
    cold, storms = await _beside_constants(size)
    goals = {f"{_OWN}, seconds": TIME_GOAL, f"{_OWN}, CPU": CPU_GOAL}
    found = _told(storms, goals, failures=[*_unserved(storms), *_lost(storms[_OWN])])
    return replace(found, notes=[*found.notes, f"{_OWN}, with no fact at hand: {cold.told()}"])


def crowd(size: Size = ALL) -> Findings:
    """Do the same where all clients open at once."""
    return uvloop.run(_crowd(size))


async def _crowd(size: Size) -> Findings:
    _, storms = await _beside_constants(size)
    needed = size.clients * (1 + crew.SUBSCRIPTIONS)
    repeated = {name: max(each.hooks for each in found) / needed for name, found in storms.items()}
    failures = [f"{_OWN}: {repeated[_OWN]:.2f} hooks asked for each that is needed"] if repeated[_OWN] > REPEATED_GOAL else []
    amounts = {f"{name}, hooks asked for each that is needed, at worst": ratio for name, ratio in repeated.items()}
    return replace(_told(storms, {}, failures=[*_unserved(storms), *failures]), amounts=amounts)


async def _beside_constants(size: Size) -> tuple[Storm, Storms]:
    """Give the storm in which the service looks for all facts, and those to be compared."""
    async with _scene(size) as (folder, crews, stack):
        raw, go = await stack.enter_async_context(stage.constant(_RAW)), await stack.enter_async_context(stage.go(_GO))
        own = await stack.enter_async_context(stage.centrigate(folder, "hooks"))
        cold = await stage.storm(own, crews["hooks"], opening=MANY.opening)
        sides = [Side(name=each.name, backend=each, crew=crews["hooks"]) for each in (raw, own, go)]
        return cold, await _turns(sides, size)


def ways(size: Size = WAYS) -> Findings:
    """Compare the ways in which clients get their subscriptions back."""
    return uvloop.run(_ways(size))


async def _ways(size: Size) -> Findings:
    async with _scene(size) as (folder, crews, stack):
        own = await stack.enter_async_context(stage.centrigate(folder, "hooks"))
        pushing = await stack.enter_async_context(stage.centrigate(folder, "pushed"))
        sides = [
            Side(name=_HOOKS, backend=own, crew=crews["hooks"]),
            Side(name="subscriptions in the reply to connect", backend=pushing, crew=crews["pushed"]),
            Side(name="tokens at hand", backend=own, crew=crews["tokens"]),
            Side(name="tokens asked for", backend=replace(own, asks=True), crew=crews["hooks"]),
        ]
        for side in sides:
            await stage.storm(side.backend, side.crew, opening=MANY.opening)
        storms = await _turns(sides, size)
    return _told(storms, {}, failures=_unserved(storms))


def slow(size: Size = SLOW) -> Findings:
    """Have all clients open at once where no fact is at hand and an application takes 50 ms for each; connections are renewed meanwhile."""
    return uvloop.run(_slow(size))


async def _slow(size: Size) -> Findings:
    async with _scene(size) as (folder, crews, stack):
        application = await stack.enter_async_context(stage.go("application", fact_ms=SLOW_MS))
        own = await stack.enter_async_context(stage.centrigate(folder, "slow", application.url))
        async with renewing(own) as renewals:
            storm = await stage.storm(own, crews["hooks"], opening=size.opening)
    least = size.clients * (1 + crew.SUBSCRIPTIONS) * SLOW_MS / 1000 / SLOW_AT_ONCE
    ratio = storm.seconds / least
    late = [f"{renewals.late} refresh hooks were answered too late"] if renewals.late else []
    ended = [f"{renewals.ended} connections were not prolonged"] if renewals.ended else []
    return Findings(
        yardstick="the time that the application takes for all facts, 8 at once",
        intervals={CONTROL: _sure(1), "until the last client is served": _sure(ratio)},
        notes=[storm.told(), renewals.told()],
        failures=[*_unserved({_OWN: [storm]}), *late, *ended],
    )


@asynccontextmanager
async def _scene(size: Size) -> AsyncIterator[tuple[Path, Mapping[str, Path], AsyncExitStack]]:
    """Give a folder with the data of all clients, their files, and a stack for what runs beside."""
    stage.tool()
    stage.afford()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crew.database(folder, size.clients)
        async with AsyncExitStack() as stack:
            yield folder, crew.write(folder, size.clients), stack


async def _turns(sides: Sequence[Side], size: Size) -> Storms:
    """Storm them in turn, the yardstick before and after each."""
    yardstick, *others = sides
    storms: dict[str, list[Storm]] = {side.name: [] for side in sides}
    for side in [*(each for _ in range(size.rounds) for other in others for each in (yardstick, other)), yardstick]:
        storms[side.name].append(await stage.storm(side.backend, side.crew, opening=size.opening))
    return storms


def _told(storms: Storms, goals: Mapping[str, float], failures: Sequence[str]) -> Findings:
    yardstick, *others = storms
    intervals = {CONTROL: interval([after.seconds / before.seconds for before, after in pairwise(storms[yardstick])])}
    measures: Mapping[str, Callable[[Storm], float]] = {"seconds": lambda storm: storm.seconds, "CPU": lambda storm: storm.cpu}
    for measure, of in measures.items():
        yards = [(of(before) + of(after)) / 2 for before, after in pairwise(storms[yardstick])]
        for at, name in enumerate(others):
            beside = zip(storms[name], yards[at :: len(others)], strict=True)
            intervals[f"{name}, {measure}"] = interval([of(storm) / yard for storm, yard in beside])
    notes = [f"{name}: {storm.told()}" for name, found in storms.items() for storm in found[-1:]]
    return Findings(yardstick=yardstick, intervals=intervals, goals=goals, slack=SLACK, notes=notes, failures=failures)


def _unserved(storms: Storms) -> list[str]:
    return [
        f"{name}: {storm.clients - storm.served:,} clients were not served"
        for name, found in storms.items()
        for storm in found
        if storm.served < storm.clients
    ]


def _lost(storms: Sequence[Storm]) -> list[str]:
    return [f"{_OWN}: {storm.lost:,} hooks were lost" for storm in storms if storm.lost]


def _sure(value: float) -> Interval:
    return Interval(median=value, low=value, high=value)
