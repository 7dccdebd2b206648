"""What tests try and what they leave untried: how each condition came out, which rules decide, whether facts were ever lost."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.policy.checking.world import Code
from proxy.policy.deciding.evaluate import Failure, Loss, Outcome
from proxy.policy.decision import REASONS, Allow, Deny, Lost
from proxy.policy.findings import Position
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Chain, Conditional, Expression, Literal, Name, Paren, Unary
from proxy.review.cases import every
from proxy.review.wording import worded

_GOALS: Final = ("true", "false")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that no test tried; `lacks` says what is missing, a fact has no place."""

    what: str
    lacks: str
    at: Position | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """An atomic condition, and how often it was true, false, and an error or without a fact that was lost."""

    what: str
    at: Position
    true: int = 0
    false: int = 0
    error: int = 0

    @property
    def lacks(self) -> str:
        """What no test tried, in words; nothing if it came out both ways."""
        if not (self.true or self.false or self.error):
            return "never evaluated"
        missing = [name for name, count in zip(_GOALS, (self.true, self.false), strict=True) if not count]
        return f"never {' or '.join(missing)}" if missing else ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A deny or a rule for one operation, and how often it decided."""

    id: str
    at: Position
    decides: int = 0

    @property
    def lacks(self) -> str:
        """What no test tried, likewise."""
        return "" if self.decides else "never decides"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """A fact, and in how many decisions it was read and lost."""

    name: str
    reads: int = 0
    failures: int = 0

    @property
    def lacks(self) -> str:
        """What no test tried, likewise."""
        return "" if self.failures else "never fails"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a test run tried; conditions and rulings in the order of files and lines."""

    conditions: tuple[Condition, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    facts: tuple[Reliance, ...] = ()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was not tried: conditions, rules, then facts."""
        return (
            *(Gap(what=each.what, lacks=each.lacks, at=each.at) for each in self.conditions if each.lacks),
            *(Gap(what=f"rule {each.id}", lacks=each.lacks, at=each.at) for each in self.rulings if each.lacks),
            *(Gap(what=f"fact {each.name}", lacks=each.lacks) for each in self.facts if each.lacks),
        )

    @property
    def goals(self) -> tuple[int, int]:
        """How much of what is to be tried was tried, and how much there is: both outcomes of a condition, one of a rule, one of a fact."""
        ways = [bool(each.true) + bool(each.false) for each in self.conditions]
        others = [not each.lacks for each in self.rulings] + [not each.lacks for each in self.facts]
        return sum(ways) + sum(others), 2 * len(ways) + len(others)

    @property
    def percent(self) -> float:
        """The part that was tried, in tenths of a percent rounded down, so that only all of it is 100."""
        met, every_goal = self.goals
        return met * 1000 // every_goal / 10 if every_goal else 100.0


class Meter:
    """Counts what the decisions of a test run evaluate."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._outcomes: Counter[tuple[int, str]] = Counter()
        self._decided: Counter[str] = Counter()
        self._reads: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Takes one evaluation, as `proxy.policy.deciding.evaluate.Watch`."""
        if outcome is True or outcome is False:
            self._outcomes[id(node), "true" if outcome else "false"] += 1
        elif isinstance(outcome, Failure | Loss):
            self._outcomes[id(node), "error"] += 1

    def note(self, found: Allow | Deny) -> None:
        """Takes one decision, with those on the subscriptions that it brings."""
        for key, fact in found.facts.items():
            self._reads[str(key[0])] += 1
            self._failures[str(key[0])] += isinstance(fact, Lost)
        self._decides(found)
        if isinstance(found, Allow):
            parts: Mapping[str, Allow | Deny] = {**(found.channels or {}), **(found.left_out or {})}
            for part in parts.values():
                self._decides(part)

    def coverage(self) -> Coverage:
        """What was tried so far."""
        return Coverage(
            conditions=tuple(self._conditions()),
            rulings=tuple(sorted(self._rulings(), key=lambda each: each.at)),
            facts=tuple(Reliance(name=name, reads=self._reads[name], failures=self._failures[name]) for name in self._policy.facts),
        )

    def _decides(self, found: Allow | Deny) -> None:
        if found.rule and (isinstance(found, Allow) or found.reason not in REASONS):
            self._decided[found.rule] += 1

    def _rulings(self) -> Iterator[Ruling]:
        plans = [*every(self._policy.decider.plans)]
        units = {deny.id: deny.at for plan in plans for deny in plan.denies} | {rule.id: rule.at for plan in plans for rule in plan.rules}
        for id_, at in units.items():
            file, _, line = at.rpartition(":")
            if file:  # what holds where there is no block stands nowhere
                yield Ruling(id=id_, at=Position(file=file, line=int(line), column=1), decides=self._decided[id_])

    def _conditions(self) -> Iterator[Condition]:
        plans = [*every(self._policy.decider.plans)]
        codes = [deny.when for plan in plans for deny in plan.denies] + [rule.when for plan in plans for rule in plan.rules if rule.when]
        nodes = {id(node): node for code in codes for node in self._atoms(code, code.node)}
        for node in sorted(nodes.values(), key=lambda node: node.at):
            true, false, error = (self._outcomes[id(node), name] for name in (*_GOALS, "error"))
            yield Condition(what=worded(node), at=node.at, true=true, false=false, error=error)

    def _atoms(self, code: Code, node: Expression) -> Iterator[Expression]:
        """The conditions of which a condition is made, those of lets included."""
        match node:
            case Literal():
                return
            case Chain():
                inner: tuple[Expression, ...] = node.terms
            case Unary() | Paren():
                inner = (node.of,)
            case Conditional():
                inner = (node.test, node.then, node.other)
            case Name():
                lets = {binding.name: binding.value for binding in (self._policy.decider.statics.bindings[s] for s in code.uses.direct)}
                let = lets.get(node.id)
                yield from self._atoms(let, let.node) if let else (node,)
                return
            case _:
                yield node
                return
        for part in inner:
            yield from self._atoms(code, part)
