"""Functions against a yardstick, in slices of thread CPU time: each is called with every input, some times over."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bench.ratios import CONTROL, Interval
from bench.rounds import paired

SLICE_NS: Final = 2_000_000
"""How long a slice takes at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A function and its inputs, each the arguments of one call; `expected` are its results, compared before anything is timed."""

    name: str
    call: Callable[..., object]
    inputs: Sequence[tuple[object, ...]]
    expected: Sequence[object]


class Rig:
    """One candidate; a slice passes over its inputs as often as fills the time."""

    def __init__(self, candidate: Candidate) -> None:
        self.name = candidate.name
        self._call, self._inputs = candidate.call, candidate.inputs
        results = [self._call(*each) for each in self._inputs]
        if results != list(candidate.expected):
            number = next(n for n, (found, wanted) in enumerate(zip(results, candidate.expected, strict=True)) if found != wanted)
            raise AssertionError(f"{self.name} answers input {number} with {results[number]!r}, not {candidate.expected[number]!r}")
        self._pass()
        self._passes = 1 + SLICE_NS // self._pass()

    async def slice(self) -> float:
        """Make the passes and give the thread CPU nanoseconds of one."""
        return sum(self._pass() for _ in range(self._passes)) / self._passes

    def _pass(self) -> int:
        call = self._call
        began = time.thread_time_ns()
        for each in self._inputs:
            call(*each)
        return time.thread_time_ns() - began


def run(yardstick: Candidate, candidates: Sequence[Candidate], goals: Mapping[str, float]) -> Mapping[str, Interval]:
    """Measure the candidates' times for one pass as ratios to the yardstick's; all have equally many inputs."""
    rigs = [Rig(each) for each in (replace(yardstick, name=CONTROL), *candidates)]
    return asyncio.run(paired(Rig(yardstick), rigs, goals))
