"""Asks the solver."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import z3

from proxy.review.proving.trees import World

_READABLE: Final = z3.Loop(z3.Union(z3.Range("a", "z"), z3.Range("0", "9")), 1, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whether all can be so at once; `model` shows how, `why` says what kept the solver from an answer."""

    state: Literal["possible", "impossible", "open"]
    model: z3.ModelRef | None = None
    why: str = ""


def ask(world: World, wanted: Iterable[z3.BoolRef], timeout_ms: int, texts: Iterable[z3.SeqRef] = ()) -> Answer:
    """Look for a model within the time; one in which the `texts` are readable is taken if there is one."""
    solver = z3.Solver()
    solver.set("timeout", timeout_ms)
    solver.add(*world.axioms, *wanted)
    found = solver.check()
    if found == z3.unsat:
        return Answer(state="impossible")
    if found == z3.unknown:
        reason = solver.reason_unknown()
        return Answer(state="open", why="time was up" if reason in _LATE else f"the solver gives up: {reason}")
    model = solver.model()
    solver.add(*(z3.InRe(text, _READABLE) for text in texts))
    return Answer(state="possible", model=solver.model() if solver.check() == z3.sat else model)


_LATE: Final = ("timeout", "canceled", "interrupted from keyboard")
