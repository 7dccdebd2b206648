"""Finds rules that never decide: what they need is never so, a deny refuses all of it, or rules above them decide all of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import z3

from proxy.policy.checking.plan import RulePlan
from proxy.policy.policy import Policy
from proxy.review.comparing.course import Unit
from proxy.review.proving.channels import Channels
from proxy.review.proving.decisions import Asked, Decisions, Verdicts
from proxy.review.proving.logic import opposite
from proxy.review.proving.payloads import Payloads
from proxy.review.proving.solver import ask
from proxy.review.proving.trees import World

Why = Literal["never holds", "is denied before", "comes too late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A rule that never decides, by its id and place."""

    rule: str
    at: str
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    op: str
    service: str | None
    unit: Unit


def idle(
    policy: Policy, files: Mapping[str, bytes], timeout_ms: int, told: Callable[[int, int], None] = lambda _n, _all: None
) -> list[Idle]:
    """The rules that are proven never to decide; `timeout_ms` is for each rule, `told` hears how many plans are done."""
    places = [place for place in _places(policy) if place.unit.plan.rules]
    out: list[Idle] = []
    for number, place in enumerate(places, 1):
        for rule in place.unit.plan.rules:
            why = _Question(policy, files, place, rule).why(timeout_ms)
            if why is not None:
                out.append(Idle(rule=rule.id, at=rule.at, why=why))
        told(number, len(places))
    return out


def _places(policy: Policy) -> Iterator[_Place]:
    plans = policy.decider.plans
    for pattern, operations in plans.channels:
        yield from (_Place(op=op, service=None, unit=Unit(plan=plan, pattern=pattern)) for op, plan in operations.items())
    yield _Place(op="connect", service=None, unit=Unit(plan=plans.connect.plan))
    yield from (_Place(op="rpc", service=None, unit=Unit(plan=each.plan)) for each in plans.rpcs.values())
    for name, methods in plans.services.items():
        yield from (_Place(op=method, service=name, unit=Unit(plan=plan)) for method, plan in methods.items())


class _Question:
    """Whether one rule ever decides."""

    def __init__(self, policy: Policy, files: Mapping[str, bytes], place: _Place, rule: RulePlan) -> None:
        self._world = world = World()
        pattern = place.unit.pattern or rule.pattern
        channels = Channels(world, pattern) if pattern else None
        asked = Asked(op=place.op, service=place.service, channels=channels, payloads=Payloads(world, files))
        self._verdicts = Decisions(policy, world, asked).verdicts(place.unit)
        asked.payloads.settle()
        self._holds, self._above = _split(self._verdicts, rule, known=channels is not None)

    def why(self, timeout_ms: int) -> Why | None:
        """Why it never does; None if it does, or nobody knows."""
        reasons: tuple[tuple[Why, tuple[z3.BoolRef, ...]], ...] = (
            ("never holds", (self._holds,)),
            ("is denied before", (self._verdicts.passes, self._holds)),
            ("comes too late", (self._verdicts.passes, self._holds, *self._above)),
        )
        if ask(self._world, reasons[-1][1], timeout_ms).state != "impossible":
            return None
        return next(why for why, wanted in reasons if why == "comes too late" or ask(self._world, wanted, timeout_ms).state == "impossible")


def _split(verdicts: Verdicts, rule: RulePlan, *, known: bool) -> tuple[z3.BoolRef, tuple[z3.BoolRef, ...]]:
    """That the rule holds, and that none above it does; where there may be no channel, rules for patterns may not hold."""
    number = next(number for number, (each, _) in enumerate(verdicts.rules) if each is rule)
    above = verdicts.rules[:number]
    return verdicts.rules[number][1], tuple(opposite(holds) for each, holds in above if known or each.pattern is None)
