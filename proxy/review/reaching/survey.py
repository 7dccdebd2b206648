"""Who gets through: what remains of denies and rules once the channel, or the user, is known.

It never says more than the policy grants: where it leaves no condition, every request that it speaks of is allowed as long as the facts
that are read can be loaded, the payload can be read in one way only, and no limit is used up.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from proxy.policy.checking.plan import Obligations, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.decision import FactKey, Facts, Request
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Chain, Expression, Name
from proxy.policy.reading.walk import walk
from proxy.policy.types import MapOf, Record
from proxy.review.comparing.conditions import Conditions
from proxy.review.comparing.course import Unit, expressions, texts
from proxy.review.comparing.duties import limited, time
from proxy.review.comparing.logic import Woe
from proxy.review.reaching.notation import FALSE, TRUE
from proxy.review.reaching.residue import Residue
from proxy.review.wording import worded

NO_RULE: Final = "no rule allows this"

_ASSIGNED: Final = frozenset(("stamp", "info", "data", "answer"))
_READING: Final = {"answer presence": "presence", "answer history": "history"}
_PRESENT: Final = frozenset(("timestamp_ms", "client", "transport", "channel", "key", "method"))
"""Names that requests have, but for those where it is known that they have not."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A deny and what remains of its condition."""

    rule: str
    at: str
    when: Expression

    @property
    def idle(self) -> bool:
        """Whether it refuses nobody, but where a fact is lost."""
        return isinstance(self.when, Chain) and self.when.op == "&&" and self.when.terms[-1] == FALSE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A rule, what remains of its condition, what must be so besides, and what the rule brings with it."""

    rule: str
    at: str
    when: Expression
    provided: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()

    @property
    def free(self) -> bool:
        """Whether its condition always holds, as long as facts can be loaded."""
        return self.when == TRUE or (isinstance(self.when, Chain) and self.when.op == "||" and self.when.terms[-1] == TRUE)

    @property
    def always(self) -> bool:
        """Whether it is open to every request."""
        return self.free and not self.provided


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who gets there: by one of the ways, if none of the bans holds or errs; where there is no way, `why` says so.

    `lets` are those that conditions and obligations still name, each with what remains of it; `facts` are those that are read.
    """

    bans: tuple[Ban, ...] = ()
    ways: tuple[Way, ...] = ()
    lets: Mapping[str, Expression] = dataclasses.field(default_factory=dict)
    facts: tuple[str, ...] = ()
    why: str = ""


class Nothing:
    """No fact at hand."""

    def get(self, _key: FactKey, /) -> None:
        """The fact, which must be loaded first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of requests: `request` says the values of the built-in `names`, `variables` those of the pattern, if any.

    `facts` are those at hand; whatever one is asked for must be known or lost, or all of them unknown.
    """

    request: Request
    names: frozenset[str]
    variables: Mapping[str, object] | None = None
    facts: Facts = dataclasses.field(default_factory=Nothing)

    def residue(self, policy: Policy, variables: Mapping[str, object] | None) -> Residue:
        """What reduces the expressions of the policy."""
        return Residue(policy.decider.statics, self.request, self.names, self.facts, variables)


class Survey:
    """Surveys one policy; `names` are those of its schema files by their digests."""

    def __init__(self, policy: Policy, names: Mapping[str, str]) -> None:
        self._policy, self._names = policy, names

    def reach(self, unit: Unit, known: Known, label: str = "data") -> Reach:
        """Who gets through a unit of the policy; `label` says what its late expression is."""
        if known.request.user == "" and not self._policy.guests:
            return Reach(why="no identity admits guests")
        used: list[tuple[Code, Expression]] = []
        residue, bans = known.residue(self._policy, known.variables), []
        for deny in unit.plan.denies:
            when = residue.condition(deny.when, want=True)
            if when == TRUE:
                return Reach(bans=(Ban(rule=deny.id, at=deny.at, when=when),), why=f"{deny.id} ({deny.at}) applies")
            if when != FALSE:
                bans.append(Ban(rule=deny.id, at=deny.at, when=when))
                used.append((deny.when, when))
        ways = tuple(self._ways(unit, known, used, label))
        if not ways:
            return Reach(why=_without_way(unit, known, residue))
        lets = {slot: binding for code, node in used for slot, binding in residue.lets(code, node).items()}
        rests = {lets[slot].name: residue.rest(lets[slot]) for slot in sorted(lets)}
        facts = {name for node in (*(node for _, node in used), *rests.values()) for name in residue.facts(node)}
        return Reach(bans=tuple(bans), ways=ways, lets=rests, facts=tuple(sorted(facts)))

    def _ways(self, unit: Unit, known: Known, used: list[tuple[Code, Expression]], label: str) -> Iterator[Way]:
        """The rules that can hold, up to one after which no other decides; `used` gets what remains of their expressions."""
        for rule in unit.plan.rules:
            variables = known.variables
            if rule.pattern is not None:
                variables = rule.pattern.matches(known.request.channel or "")
                if variables is None:
                    continue
            residue = known.residue(self._policy, variables)
            when = TRUE if rule.when is None else residue.condition(rule.when, want=False)
            if when == FALSE or not _fits(rule, known):
                continue
            own = [(rule.when, when)] if rule.when else []
            conditions = Conditions(self._policy, 0, rule.pattern or unit.pattern)
            conditions.schema = rule.schema
            duties = _Duties(residue, conditions, known, when)
            if not duties.met(rule.obligations, [(label, unit.late)] if unit.late else []):
                continue
            used += own + duties.used
            provided = (*self._payload(rule, known), *duties.provided)
            yield Way(rule=rule.id, at=rule.at, when=when, provided=provided, gives=tuple(duties.gives))
            if when == TRUE and not provided and not any(residue.reads(node) for _, node in duties.used):
                return

    def _payload(self, rule: RulePlan, known: Known) -> Iterator[str]:
        if rule.schema is not None and "data" not in known.names:
            yield f"data fits {self._names.get(rule.schema.digest, 'its schema')}"
        if rule.obligations.stamp and not (rule.schema and isinstance(rule.schema.type, Record | MapOf)):
            yield "data is an object"


