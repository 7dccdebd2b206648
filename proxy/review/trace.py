"""Why a decision is what it is: each deny and rule that was looked at, with the value of every sub-expression."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypedDict

from proxy.policy.checking.plan import Plan, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.deciding.decide import Decider, Decision
from proxy.policy.deciding.evaluate import Failure, Loss, Outcome, Watch
from proxy.policy.decision import Allow, Deny, FactKey, Facts, Known, Lost, NeedFacts, Request
from proxy.policy.reading.syntax import Expression, Has, Index, ListOf, MapOf, Member, Name, Paren
from proxy.policy.reading.syntax import Literal as Constant
from proxy.policy.reading.walk import parts
from proxy.review.lines import fact_text
from proxy.review.wording import short, visible, worded

_UNTRIED = frozenset(("no_identity", "bad_channel", "no_channel", "no_method"))

_MOST = 100
"""So many evaluations of one part of an expression are kept: those of a macro's body for its first elements."""


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
    """A deny, a rule, or the reply of the rule before it, that was looked at; `verdict` says in words how it turned out.

    `pattern` and `variables` are those of a rule that has a pattern of its own, as rules of services may.
    """

    kind: Literal["deny", "allow", "reply"]
    id: str
    at: str
    verdict: str
    steps: tuple[Step, ...] = ()
    pattern: str = ""
    variables: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A decision with the way to it; parts of it that are decisions of their own (subscriptions of a connect) are not in `looks`.

    `pattern` is the one that the channel of a user's request matches, with its `variables`.
    """

    found: Allow | Deny
    looks: tuple[Look, ...] = ()
    pattern: str = ""
    variables: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


class Evaluation(TypedDict):
    """A step as JSON; `result` is its outcome in words."""

    expression: str
    at: str
    result: str
    steps: list["Evaluation"]


class Glance(TypedDict):
    """A look as JSON; `rule` is its id."""

    kind: str
    rule: str
    at: str
    verdict: str
    pattern: str | None
    variables: Mapping[str, str | int]
    steps: list[Evaluation]


class Recorder:
    """Puts evaluations, which are told innermost first, together into trees; `lets` are the expressions of lets.

    However often a part is evaluated, only so many of its evaluations are kept.
    """

    def __init__(self, lets: Iterable[Code], watch: Watch | None = None) -> None:
        self.steps: list[Step] = []
        self._next = watch
        self._lets = frozenset(id(let.node) for let in lets)
        self._inside: dict[int, frozenset[int]] = {}
        self._told: dict[int, int] = {}

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Takes one evaluation, as `proxy.policy.deciding.evaluate.Watch`, and passes it on."""
        if self._next:
            self._next(node, outcome)
        key = id(node)
        inside = self._inside.get(key)
        if inside is None:
            lets = self._lets if isinstance(node, Name) else frozenset()
            inside = self._inside[key] = frozenset(id(part) for part in parts(node)) or lets
        cut = len(self.steps)
        while cut and id(self.steps[cut - 1].node) in inside:
            cut -= 1
        told = self._told[key] = self._told.get(key, 0) + 1
        self.steps[cut:] = [Step(node=node, outcome=outcome, steps=tuple(self.steps[cut:]))] if told <= _MOST else []

    def of(self, codes: Iterable[Code]) -> tuple[Step, ...]:
        """The trees of expressions that were evaluated as wholes, the first time each."""
        roots = {id(step.node): step for step in reversed(self.steps)}
        return tuple(roots[id(code.node)] for code in codes if id(code.node) in roots)


def trace(decider: Decider, request: Request, facts: Facts, watch: Watch | None = None) -> Trace | NeedFacts:
    """Decides, exactly and watched, also by `watch`; the decision is the one that `Decider.decide` takes."""
    recorder = Recorder((binding.value for binding in decider.statics.bindings), watch)
    found = Decision(decider, request, facts, {}, recorder.watch).decide()
    if isinstance(found, NeedFacts):
        return found
    if found.reason in _UNTRIED:
        return Trace(found=found)
    pattern, variables = _matched(decider, request)
    return Trace(found=found, looks=tuple(_looks(decider, request, found, recorder)), pattern=pattern, variables=variables)


def tree(told: Trace) -> Iterator[str]:
    """The trace as lines of text, two spaces a level."""
    for look in members(told):
        yield from drawn(look)
    for key, fact in told.found.facts.items():
        yield f"fact {visible(fact_text(key))} = {_fact(fact)}"


def drawn(look: Glance) -> Iterator[str]:
    """What was looked at as lines of text, likewise."""
    yield f"{look['kind']} {visible(look['rule'])}  {visible(look['at'])}  {visible(look['verdict'])}"
    for step in look["steps"]:
        yield from _lines(step, 1)


def members(told: Trace) -> list[Glance]:
    """The trace as JSON."""
    return [
        {
            "kind": look.kind,
            "rule": look.id,
            "at": look.at,
            "verdict": look.verdict,
            "pattern": look.pattern or None,
            "variables": look.variables,
            "steps": [_member(step) for step in look.steps],
        }
        for look in told.looks
    ]


def facts(read: Mapping[FactKey, Known | Lost]) -> dict[str, object]:
    """The facts that were read as JSON, a lost one as an object with the member `$error`."""
    return {fact_text(key): fact.value if isinstance(fact, Known) else {"$error": fact.why} for key, fact in read.items()}


