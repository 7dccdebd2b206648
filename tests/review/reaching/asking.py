"""Asks who can do something, and decides by what a survey leaves of a policy, with the evaluator that policies are decided by."""

import copy
import dataclasses
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from proxy.policy.checking.plan import Plan, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.deciding.evaluate import Statics
from proxy.policy.deciding.inquiry import Inquiry
from proxy.policy.deciding.settle import grant, settle
from proxy.policy.decision import Allow, Deny, FactKey, Facts, Known, Lost, NeedFacts, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Expression
from proxy.review.comparing.course import Unit
from proxy.review.reaching.entrances import Answer, Query, answer
from proxy.review.reaching.survey import Reach
from proxy.review.reaching.telling import as_lines

SCHEMAS: Final = {"schemas/text.json": b'{"type": "object", "properties": {"text": {"type": "string"}}}'}


def _anew(_context: object, _request: object) -> object:
    raise ValueError("only the exact evaluation knows what remains")


def _code(code: Code, node: Expression) -> Code:
    return dataclasses.replace(code, node=node, run=_anew)


def remaining(unit: Unit, reach: Reach) -> Plan:
    """The plan with what remains in place of what the policy says; denies and rules of which nothing remains are gone."""
    bans, ways = {ban.rule: ban for ban in reach.bans}, {way.rule: way for way in reach.ways}
    denies = [dataclasses.replace(each, when=_code(each.when, bans[each.id].when)) for each in unit.plan.denies if each.id in bans]
    rules = [_rule(each, ways[each.id].when) for each in unit.plan.rules if each.id in ways]
    return Plan(denies=tuple(denies), rules=tuple(rules))


def _rule(rule: RulePlan, when: Expression) -> RulePlan:
    return rule if rule.when is None else dataclasses.replace(rule, when=_code(rule.when, when))


def _statics(statics: Statics, lets: Mapping[str, Expression]) -> Statics:
    found = [
        dataclasses.replace(each, value=_code(each.value, lets[each.name])) if each.name in lets else each for each in statics.bindings
    ]
    return dataclasses.replace(statics, bindings=found)


def decided(policy: Policy, plan: Plan, lets: Mapping[str, Expression], request: Request, facts: Facts) -> Allow | Deny | NeedFacts:
    """The decision on a request that gets to this plan."""
    by = copy.copy(policy.decider)
    by.statics = _statics(by.statics, lets)
    inquiry = Inquiry(by, request, facts, {}, lambda _node, _outcome: None)
    found = policy.decider.index.find(request.channel or "")
    inquiry.vars = found[1] if found else {}
    return settle(inquiry, plan, grant)


def named(found: Allow | Deny | NeedFacts) -> str:
    """The rule that allows; nothing for a refusal."""
    return found.rule if isinstance(found, Allow) else ""


def answered(text: str, operation: str, target: str | None = None, **asked: Any) -> Answer:  # noqa: ANN401 - what a query has, and facts
    """The answer of a policy whose first line is `language 1;`; `facts` are by names and arguments."""
    loaded = load({"p.policy": f"language 1;\n{text}".encode(), **SCHEMAS})
    assert loaded.policy, [str(finding) for finding in loaded.findings]
    facts = Given(asked.pop("facts", {}))
    names = {sha256(raw).hexdigest(): name for name, raw in SCHEMAS.items()}
    return answer(loaded.policy, names, Query(operation=operation, target=target, **asked), facts)


def lines(text: str, operation: str, target: str | None = None, **asked: Any) -> list[str]:  # noqa: ANN401 - likewise
    """What is printed, but for what was asked."""
    guests = "guest;" in text
    return [str(line) for line in as_lines(answered(text, operation, target, **asked), guests=guests)][1:]


class Given:
    """Facts that are said; all others are lost."""

    def __init__(self, said: Mapping[FactKey, object]) -> None:
        self._said = said

    def get(self, key: FactKey, /) -> Known | Lost:
        return Known(value=self._said[key]) if key in self._said else Lost(why="not said")
