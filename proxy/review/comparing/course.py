"""The course of a decision on one unit of a policy, as far as answers to its questions are known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.policy.checking.plan import Obligations, Plan, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.policy.schemas import Schema
from proxy.policy.types import STRING, MapOf, Record
from proxy.review.comparing import spelling
from proxy.review.comparing.conditions import Conditions
from proxy.review.comparing.logic import Answers, Formula, Key, Question, Risk, Risks, Woe, answer, spoilt, verdict
from proxy.review.comparing.terms import Term

AMBIGUOUS: Final = Question(
    key=("ambiguous",),
    yes="the payload can be read in two ways",
    no="the payload can be read in one way only",
    test=lambda views: views[0].request.ambiguous,
    usual=False,
)
OBJECT: Final = Question(
    key=("object",),
    yes="data is an object",
    no="data is no object",
    test=lambda views: isinstance(views[0].request.data, dict),
    usual=True,
)
GUEST: Final = Question(
    key=("==", ("name", "user"), spelling.constant("")),
    yes='user == ""',
    no='user != ""',
    test=lambda views: views[0].request.user == "",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Denied, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Allowed by the rule with this id."""

    rule: str


End = Refused | Granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is decided by one plan: the plan, what a grant needs besides (`late`), and the plan's pattern if it has one."""

    plan: Plan
    pattern: Pattern | None = None
    late: Code | None = None

    @property
    def codes(self) -> tuple[Code, ...]:
        """Every expression in it."""
        rules = [code for rule in self.plan.rules for code in (rule.when, *rule.obligations.codes) if code]
        return (*(deny.when for deny in self.plan.denies), *rules, *([self.late] if self.late else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    reason: str
    looks: bool
    when: Formula


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    rule: str
    gate: tuple[Question, ...]
    """What must hold before the payload is looked at: the pattern of a service's rule."""
    looks: bool
    fits: tuple[Question, ...]
    when: Formula
    risks: Risks


class Course:
    """The decisions of one policy on one unit; `guests` says that the other policy differs in admitting guests.

    `names` are the schema files by their digests; `absent` is the reason where there is no unit.
    """

    def __init__(
        self, policy: Policy, side: int, unit: Unit | None, names: Mapping[str, str], *, guests: bool = False, absent: str = ""
    ) -> None:
        self._closed = guests and not policy.guests
        self._unit, self._names, self._side, self._absent = unit, names, side, absent
        self.spelled: dict[str, dict[str, Key]] = {}
        self._bars: tuple[_Bar, ...] = ()
        self._ways: tuple[_Way, ...] = ()
        self._late: Risks = ()
        if unit is not None:
            conditions = Conditions(policy, side, unit.pattern)
            self._bars = tuple(_Bar(reason=d.reason, looks=d.looks, when=conditions.condition(d.when)) for d in unit.plan.denies)
            self._ways = tuple(self._way(rule, Conditions(policy, side, rule.pattern or unit.pattern)) for rule in unit.plan.rules)
            self._late = _needs(conditions, unit.late) if unit.late else ()

    @property
    def barred(self) -> frozenset[Key]:
        """The keys of the questions that denies ask; empty where nothing is denied."""
        return frozenset(key for bar in self._bars for key in _asked(bar.when))

    def end(self, answers: Answers) -> End:
        """How the decision ends; raises `Unanswered` with what must be known first."""
        if self._closed and answer(GUEST, answers):
            return Refused(reason="no_identity")
        if self._unit is None:
            return Refused(reason=self._absent)
        for bar in self._bars:
            if bar.looks and answer(AMBIGUOUS, answers):
                return Refused(reason="schema")
            found = verdict(bar.when, answers)
            if found is not False:
                return Refused(reason=bar.reason if found is True else _reason(found))
        return self._allowed(answers)

    def _allowed(self, answers: Answers) -> End:
        lost = unfit = False
        for way in self._ways:
            if not all(answer(question, answers) for question in way.gate):
                continue
            if way.looks and (answer(AMBIGUOUS, answers) or not all(answer(question, answers) for question in way.fits)):
                unfit = True
                continue
            found = verdict(way.when, answers)
            woe = (spoilt(way.risks, answers) if found is True else None) if not isinstance(found, Woe) else found
            if woe is Woe.lost:
                lost = True
            elif woe is None and found is True:
                late = spoilt(self._late, answers)
                return Refused(reason=_reason(late)) if late else Granted(rule=way.rule)
        return Refused(reason="fact_error" if lost else "schema" if unfit else "no_rule")

    def _way(self, rule: RulePlan, conditions: Conditions) -> _Way:
        conditions.schema = rule.schema
        obligations = rule.obligations
        fits = [self._fits(rule.schema)] if rule.schema else []
        if obligations.stamp and not (rule.schema and isinstance(rule.schema.type, Record | MapOf)):
            fits.append(OBJECT)
        self.spelled[rule.id] = {name: conditions.spelled(code.node, code) for name, code in expressions(obligations)}
        return _Way(
            rule=rule.id,
            gate=(self._on(rule.pattern),) if rule.pattern else (),
            looks=rule.looks,
            fits=tuple(fits),
            when=conditions.condition(rule.when),
            risks=tuple(_duties(conditions, obligations)),
        )

    def _fits(self, schema: Schema) -> Question:
        name, side = self._names.get(schema.digest, "its schema"), self._side
        return Question(
            key=("fits", schema.digest),
            yes=f"data fits {name}",
            no=f"data does not fit {name}",
            test=lambda views: views[side].fits(schema),
        )

    def _on(self, pattern: Pattern) -> Question:
        return Question(
            key=("on", spelling.frame(pattern), pattern),
            yes=f'the channel is a "{pattern.text}"',
            no=f'the channel is no "{pattern.text}"',
            test=lambda views: pattern.matches(views[0].request.channel or "") is not None,
        )


def expressions(obligations: Obligations) -> Iterator[tuple[str, Code]]:
    """The expressions among what a rule adds, by what they are for."""
    for key, code in obligations.stamp:
        yield f"stamp {key}", code
    for name in ("tags", "idempotency", "info", "data"):
        code = getattr(obligations, name)
        if code is not None:
            yield name, code


def _duties(conditions: Conditions, obligations: Obligations) -> Iterator[Risk]:
    """What could keep the obligations of a rule from being met, in the order of their evaluation."""
    for name, code in expressions(obligations):
        yield from _needs(conditions, code)
        if name in ("idempotency", "tags"):
            yield from texts(conditions, conditions.term(code.node, code))
    for name in obligations.limit.per if obligations.limit else ():
        if name == "client":
            yield Risk(question=_CLIENT, when=False, woe=Woe.error)


_CLIENT: Final = Question(
    key=("client",),
    yes="client is known",
    no="client is not known",
    test=lambda views: views[0].request.client is not None,
    usual=True,
)


def _needs(conditions: Conditions, code: Code) -> Risks:
    return conditions.term(code.node, code).risks


def texts(conditions: Conditions, term: Term) -> Iterator[Risk]:
    """That what must be a string, or a map of strings, is none."""
    of = term.type.of if isinstance(term.type, MapOf) else term.type
    if of != STRING:
        yield conditions.error(term)


def _asked(formula: Formula) -> Iterator[Key]:
    waiting: list[object] = [formula]
    while waiting:
        match waiting.pop():
            case Question(key=key):
                yield key
            case Risk(question=question):
                waiting.append(question)
            case tuple() as several:
                waiting.extend(several)
            case part:
                waiting.extend(getattr(part, name) for name in getattr(part, "__slots__", ()))


def _reason(woe: object) -> str:
    return "fact_error" if woe is Woe.lost else "error"


def sides(courses: Sequence[Course], answers: Answers) -> tuple[End, End]:
    """How both decisions end; raises `Unanswered`."""
    return courses[0].end(answers), courses[1].end(answers)
