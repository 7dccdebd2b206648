"""What repeated measurements say: a median, and how sure it is."""

import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

RESAMPLES: Final = 1000
CONTROL: Final = "echo again"
"""The name of the candidate that is the yardstick once more: it must read 1."""

_STEADY: Final = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median with its 95 % confidence interval."""

    median: float
    low: float
    high: float

    @property
    def steady(self) -> bool:
        """Whether half its width is at most 3 %."""
        return (self.high - self.low) / 2 <= _STEADY * self.median


def interval(samples: Sequence[float]) -> Interval:
    """Bootstrap the interval; the same samples always give the same one."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(samples, k=len(samples))) for _ in range(RESAMPLES))
    return Interval(median=statistics.median(samples), low=medians[RESAMPLES // 40], high=medians[-RESAMPLES // 40])


def void(intervals: Mapping[str, Interval], gated: Collection[str]) -> bool:
    """Whether the machine was too restless to say anything: the control is off by more than 3 %, or a gated interval is too wide."""
    return abs(intervals[CONTROL].median - 1) > _STEADY or not all(intervals[name].steady for name in gated)
