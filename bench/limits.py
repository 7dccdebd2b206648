"""What it takes to count a rate limit: in memory in times of a dictionary that counts, in Redis in times of a round trip to it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Final

import uvloop

from bench import calls
from bench.calls import Candidate
from bench.ratios import CONTROL, Findings, Interval, interval
from proxy.policy.decision import Limit
from proxy.stores.memory import Buckets
from proxy.stores.redis import Shared
from tests.live.redis import redis

MEMORY_GOAL: Final = 4.5
REDIS_GOAL: Final = 2.0
USERS: Final = 256
ROUNDS: Final = 20
CALLS: Final = 512
"""Calls of a slice, of all callers together."""

CALLERS: Final = (1, 16)
_SLACK: Final = 0.2
_LIMITS: Final = [
    Limit(rule="chat/publish/editors", key=(f"user{number}", f"chat:doc-{number % 20}"), rate=10, per_ms=1000, burst=1_000_000_000)
    for number in range(USERS)
]


def memory() -> Findings:
    """Compare the buckets of one process with a dictionary that counts."""
    counts: dict[tuple[str, tuple[str, ...]], int] = {}

    def count(limit: Limit) -> bool:
        key = (limit.rule, limit.key)
        counts[key] = counts.get(key, 0) + 1
        return True

    inputs, taken = [(limit,) for limit in _LIMITS], [True] * USERS
    name = "a token bucket"
    buckets = Buckets(time.monotonic_ns)
    candidate = Candidate(name=name, call=buckets.take, inputs=inputs, expected=taken)
    found = calls.run(Candidate(name="a count", call=count, inputs=inputs, expected=taken), [candidate], {name: MEMORY_GOAL})
    assert len(buckets) == USERS
    return Findings(yardstick="a dictionary that counts", intervals=found, goals={name: MEMORY_GOAL})


def shared(rounds: int = ROUNDS) -> Findings:
    """Compare the buckets of several processes, in a Redis of their own, with reading one key there; by one client with many callers."""
    try:
        with redis() as server:
            return uvloop.run(_shared(server.url, rounds))
    except AssertionError as error:
        nothing = Interval(median=1, low=1, high=1)
        return Findings(yardstick="nothing", intervals={CONTROL: nothing}, notes=[f"left out: {error}"])


async def _shared(url: str, rounds: int) -> Findings:
    store = Shared(url)

    async def read(limit: Limit) -> None:
        await store.client.get(limit.key[0])

    async def take(limit: Limit) -> None:
        assert await store.take(limit)

    intervals: dict[str, Interval] = {}
    try:
        for callers in CALLERS:
            yards, takes = [await _slice(read, callers)], []
            for _ in range(rounds):
                takes.append(await _slice(take, callers))
                yards.append(await _slice(read, callers))
            if callers == 1:
                intervals[CONTROL] = interval([after / before for before, after in pairwise(yards)])
            ratios = [2 * spent / (before + after) for spent, (before, after) in zip(takes, pairwise(yards), strict=True)]
            intervals[f"a token of a shared bucket, {callers} caller{'s' * (callers > 1)}"] = interval(ratios)
    finally:
        await store.close()
    goals = {name: REDIS_GOAL for name in intervals if name != CONTROL}
    return Findings(yardstick="reading a key of the same Redis", intervals=intervals, goals=goals, slack=_SLACK)


async def _slice(call: Callable[[Limit], Awaitable[None]], callers: int) -> float:
    """The seconds that all calls take."""
    began = time.perf_counter()
    await asyncio.gather(*(_calls(call, number, callers) for number in range(callers)))
    return time.perf_counter() - began


async def _calls(call: Callable[[Limit], Awaitable[None]], first: int, callers: int) -> None:
    for number in range(first, CALLS, callers):
        await call(_LIMITS[number % USERS])
