"""Pairs slices of CPU time, so that what slows the machine down slows both sides of a ratio.

Slices alternate, yardstick candidate yardstick, in an order shuffled every round; a sample is the candidate's time divided by the mean
of its two neighbours.
"""

import gc
import random
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from bench.ratios import Interval, interval, void

COUNTS: Final = range(40, 161, 20)
"""How many rounds there are at least and at most, and after how many more it is asked whether they are enough."""


class Rig(Protocol):
    """What can be timed."""

    name: str

    async def slice(self) -> float:
        """Do the work of one slice and give its thread CPU time in nanoseconds."""


async def paired(yardstick: Rig, rigs: Sequence[Rig], gated: Collection[str]) -> Mapping[str, Interval]:
    """Measure warm rigs until the gated ratios and the control, which is among the rigs, are sure enough or the rounds are used up."""
    gc.collect()
    gc.freeze()
    samples: dict[str, list[float]] = {rig.name: [] for rig in rigs}
    intervals: dict[str, Interval] = {}
    done = 0
    for wanted in COUNTS:
        while done < wanted:
            await _round(yardstick, rigs, samples)
            done += 1
        intervals = {name: interval(ratios) for name, ratios in samples.items()}
        if not void(intervals, gated):
            break
    return intervals


async def _round(yardstick: Rig, rigs: Sequence[Rig], samples: Mapping[str, list[float]]) -> None:
    before = await yardstick.slice()
    for rig in random.sample(rigs, len(rigs)):
        spent = await rig.slice()
        after = await yardstick.slice()
        samples[rig.name].append(2 * spent / (before + after))
        before = after
