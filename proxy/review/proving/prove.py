"""Proves the invariants of a policy, or refutes them with requests that decisions confirm."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import z3

from proxy.policy.checking.plan import Claim, Plan
from proxy.policy.overlap import overlap
from proxy.policy.policy import Policy
from proxy.review.comparing.course import Unit
from proxy.review.comparing.samples import payloads
from proxy.review.proving.channels import Channels
from proxy.review.proving.confirm import Confirmed, confirm
from proxy.review.proving.decisions import Asked, Decisions, stand
from proxy.review.proving.example import Example
from proxy.review.proving.expressions import Formulas
from proxy.review.proving.logic import TRUE, some
from proxy.review.proving.payloads import Payloads
from proxy.review.proving.solver import ask
from proxy.review.proving.trees import World

ROUNDS: Final = 8
"""Models that are tried where the first shows nothing."""

SAMPLES: Final = 24
"""Payloads of a schema that are tried in place of that of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What became of an invariant: `why` says what keeps it unknown, or in which way it is proved without a rule that it bounds."""

    claim: Claim
    state: Literal["proved", "refuted", "unknown"]
    shown: Confirmed | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One plan that an invariant speaks of."""

    op: str
    service: str | None
    unit: Unit

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.op} by {self.service}" if self.service else f"{self.op} on {self.unit.pattern.text if self.unit.pattern else ''}"


def prove(
    policy: Policy, files: Mapping[str, bytes], timeout_ms: int, told: Callable[[int, int], None] = lambda _n, _all: None
) -> list[Proof]:
    """Prove each invariant; `files` hold the schemas, `timeout_ms` is for each of them, `told` hears how many are done."""
    out = []
    for number, claim in enumerate(policy.claims, 1):
        out.append(_proof(policy, files, claim, timeout_ms))
        told(number, len(policy.claims))
    return out


def _proof(policy: Policy, files: Mapping[str, bytes], claim: Claim, timeout_ms: int) -> Proof:
    """The first part that breaks the invariant decides, then the first of which nothing is known."""
    open_, found, end = "", list(parts(policy, claim)), time.monotonic() + timeout_ms / 1000
    for part in found:
        proof = _Attempt(policy, files, claim, part).proof(end)
        if proof.state == "refuted":
            return proof
        open_ = open_ or proof.why
    if open_:
        return Proof(claim=claim, state="unknown", why=open_)
    return Proof(claim=claim, state="proved", why="" if found else "no rule allows any of it")


def parts(policy: Policy, claim: Claim) -> Iterator[Part]:
    """The plans that an invariant speaks of and that can allow something."""
    for pattern, plans in policy.decider.plans.channels:
        if claim.operations and overlap(claim.pattern, pattern) is not None:
            for op in claim.operations:
                if plans[op].rules:
                    yield Part(op=op, service=None, unit=Unit(plan=plans[op], pattern=pattern))
    for name, methods in claim.services.items():
        for method in methods:
            plan = policy.decider.plans.services[name][method]
            rules = tuple(rule for rule in plan.rules if rule.pattern is None or overlap(claim.pattern, rule.pattern) is not None)
            if rules:
                yield Part(op=method, service=name, unit=Unit(plan=Plan(rules=rules)))


class _Attempt:
    """One part of an invariant as one question: whether this can be allowed."""

    def __init__(self, policy: Policy, files: Mapping[str, bytes], claim: Claim, part: Part) -> None:
        self._policy, self._files, self._claim, self._part = policy, files, claim, part
        self._world = world = World()
        self._channels = Channels(world, claim.pattern)
        self._asked = Asked(op=part.op, service=part.service, channels=self._channels, payloads=Payloads(world, files))
        allowed = Decisions(policy, world, self._asked).verdicts(part.unit).allowed
        wanted = [allowed, self._condition()]
        if part.unit.pattern is not None:
            wanted.append(self._channels.matched(part.unit.pattern))
        if claim.guests:
            wanted.append(z3.String("user") == z3.StringVal(""))
        self._asked.payloads.settle()
        self._wanted = wanted

    def _condition(self) -> z3.BoolRef:
        if self._claim.when is None:
            return TRUE
        own = stand(self._world, self._asked)
        names = {**own.names, "vars": self._channels.variables(self._claim.pattern)}
        return Formulas(self._policy, self._world, replace(own, names=names, place=self._claim.pattern.text)).outcome(self._claim.when).true

    def proof(self, end: float) -> Proof:
        """What the solver says before `end` (of the monotonic clock, seconds), confirmed."""
        blocked: list[z3.BoolRef] = []
        for _ in range(ROUNDS):
            found = ask(self._world, [*self._wanted, *blocked], max(1, int((end - time.monotonic()) * 1000)), self._texts())
            if found.state != "possible" or found.model is None:
                break
            shown = self._confirmed(found.model)
            if shown is not None:
                return Proof(claim=self._claim, state="refuted", shown=shown)
            others = self._others(found.model)
            if others is None:
                break
            blocked.append(others)
        if found.state == "impossible" and not blocked:
            return Proof(claim=self._claim, state="proved")
        return Proof(claim=self._claim, state="unknown", why=f"{self._part.text}: {found.why or self._why()}")

    def _texts(self) -> list[z3.SeqRef]:
        """What a reader would like to read."""
        variables = self._channels.variables(self._claim.pattern).entries or {}
        texts = [value.term("string") for value in variables.values() if "string" in value.kinds]
        return texts if self._part.service or self._claim.guests else [z3.String("user"), *texts]

    def _confirmed(self, model: z3.ModelRef) -> Confirmed | None:
        """The request of a model, or one with another payload, if it breaks the invariant."""
        line = Example(self._policy, self._world, model).line(self._asked)
        for data in (line.get("data"), *self._samples(line.get("data"))):
            shown = confirm(self._policy, self._claim, {**line, "data": data})
            if shown is not None:
                return shown
        return None

    def _samples(self, data: object) -> Iterator[object]:
        """Payloads that the schemas of the part may accept."""
        digests = dict.fromkeys(rule.schema.digest for rule in self._part.unit.plan.rules if rule.schema)
        for name, raw in self._files.items():
            if name.endswith(".json") and hashlib.sha256(raw).hexdigest() in digests:
                for each in itertools.islice(payloads(json.loads(raw)), SAMPLES):
                    if isinstance(each, dict) and isinstance(data, dict):
                        yield {**each, **data}
                    yield each

    def _others(self, model: z3.ModelRef) -> z3.BoolRef | None:
        """That an expression into which is not looked comes to something else than in the model; None if there is none."""
        terms = [term for name in self._world.opaque for term in self._parts(name)]
        return some(term != model.eval(term, model_completion=True) for term in terms) if terms else None

    def _parts(self, name: str) -> list[z3.ExprRef]:
        flags = [self._world.flag(f"{name}!{part}") for part in ("errs", "lost", "bool")]
        return [*flags, z3.Int(f"{name}!kind")]

    def _why(self) -> str:
        opaque = ", ".join(dict.fromkeys(self._world.opaque.values()))
        return f"what the solver found is not so, since it cannot look into: {opaque}" if opaque else "what the solver found is not so"
