"""Loading a policy of many channel blocks in a fresh process, against compiling Python that says the same by hand."""

import gc
import inspect
import time
from collections.abc import Callable
from typing import Final, TypeVar

import psutil

from bench import byhand, sample
from bench.ratios import CONTROL, Findings, Interval
from proxy.policy.load import load

FEW: Final = 200
MANY: Final = 2000
FEW_GOAL: Final = 4.8
MANY_GOAL: Final = 3.2
"""They stand for 0.5 s and 5 s on a core that compiles as many blocks of Python in 0.104 s and 1.55 s."""

T = TypeVar("T")

_SLACK: Final = 0.1
"""There is but one sample a process, because only the first load of a process is cold."""


def few() -> Findings:
    """Load as many blocks as a large policy has."""
    return _findings(FEW, FEW_GOAL)


def many() -> Findings:
    """Load ten times as many."""
    return _findings(MANY, MANY_GOAL)


def _findings(blocks: int, goal: float) -> Findings:
    files = sample.files(blocks)
    source = "\n".join([inspect.getsource(byhand.Author)] * blocks)
    before = psutil.Process().memory_info().rss
    loaded, spent = _timed(lambda: load(files))
    gc.collect()
    held = psutil.Process().memory_info().rss - before
    assert loaded.policy is not None
    gc.freeze()  # so that the collector does not walk through the policy while Python compiles
    _, first, second = (_timed(lambda: compile(source, "by hand", "exec"))[1] for _ in range(3))
    name = f"load {blocks:,} blocks"
    yardstick = (first + second) / 2
    return Findings(
        yardstick="compiling the same by hand in Python",
        intervals={CONTROL: _single(second / first), name: _single(spent / yardstick)},
        goals={name: goal},
        slack=_SLACK,
        amounts={f"{name}, s": spent, f"{name}, resident MiB": held / (1 << 20), "a block, KiB": held / blocks / (1 << 10)},
    )


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    began = time.thread_time()
    result = call()
    return result, time.thread_time() - began


def _single(ratio: float) -> Interval:
    return Interval(median=ratio, low=ratio, high=ratio)
