"""Who may do something: what remains of the denies and rules once the channel, or the user, is known.

It never says more than the policy grants: where it leaves no condition, every request that it speaks of is allowed as long as the facts
that are read can be loaded, and a limit is not used up.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from proxy.policy.checking.plan import Plan
from proxy.policy.decision import FactKey, Facts, Request
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Expression
from proxy.review.residue import FALSE, TRUE, joined, negation

_PLAIN: Final = frozenset(("vars", "timestamp_ms", "user", "op", "name", "version", "method", "service"))
"""Names that every request has and whose members, if any, are known."""

_FREE: Final = frozenset(("expire_ms", "jitter", "limit", "skip_history"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A deny and what remains of its condition."""

    rule: str
    at: str
    when: Expression


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A rule, what remains of its condition, what else must be so, and its limit."""

    rule: str
    at: str
    when: Expression
    provided: tuple[str, ...] = ()
    limit: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Who gets there: by one of the ways if none of the bans holds. `lets` are those that the conditions still name, by name."""

    bans: tuple[Ban, ...] = ()
    ways: tuple[Way, ...] = ()
    lets: Mapping[str, Expression] = dataclasses.field(default_factory=dict)

    @property
    def condition(self) -> Expression:
        """All of it as one condition, but for what the ways demand besides."""
        if not self.ways:
            return FALSE
        ways = [way.when for way in self.ways]
        reached = TRUE if TRUE in ways else joined("||", ways)
        terms = [*(negation(ban.when) for ban in self.bans), *([] if reached == TRUE else [reached])]
        return joined("&&", terms) if terms else TRUE


class Nothing:
    """No fact at hand."""

    def get(self, _key: FactKey, /) -> None:
        """The fact, which must be loaded first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of requests: `request` says the values of `names`, `variables` those of the pattern, `facts` those at hand."""

    request: Request
    names: frozenset[str]
    variables: Mapping[str, object] | None = None
    facts: Facts = dataclasses.field(default_factory=Nothing)


class Survey:
    """Surveys one policy; `schemas` are the names of its schema files by their digests."""

    def __init__(self, policy: Policy, schemas: Mapping[str, str]) -> None:
        self._policy, self._schemas = policy, schemas
        self._untyped = {name for name, fact in policy.facts.items() if "any" in str(fact.type)}

    def plans(self, service: str | None = None) -> Mapping[str, Plan]:
        """The plans of a service by method."""
        return self._policy.decider.plans.services[service or ""]

    def reach(self, plan: Plan, known: Known) -> Reach:
        """Who gets through a plan."""
        bans: list[Ban] = []
        for deny in plan.denies:
            when = self._residue(known).of(deny.when)
            if when == TRUE:
                return Reach(bans=(_ban(deny, when),))
            if not _never(when) or _reads(when):
                bans.append(_ban(deny, when))
        ways = [*self._ways(plan.rules, known)]
        lets = {}
        for code, when in self._named(plan, bans, ways):
            lets.update(self._lets(code, when))
        return Reach(bans=tuple(ban for ban in bans if not _never(ban.when)), ways=tuple(ways), lets=lets)
