"""Lets the policy itself decide what a model shows: nothing counts as refuted before that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.policy.checking.plan import Claim
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact
from proxy.policy.decision import Allow, FactKey, Known, Lost, Request
from proxy.policy.policy import Policy
from proxy.review import lines

_DROPPED: Final = ("timestamp_ms", "client", "transport", "key", "labels", "tags", "meta", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A request with its facts, as the command `decide` reads it, and the rule that allows it."""

    request: Mapping[str, Any]
    rule: str
    at: str


def confirm(policy: Policy, claim: Claim, line: Mapping[str, Any]) -> Confirmed | None:
    """The request with no more in it than it needs to break the invariant; None if it does not break it."""
    found = _broken(policy, claim, line)
    if found is None:
        return None
    for name in _DROPPED:
        less = {key: value for key, value in found.request.items() if key != name}
        found = _broken(policy, claim, less) or found
    return found


def _broken(policy: Policy, claim: Claim, line: Mapping[str, Any]) -> Confirmed | None:
    asked = lines.request(line)
    given = lines.Given(policy.facts, line["facts"])
    found = policy.decide(asked, given)
    if not isinstance(found, Allow):
        return None
    read: dict[FactKey, Known | Lost] = {**found.facts}
    if not _about(policy, claim, asked, given, read):
        return None
    texts = [lines.fact_text(key) for key in read]
    facts = {text: line["facts"][text] for text in texts if text in line["facts"]}
    return Confirmed(request={**line, "facts": facts}, rule=found.rule, at=found.at)


def _about(policy: Policy, claim: Claim, asked: Request, given: lines.Given, read: dict[FactKey, Known | Lost]) -> bool:
    """Whether the invariant speaks of this request; its condition is evaluated as exactly as those of rules."""
    variables = claim.pattern.matches(asked.channel or "")
    if variables is None or (claim.guests and asked.user):
        return False
    if claim.when is None:
        return True
    context = Context(asked, given, read)
    context.vars = variables
    return Exact(context, policy.decider.statics, claim.when).whole(claim.when.node) is True
