"""The order of a decision: denies, then allow rules; and what the rule that holds grants."""

from collections.abc import Callable
from typing import cast

from proxy.policy.checking.plan import LimitPlan, Plan, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.deciding.context import LostFact, Missing
from proxy.policy.deciding.inquiry import Inquiry
from proxy.policy.decision import Allow, Deny, Limit, NeedFacts, Request
from proxy.policy.failure import Failed
from proxy.policy.functions import text
from proxy.policy.schemas import Schema
from proxy.policy.types import Misfit


class Unfit(Exception):
    """The payload does not fit the rule: by its schema, its kind, or because it can be read in two ways."""


def settle(
    decision: Inquiry, plan: Plan, finish: Callable[[Inquiry, RulePlan], Allow], late: Code | None = None
) -> Allow | Deny | NeedFacts:
    """Denies in order, then rules in order; the first that holds decides. Missing facts are collected up to the first certain end.

    `late` is an expression outside the rules that `finish` needs; its failure refuses instead of trying the next rule.
    """
    found = _denied(decision, plan) or _allowed(decision, plan, finish, late)
    return NeedFacts(keys=decision.needs) if decision.needs else found


def _denied(decision: Inquiry, plan: Plan) -> Deny | None:
    ambiguous = decision.request.ambiguous
    for deny in plan.denies:
        if ambiguous and deny.looks:
            return decision.deny("schema", deny, "the payload can be read in two ways")
        try:
            if decision.value(deny.when):
                return decision.deny(deny.reason, deny)
        except Missing as missing:
            decision.needs |= missing.keys
        except LostFact:
            return decision.deny("fact_error", deny)
        except Failed as failed:
            return decision.deny("error", deny, str(failed))
    return None


def _allowed(decision: Inquiry, plan: Plan, finish: Callable[[Inquiry, RulePlan], Allow], late: Code | None) -> Allow | Deny:
    lost: RulePlan | None = None
    unfit: tuple[RulePlan, str] | None = None
    for rule in plan.rules:
        if rule.pattern is not None and not _on(decision, rule):
            continue
        try:
            if _holds(decision, rule):
                return _finished(decision, rule, finish, late)
        except Unfit as error:
            unfit = unfit or (rule, str(error))
        except Missing as missing:
            decision.needs |= missing.keys
            _look_ahead(decision, rule, late)
        except LostFact:
            lost = lost or rule
        except Failed:
            continue
    if lost:
        return decision.deny("fact_error", lost)
    return decision.deny("schema", *unfit) if unfit else decision.deny("no_rule")


def _on(decision: Inquiry, rule: RulePlan) -> bool:
    channel = decision.request.channel
    found = rule.pattern.matches(channel) if rule.pattern is not None and channel is not None else None
    decision.vars = found or {}
    return found is not None


def _holds(decision: Inquiry, rule: RulePlan) -> bool:
    if rule.looks:
        _fitting(decision.request, rule)
        decision.payload = _fitted(rule.schema, decision.request.data) if rule.schema else decision.request.data
    return rule.when is None or decision.value(rule.when)


def _fitted(schema: Schema, data: object) -> object:
    try:
        return schema.fit(data)
    except Misfit as misfit:
        raise Unfit(str(misfit)) from None


def _fitting(request: Request, rule: RulePlan) -> None:
    if request.ambiguous:
        raise Unfit("the payload can be read in two ways")
    if rule.schema is not None and not rule.schema.accepts(request.data):
        raise Unfit(rule.schema.problem(request.data))
    if rule.obligations.stamp and type(request.data) is not dict:
        raise Unfit("only an object can be stamped")


def _finished(decision: Inquiry, rule: RulePlan, finish: Callable[[Inquiry, RulePlan], Allow], late: Code | None) -> Allow | Deny:
    if late is None:
        return finish(decision, rule)
    try:
        return finish(decision, rule)
    except Failed as failed:
        return decision.deny("error", rule, str(failed))
    except LostFact:
        return decision.deny("fact_error", rule)


def _look_ahead(decision: Inquiry, rule: RulePlan, late: Code | None) -> None:
    """Asks for what the rule will need if it holds."""
    for code in (*rule.obligations.codes, *((late,) if late else ())):
        try:
            decision.value(code)
        except Missing as missing:
            decision.needs |= missing.keys
        except (Failed, LostFact):
            return


def grant(decision: Inquiry, rule: RulePlan) -> Allow:
    """What the rule grants; raises as its obligations do."""
    obligations, request = rule.obligations, decision.request
    allow = Allow(
        rule=rule.id,
        at=rule.at,
        revision=decision.by.revision,
        facts=decision.read,
        expire_ms=obligations.expire_ms,
        jitter=obligations.jitter,
        skip_history=obligations.skip_history,
    )
    if rule.looks and request.op in _PASSED_ON:
        allow.data = _stamped(decision, rule) if obligations.stamp else request.data
    if obligations.tags is not None:
        own = {key: text(value) for key, value in decision.value(obligations.tags).items()}
        allow.tags = {**(request.tags or {}), **own}
    elif request.tags:
        allow.tags = request.tags
    if obligations.idempotency is not None:
        allow.idempotency_key = text(decision.value(obligations.idempotency))
    if obligations.info is not None:
        allow.info = decision.value(obligations.info)
    if obligations.data is not None:
        allow.data = decision.value(obligations.data)
    if obligations.limit is not None:
        allow.limit = _limit(obligations.limit, rule.id, request)
    return allow


_PASSED_ON = frozenset(("publish", "map_publish", "broadcast"))


def _stamped(decision: Inquiry, rule: RulePlan) -> object:
    sent = cast("dict[str, object]", decision.request.data)
    return {**sent, **{key: decision.value(code) for key, code in rule.obligations.stamp}}


def _limit(plan: LimitPlan, rule: str, request: Request) -> Limit:
    parts = {"user": request.user, "channel": request.channel, "client": request.client, "service": request.service}
    key = [parts[name] for name in plan.per]
    if None in key:
        raise Failed("the limit counts by something that this request does not have")
    return Limit(rule=rule, rate=plan.rate, per_ms=plan.per_ms, burst=plan.burst, key=tuple(k or "" for k in key))
