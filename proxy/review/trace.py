"""Why a decision is what it is: each deny and rule that was looked at, with the value of every sub-expression."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from proxy.policy.context import Context
from proxy.policy.decide import Decider, Decision
from proxy.policy.decision import Allow, Deny, FactKey, Facts, Known, Lost, NeedFacts, Request
from proxy.policy.evaluate import Failure, Loss, Outcome
from proxy.policy.plan import DenyPlan, Plan, RulePlan
from proxy.policy.syntax import Expression, Has, Index, Member, Name, Paren
from proxy.policy.syntax import Literal as Constant
from proxy.policy.walk import parts
from proxy.policy.world import Code
from proxy.review.lines import fact_text
from proxy.review.wording import short, visible, worded

_UNTRIED = frozenset(("no_identity", "bad_channel", "no_channel", "no_method"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An expression that was evaluated, what came out, and the evaluations inside it, a let's where it was first used."""

    node: Expression
    outcome: Outcome
    steps: tuple["Step", ...] = ()

    @property
    def result(self) -> str:
        """The outcome in words: a value as JSON."""
        match self.outcome:
            case Failure(why=why):
                return f"error: {visible(why)}"
            case Loss():
                return "lost"
            case value:
                return short(value)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A deny or rule that was looked at; `verdict` says in words how it turned out."""

    kind: Literal["deny", "allow"]
    id: str
    at: str
    verdict: str
    steps: tuple[Step, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A decision with the way to it; parts of it that are decisions of their own (subscriptions of a connect) are not in `looks`."""

    found: Allow | Deny
    looks: tuple[Look, ...] = ()


class Recorder:
    """Puts evaluations, which are told innermost first, together into trees; `lets` are the expressions of lets."""

    def __init__(self, lets: Iterable[Code]) -> None:
        self.steps: list[Step] = []
        self._lets = {id(let.node) for let in lets}

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Takes one evaluation, as `proxy.policy.evaluate.Watch`."""
        inside = {id(part) for part in parts(node)} or (self._lets if isinstance(node, Name) else set())
        cut = len(self.steps)
        while cut and id(self.steps[cut - 1].node) in inside:
            cut -= 1
        step = Step(node=node, outcome=outcome, steps=tuple(self.steps[cut:]))
        self.steps[cut:] = [step]

    def of(self, codes: Iterable[Code]) -> tuple[Step, ...]:
        """The trees of expressions that were evaluated as wholes, the first time each."""
        roots = {id(step.node): step for step in reversed(self.steps)}
        return tuple(roots[id(code.node)] for code in codes if id(code.node) in roots)


def trace(decider: Decider, request: Request, facts: Facts) -> Trace | NeedFacts:
    """Decides, exactly and watched; the decision is the one that `Decider.decide` takes."""
    recorder = Recorder(binding.value for binding in decider.statics.bindings)
    found = Decision(decider, request, facts, {}, recorder.watch).decide()
    if isinstance(found, NeedFacts):
        return found
    if found.reason in _UNTRIED:
        return Trace(found=found)
    return Trace(found=found, looks=tuple(_looks(_plan(decider, request), request, found, recorder)))


def tree(told: Trace) -> Iterator[str]:
    """The trace as lines of text, two spaces a level."""
    for look in told.looks:
        yield f"{look.kind} {visible(look.id)}  {look.at}  {look.verdict}"
        for step in look.steps:
            yield from _lines(step, 1)
    for key, fact in told.found.facts.items():
        yield f"fact {visible(fact_text(key))} = {_fact(fact)}"


def members(told: Trace) -> list[dict[str, object]]:
    """The trace as JSON."""
    return [
        {"kind": look.kind, "rule": look.id, "at": look.at, "verdict": look.verdict, "steps": [_member(step) for step in look.steps]}
        for look in told.looks
    ]


def facts(read: Mapping[FactKey, Known | Lost]) -> dict[str, object]:
    """The facts that were read as JSON, a lost one as an object with the member `$error`."""
    return {fact_text(key): fact.value if isinstance(fact, Known) else {"$error": fact.why} for key, fact in read.items()}


def _plan(decider: Decider, request: Request) -> Plan:
    """The plan that a decision which got so far went through."""
    plans = decider.plans
    match request.op:
        case _ if request.service is not None:
            found = plans.services.get(request.service, {}).get(request.op)
        case "connect" | "refresh":
            found = plans.connect.plan
        case "rpc":
            found = plans.rpcs[request.method or ""].plan
        case op:
            entry = decider.index.find(request.channel or "")
            found = entry[0].get(op.removeprefix("sub_refresh") or "subscribe") if entry else None
    return found or Plan()


def _looks(plan: Plan, request: Request, found: Allow | Deny, recorder: Recorder) -> Iterator[Look]:
    for deny in plan.denies:
        decides = found.rule == deny.id
        steps = recorder.of((deny.when,))
        yield Look(kind="deny", id=deny.id, at=deny.at, verdict=f"refuses: {found.reason}" if decides else "does not hold", steps=steps)
        if decides:
            return
    for rule in plan.rules:
        if rule.pattern is not None and (request.channel is None or rule.pattern.matches(request.channel) is None):
            continue
        look = _look(rule, request, found, recorder)
        yield look
        if isinstance(found, Allow) and found.rule == rule.id:
            return


def _look(rule: RulePlan, request: Request, found: Allow | Deny, recorder: Recorder) -> Look:
    steps = recorder.of((*((rule.when,) if rule.when else ()), *rule.obligations.codes))
    if isinstance(found, Allow) and found.rule == rule.id:
        verdict = "allows"
    elif not steps and rule.schema is not None and (problem := rule.schema.problem(request.data)):
        verdict = f"schema: {visible(problem)}"
    elif any(isinstance(step.outcome, Loss) for step in steps):
        verdict = "lost a fact"
    elif any(isinstance(step.outcome, Failure) for step in steps):
        verdict = "errs"
    else:
        verdict = "does not hold"
    return Look(kind="allow", id=rule.id, at=rule.at, verdict=verdict, steps=steps)


def _lines(step: Step, level: int) -> Iterator[str]:
    yield f"{'  ' * level}{visible(worded(step.node))}  {step.result}"
    for inner in _shown(step):
        yield from _lines(inner, level + 1)


def _member(step: Step) -> dict[str, object]:
    return {"expression": worded(step.node), "at": str(step.node.at), "result": step.result, "steps": [_member(s) for s in _shown(step)]}


def _shown(step: Step) -> Iterator[Step]:
    """The evaluations inside that say something: no constants, no parentheses, and of `a.b.c` only the whole."""
    whole = isinstance(step.node, Member | Index | Has)
    for inner in step.steps:
        path = whole and isinstance(inner.node, Name | Member)
        if isinstance(inner.node, Paren) or (path and not (isinstance(inner.node, Name) and inner.steps)):
            yield from _shown(inner)
        elif not isinstance(inner.node, Constant):
            yield inner


def _fact(fact: Known | Lost) -> str:
    return short(fact.value) if isinstance(fact, Known) else f"lost: {visible(fact.why)}"
