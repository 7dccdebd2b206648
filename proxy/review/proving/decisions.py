"""Decisions as formulas: what the denies let pass, and which rules hold, in the order of `proxy.policy.deciding.settle`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import z3

from proxy.policy.checking.plan import Obligations, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.policy import Policy
from proxy.review.comparing.course import Unit
from proxy.review.proving.channels import Channels
from proxy.review.proving.expressions import Formulas, Stand
from proxy.review.proving.logic import TRUE, every, opposite, some
from proxy.review.proving.operators import unlike
from proxy.review.proving.payloads import Payloads
from proxy.review.proving.trees import World
from proxy.review.proving.values import Built, Value, constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked: `op` is an operation of users, or a method of the `service`; `channels` is None where there is no channel."""

    op: str
    service: str | None
    channels: Channels | None
    payloads: Payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What comes of the steps of a decision: that the denies let it pass, and that each rule holds by itself."""

    passes: z3.BoolRef
    rules: tuple[tuple[RulePlan, z3.BoolRef], ...]

    @property
    def allowed(self) -> z3.BoolRef:
        """That some rule decides."""
        return every((self.passes, some(holds for _, holds in self.rules)))


def stand(world: World, asked: Asked) -> Stand:
    """What names mean in a request, but for the parameters of its channel."""
    names: dict[str, Value] = {"op": constant(asked.op), "data": asked.payloads.sent}
    if asked.service is not None:
        names |= {"service": constant(asked.service), "method": constant(asked.op)}
    if asked.channels is not None:
        names["channel"] = world.text("channel")
    return Stand(names=names)


class Decisions:
    """The decisions of one policy about one kind of request."""

    def __init__(self, policy: Policy, world: World, asked: Asked) -> None:
        self._policy, self._world, self._asked = policy, world, asked
        self._ambiguous = world.flag("ambiguous")
        self._stand = stand(world, asked)

    def verdicts(self, unit: Unit) -> Verdicts:
        """The steps of a decision by the plan of this unit."""
        if self._asked.channels is not None and unit.pattern is not None:
            names: Mapping[str, Value] = {**self._stand.names, "vars": self._asked.channels.variables(unit.pattern)}
            self._stand = replace(self._stand, names=names, place=unit.pattern.text)
        formulas = Formulas(self._policy, self._world, self._stand)
        passed = [self._identified()]
        for deny in unit.plan.denies:
            passed.append(formulas.outcome(deny.when).false)
            if deny.looks:
                passed.append(opposite(self._ambiguous))
        rules = tuple((rule, self._holds(rule)) for rule in unit.plan.rules)
        return Verdicts(passes=every(passed), rules=rules)

    def _identified(self) -> z3.BoolRef:
        if self._asked.service is not None or self._policy.guests:
            return TRUE
        return self._world.text("user").term("string") != z3.StringVal("")

    def _holds(self, rule: RulePlan) -> z3.BoolRef:
        """That a rule holds, its obligations included."""
        own, needs = self._stand, []
        if rule.pattern is not None and self._asked.channels is not None:
            own = replace(own, names={**own.names, "vars": self._asked.channels.variables(rule.pattern)}, place=rule.pattern.text)
            needs.append(self._asked.channels.matched(rule.pattern))
        if rule.looks:
            needs.append(opposite(self._ambiguous))
        if rule.schema is not None:
            own = replace(own, payload=self._asked.payloads.fitted(rule.schema), digest=rule.schema.digest)
            needs.append(self._asked.payloads.accepted(rule.schema))
        if rule.obligations.stamp:
            needs.append(opposite(unlike(self._asked.payloads.sent, "map")))
        formulas = Formulas(self._policy, self._world, own)
        if rule.when is not None:
            needs.append(formulas.outcome(rule.when).true)
        return every((*needs, *_met(formulas, rule.obligations, self._world)))


def _met(formulas: Formulas, obligations: Obligations, world: World) -> Sequence[z3.BoolRef]:
    """That the obligations of a rule can be met."""
    met = [formulas.outcome(code).fine for code in obligations.codes]
    texts = [code for code in (obligations.tags, obligations.idempotency) if code]
    met += [opposite(unlike(value, "string")) for code in texts for value in _values(formulas, code)]
    if obligations.limit is not None and "client" in obligations.limit.per:
        met.append(opposite(world.flag("client!absent")))
    return met


def _values(formulas: Formulas, code: Code) -> Sequence[Value]:
    """The value of an expression, or those of the map that it is."""
    found = formulas.outcome(code).value
    return [*found.entries.values()] if isinstance(found, Built) and found.entries is not None else [found]
