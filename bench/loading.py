"""Loading a policy of many channel blocks in a fresh process, against compiling Python that says the same by hand."""

import gc
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeVar

import psutil

from bench import byhand, sample
from bench.ratios import CONTROL, Findings, interval
from proxy.policy.load import load

FEW: Final = 200
MANY: Final = 2000
WARM_GOAL: Final = 3.2
COLD_GOAL: Final = 4.8
"""They stand for 0.5 s and 5 s on a core that compiles `FEW` blocks of Python in 0.104 s; the first load of all takes 0.17 s more."""

SOURCE: Final = "\n".join([inspect.getsource(byhand.Author)] * FEW)

T = TypeVar("T")

_ROUNDS: Final = 6
_SLACK: Final = 0.1
"""A load is too long for as many rounds as elsewhere."""

_MIB: Final = 1 << 20


def few() -> Findings:
    """Load as many blocks as a large policy has: once for the printed amounts, then some more times between compilations."""
    _, amounts = _cold(FEW)
    files = sample.files(FEW)
    yardstick, loads = [_compilation()], []
    for _ in range(_ROUNDS):
        loads.append(_timed(lambda: load(files))[1])
        yardstick.append(_compilation())
    ratios = [2 * spent / (before + after) for spent, (before, after) in zip(loads, pairwise(yardstick), strict=True)]
    return _findings(f"load {FEW:,} blocks, warm", ratios, WARM_GOAL, yardstick, amounts)


def many() -> Findings:
    """Load ten times as many, once."""
    spent, amounts = _cold(MANY)
    yardstick = [_compilation() for _ in range(_ROUNDS)]
    return _findings(f"load {MANY:,} blocks", [spent * FEW / MANY / each for each in yardstick], COLD_GOAL, yardstick, amounts)


def _cold(blocks: int) -> tuple[float, Mapping[str, float]]:
    """Load for the first time in this process; the seconds, and what is to be printed."""
    files = sample.files(blocks)
    empty = psutil.Process().memory_info().rss
    loaded, spent = _timed(lambda: load(files))
    gc.collect()
    held = psutil.Process().memory_info().rss - empty
    assert loaded.policy is not None
    gc.freeze()  # so that the collector does not walk through the policy while Python compiles
    _compilation()
    name = f"load {blocks:,} blocks"
    return spent, {f"{name}, s": spent, f"{name}, resident MiB": held / _MIB, "a block, KiB": held / blocks / 1024}


def _findings(name: str, ratios: Sequence[float], goal: float, yardstick: Sequence[float], amounts: Mapping[str, float]) -> Findings:
    control = [after / before for before, after in pairwise(yardstick)]
    return Findings(
        yardstick="compiling as many by hand in Python",
        intervals={CONTROL: interval(control), name: interval(ratios)},
        goals={name: goal},
        slack=_SLACK,
        amounts=amounts,
    )


def _compilation() -> float:
    return _timed(lambda: compile(SOURCE, "by hand", "exec"))[1]


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    began = time.thread_time()
    result = call()
    return result, time.thread_time() - began