def _matched(decider: Decider, request: Request) -> tuple[str, Mapping[str, str | int]]:
    """The pattern that a user's channel matches, and its variables."""
    if request.service is not None or request.channel is None:
        return "", {}
    matches = ((pattern.text, pattern.matches(request.channel)) for pattern, _ in decider.plans.channels)
    return next(((text, variables) for text, variables in matches if variables is not None), ("", {}))


def plan(decider: Decider, request: Request) -> Plan:
    """The plan that the decision on a request goes through, an empty one where it does not get so far."""
    plans, op = decider.plans, request.operation
    if request.service is not None:
        return plans.services.get(request.service, {}).get(op, Plan())
    if op == "connect":
        return plans.connect.plan
    if op == "rpc":
        rpc = plans.rpcs.get(request.method or "")
        return rpc.plan if rpc else Plan()
    entry = decider.index.find(request.channel or "")
    return entry[0].get(op, Plan()) if entry else Plan()


def _reply(decider: Decider, request: Request) -> Iterator[Code]:
    """The expression outside the rules that a decision needs in the end: the data of `connect`, the answer of an rpc."""
    code = None
    if request.op in ("connect", "refresh"):
        code = decider.plans.connect.data
    elif request.op == "rpc" and request.service is None:
        code = decider.plans.rpcs[request.method or ""].answer.value
    if code:
        yield code


def _looks(decider: Decider, request: Request, found: Allow | Deny, recorder: Recorder) -> Iterator[Look]:
    tried, reply = plan(decider, request), recorder.of(_reply(decider, request))
    for deny in tried.denies:
        steps = recorder.of((deny.when,))
        # The same deny may refuse only the operation that the answer of an rpc stands for.
        decides = found.rule == deny.id and not any(step.outcome is False for step in steps)
        verdict = _refusal(found) if decides else "does not hold"
        yield Look(kind="deny", id=deny.id, at=deny.at, verdict=verdict, steps=steps)
        if decides:
            return
    for rule in tried.rules:
        variables = rule.pattern.matches(request.channel) if rule.pattern and request.channel is not None else None
        if rule.pattern and variables is None:
            continue
        look = _look(rule, request, found, recorder)
        look = dataclasses.replace(look, pattern=rule.pattern.text if rule.pattern else "", variables=variables or {})
        held = bool(reply) and _held(rule, request, recorder)
        yield dataclasses.replace(look, verdict="allows") if held else look
        if held:
            at = reply[0].node.at
            verdict = "is given" if isinstance(found, Allow) else _refusal(found)
            yield Look(kind="reply", id=rule.id, at=f"{at.file}:{at.line}", verdict=verdict, steps=reply)
        if held or (found.rule == rule.id and found.reason in ("allowed", "error")):
            return


def _held(rule: RulePlan, request: Request, recorder: Recorder) -> bool:
    """Whether a rule of `connect` or `rpc` held, whatever came of the reply."""
    fits = rule.schema is None or rule.schema.accepts(request.data)
    return fits and (rule.when is None or [step.outcome for step in recorder.of((rule.when,))] == [True])


def _look(rule: RulePlan, request: Request, found: Allow | Deny, recorder: Recorder) -> Look:
    steps = recorder.of((*((rule.when,) if rule.when else ()), *rule.obligations.codes))
    outcomes = {type(step.outcome) for step in steps}
    if found.rule == rule.id:
        verdict = "allows" if isinstance(found, Allow) else _refusal(found)
    elif rule.looks and not steps:
        problem = rule.schema.problem(request.data) if rule.schema else ""
        verdict = f"does not fit: {visible(problem or 'only an object can be stamped')}"
    else:
        verdict = "lost a fact" if Loss in outcomes else "errs" if Failure in outcomes else "does not hold"
    return Look(kind="allow", id=rule.id, at=rule.at, verdict=verdict, steps=steps)


def _refusal(found: Allow | Deny) -> str:
    detail = found.detail if isinstance(found, Deny) else ""
    return f"refuses: {found.reason}" + (f" ({visible(detail)})" if detail else "")


def _lines(step: Evaluation, level: int) -> Iterator[str]:
    yield f"{'  ' * level}{visible(step['expression'])}  {visible(step['result'])}"
    for inner in step["steps"]:
        yield from _lines(inner, level + 1)


def _member(step: Step) -> Evaluation:
    return {"expression": worded(step.node), "at": str(step.node.at), "result": step.result, "steps": [_member(s) for s in _shown(step)]}


def _shown(step: Step) -> Iterator[Step]:
    """The evaluations inside that say something: no constants, no brackets, and of `a.b.c` only the whole."""
    whole = isinstance(step.node, Member | Index | Has)
    for inner in step.steps:
        path = whole and isinstance(inner.node, Name | Member)
        if isinstance(inner.node, Paren | ListOf | MapOf) or (path and not (isinstance(inner.node, Name) and inner.steps)):
            yield from _shown(inner)
        elif not isinstance(inner.node, Constant):
            yield inner


def _fact(fact: Known | Lost) -> str:
    return short(fact.value) if isinstance(fact, Known) else f"lost: {visible(fact.why)}"
