"""What repeated measurements say: a median, and how sure it is."""

import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

RESAMPLES: Final = 1000
CONTROL: Final = "the same again"
"""The name of the candidate that is the yardstick once more: it must read 1."""

STEADY: Final = 0.03
"""How far the control may be from 1, and half a gated interval wide, before nothing is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median with its 95 % confidence interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one process found: ratios to `yardstick`, those of `goals` to be judged; `amounts` and `notes` are only printed.

    `failures` are what must not happen on any machine, and has; they need no ratio.
    An amount's name ends with its unit; `slack` is how far the control may be from 1, and half a gated interval wide.
    """

    yardstick: str
    intervals: Mapping[str, Interval]
    goals: Mapping[str, float] = field(default_factory=dict)
    slack: float = STEADY
    amounts: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()

    @property
    def void(self) -> bool:
        """Whether the machine was too restless to say anything."""
        return void(self.intervals, self.goals, self.slack)


def interval(samples: Sequence[float]) -> Interval:
    """Bootstrap the interval; the same samples always give the same one."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(samples, k=len(samples))) for _ in range(RESAMPLES))
    return Interval(median=statistics.median(samples), low=medians[RESAMPLES // 40], high=medians[-RESAMPLES // 40])


def void(intervals: Mapping[str, Interval], gated: Collection[str], slack: float = STEADY) -> bool:
    """Whether the control is off by more than the slack, or a gated interval too wide."""
    widths = [(intervals[name].high - intervals[name].low) / 2 / intervals[name].median for name in gated]
    return abs(intervals[CONTROL].median - 1) > slack or any(width > slack for width in widths)
