"""What a checked policy set says, ready to be decided: for each pattern and operation its denies and rules, in order."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from proxy.policy.checking.world import Code
from proxy.policy.patterns import Pattern
from proxy.policy.reading.obligations import Allow
from proxy.policy.schemas import Schema


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DenyPlan:
    """`deny NAME`; `id` and `at` name it in decisions."""

    id: str
    at: str
    reason: str
    when: Code
    looks: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LimitPlan:
    """`limit`; `per` names the parts of the bucket's key."""

    rate: int
    per_ms: int
    burst: int
    per: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Obligations:
    """What an allow rule adds for one operation."""

    stamp: tuple[tuple[str, Code], ...] = ()
    tags: Code | None = None
    skip_history: bool = False
    idempotency: Code | None = None
    info: Code | None = None
    data: Code | None = None
    expire_ms: int | None = None
    jitter: int = 0
    limit: LimitPlan | None = None

    @property
    def codes(self) -> tuple[Code, ...]:
        """The expressions among them, in the order of evaluation."""
        rest = (self.tags, self.idempotency, self.info, self.data)
        return (*(code for _, code in self.stamp), *(code for code in rest if code))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RulePlan:
    """`allow` for one operation; `looks` says that it looks at the payload, `pattern` is the `on` of a service rule."""

    id: str
    at: str
    schema: Schema | None
    when: Code | None
    obligations: Obligations
    looks: bool
    pattern: Pattern | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One operation on one pattern (or connect, an rpc, a service's method)."""

    denies: tuple[DenyPlan, ...] = ()
    rules: tuple[RulePlan, ...] = ()

    @property
    def codes(self) -> tuple[Code, ...]:
        """All its expressions."""
        codes = [deny.when for deny in self.denies]
        for rule in self.rules:
            codes += (*((rule.when,) if rule.when else ()), *rule.obligations.codes)
        return tuple(codes)

    @property
    def reads(self) -> frozenset[str]:
        """The built-in names that it may look at, `data` also where a schema does."""
        looks = any(rule.schema for rule in self.rules)
        return frozenset(("data",) if looks else ()).union(*(code.uses.names for code in self.codes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectPlan:
    """`connect`; without a block one rule without conditions."""

    plan: Plan
    channels: tuple[Code, ...] = ()
    data: Code | None = None
    expire_ms: int | None = None
    jitter: int = 0

    @property
    def codes(self) -> tuple[Code, ...]:
        """All its expressions."""
        return (*self.plan.codes, *self.channels, *((self.data,) if self.data else ()))

    @property
    def reads(self) -> frozenset[str]:
        """The built-in names that it may look at."""
        return self.plan.reads.union(*(code.uses.names for code in self.codes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPlan:
    """How an allowed rpc is answered: forwarded, by a value, or by reading a channel."""

    kind: Literal["forward", "value", "presence", "history"]
    value: Code | None = None
    limit: int | None = None
    remote: str = ""
    path: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RpcPlan:
    """`rpc "METHOD"`."""

    plan: Plan
    answer: AnswerPlan


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PersonPlan:
    """The expressions of an identity."""

    user: Code | None
    meta: Code | None
    info: Code | None
    expire: Code | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """Everything that can be decided; channel plans by operation."""

    channels: tuple[tuple[Pattern, Mapping[str, Plan]], ...]
    connect: ConnectPlan
    rpcs: Mapping[str, RpcPlan]
    services: Mapping[str, Mapping[str, Plan]]
    people: Mapping[str, PersonPlan]

    def reads(self, operation: str) -> frozenset[str]:
        """The built-in names that deciding about `connect`, or an operation of channels on any of them, may look at."""
        if operation == "connect":
            return self.connect.reads
        return frozenset[str]().union(*(plans[operation].reads for _, plans in self.channels if operation in plans))

    def resting_on(self, facts: frozenset[str]) -> frozenset[str]:
        """The connections and subscriptions about which such facts may decide, as the ids of their rules begin."""
        subscribe = {f"{pattern.text}/subscribe": plans["subscribe"] for pattern, plans in self.channels if "subscribe" in plans}
        units: Mapping[str, Plan | ConnectPlan] = {"connect": self.connect, **subscribe}
        return frozenset(name for name, unit in units.items() if any(code.uses.facts & facts for code in unit.codes))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An invariant: on channels of `pattern` nothing of this is allowed while `when` is true (none: ever).

    `text` is the statement up to its condition, `at` is `file:line`. `operations` are those of users, of guests alone if `guests`;
    `services` are the methods of each service.
    """

    text: str
    at: str
    pattern: Pattern
    operations: tuple[str, ...]
    guests: bool
    services: Mapping[str, tuple[str, ...]]
    when: Code | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A rule for one operation beside its statement, for those who judge it."""

    operation: str
    node: Allow
    plan: RulePlan