def _without_way(unit: Unit, known: Known, residue: Residue) -> str:
    """Why no rule lets anybody through; a fact that is not at hand may be the reason."""
    rules = [rule for rule in unit.plan.rules if rule.pattern is None or rule.pattern.matches(known.request.channel or "")]
    if not rules:
        return NO_RULE
    asked = not isinstance(known.facts, Nothing) and any(rule.when and residue.reads(rule.when.node) for rule in rules)
    return f"no rule can hold{' with the facts at hand' if asked else ''}"


def _fits(rule: RulePlan, known: Known) -> bool:
    """Whether a payload that is known suits the rule; of one that is not known nothing is said."""
    return "data" not in known.names or rule.schema is None or rule.schema.accepts(known.request.data)


class _Duties:
    """What a rule brings with it, and what must be so for that."""

    def __init__(self, residue: Residue, conditions: Conditions, known: Known, when: Expression) -> None:
        self._residue, self._conditions, self._known = residue, conditions, known
        self._said = {worded(each) for each in (when.terms if isinstance(when, Chain) and when.op == "&&" else (when,))}
        self.used: list[tuple[Code, Expression]] = []
        self.provided: list[str] = []
        self.gives: list[str] = []

    def met(self, obligations: Obligations, late: Sequence[tuple[str, Code]]) -> bool:
        """Whether the obligations can be met, and `late`, which is given with whatever rule holds, has a value."""
        if not all(self._worded(name, code) for name, code in (*expressions(obligations), *late)):
            return False
        limit = obligations.limit
        if limit and "client" in limit.per and "client" in self._known.names:
            return False
        if obligations.skip_history:
            self.gives.append("skip_history")
        if obligations.expire_ms is not None:
            self.gives.append(lease(obligations.expire_ms, obligations.jitter))
        if limit:
            self.gives.append(f"limit {limited(limit)}")
        return True

    def _worded(self, name: str, code: Code) -> bool:
        found = self._residue.value(code)
        if isinstance(found, Woe):
            return False
        self.used.append((code, found))
        text = worded(found)
        self.gives.append(f"{name} {'= ' if name not in _READING and name.partition(' ')[0] in _ASSIGNED else ''}{text}")
        if name in _READING:
            self.provided.append(f"{_READING[name]} of {text} is allowed")
        if any(isinstance(each, Name) for each, _ in walk(found)) or self._residue.reads(found):
            self.provided += dict.fromkeys(text for text in self._risks(name, code) if text not in {*self.provided, *self._said})
        return True

    def _risks(self, name: str, code: Code) -> Iterator[str]:
        """What must be so, lest an expression has no value.

        That nothing is null where it must not be, the policy itself has proven; what has a member has members.
        """
        term = self._conditions.term(code.node, code)
        more = texts(self._conditions, term) if name in ("tags", "idempotency") else ()
        for risk in (*term.risks, *more):
            kind, *of = risk.question.key
            if (
                risk.woe is Woe.error
                and kind not in ("null", "holder")
                and not (kind == "errs" and of[0][0] == "name" and of[0][1] in _PRESENT)
            ):
                yield risk.question.no if risk.when else risk.question.yes


def lease(span: int, jitter: int) -> str:
    """An `expire` as a policy has it."""
    return f"expire {time(span)}" + (f" jitter {jitter}%" if jitter else "")
