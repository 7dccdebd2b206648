"""Decides a request: pure, total, without I/O, clock or environment.

Each step asks the compiled expressions; where one raises it is evaluated again, exactly. Facts that are missing do not
end the decision: the steps behind them are tried too, so that one answer names all that can still matter.
"""

from proxy.policy.checking.plan import AnswerPlan, ConnectPlan, Plan, Plans, RulePlan
from proxy.policy.deciding.context import LostFact, Missing
from proxy.policy.deciding.evaluate import Statics
from proxy.policy.deciding.inquiry import Inquiry
from proxy.policy.deciding.settle import grant, settle
from proxy.policy.decision import RENEWALS, Allow, Deny, Facts, Forwarding, NeedFacts, Reading, Request
from proxy.policy.failure import Failed
from proxy.policy.functions import text
from proxy.policy.patterns import Index, well_formed

Outcome = Allow | Deny | NeedFacts
_NONE = Plan()


class Decider:
    """Decides with the plans of one policy set; safe to share, nothing changes in it."""

    def __init__(self, plans: Plans, statics: Statics, revision: str, *, guests: bool) -> None:
        self.plans, self.statics, self.revision, self.guests = plans, statics, revision, guests
        self.index = Index(plans.channels)

    def decide(self, request: Request, facts: Facts) -> Outcome:
        """The decision, or the facts it needs; whatever goes wrong inside denies."""
        try:
            return Decision(self, request, facts, {}).decide()
        except Exception as error:  # noqa: BLE001 - total: an unforeseen failure is a refusal
            return Deny(reason="error", revision=self.revision, detail=type(error).__name__)


class Decision(Inquiry):
    """One decision; its parts (server-side subscriptions, answers that read a channel) share what was read."""

    __slots__ = ()
    by: Decider

    def decide(self) -> Outcome:
        """The decision on the request."""
        request = self.request
        if request.service is not None:
            return self._service(request)
        if not request.user and (request.user is None or not self.by.guests):
            return self.deny("no_identity")
        operation = RENEWALS.get(request.op, request.op)
        if operation == "connect":
            return self._connect(renewal=operation != request.op)
        if operation == "rpc":
            return self._rpc(request)
        return self._channel(request.channel or "", operation)

    def _channel(self, channel: str, operation: str) -> Outcome:
        found = self.by.index.find(channel)
        if found is None:
            return self.deny("no_channel" if well_formed(channel) else "bad_channel")
        plans, self.vars = found
        plan = plans.get(operation)
        return self.deny("no_rule") if plan is None else settle(self, plan, grant)

    def _service(self, request: Request) -> Outcome:
        plans = self.by.plans.services.get(request.service or "")
        if plans is None:
            return self.deny("no_identity")
        if request.channel is not None and not well_formed(request.channel):
            return self.deny("bad_channel")
        return settle(self, plans.get(request.op, _NONE), grant)

    def _connect(self, *, renewal: bool) -> Outcome:
        connect = self.by.plans.connect

        def finish(_: Inquiry, rule: RulePlan) -> Allow:
            allow = grant(self, rule)
            if connect.data is not None:
                allow.data = self.value(connect.data)
            allow.expire_ms, allow.jitter = connect.expire_ms, connect.jitter
            return allow

        found = settle(self, connect.plan, finish, late=connect.data)
        if not renewal and not isinstance(found, Deny):
            self._subscriptions(connect, found if isinstance(found, Allow) else None)
        return NeedFacts(keys=self.needs) if self.needs else found

    def _subscriptions(self, connect: ConnectPlan, allow: Allow | None) -> None:
        channels: dict[str, Allow] = {}
        refused: dict[str, Deny] = {}
        for code in connect.channels:
            try:
                channel = text(self.value(code))
            except Missing as missing:
                self.needs |= missing.keys
            except (Failed, LostFact) as error:
                refused[f"<{code.node.at}>"] = self.deny("fact_error" if isinstance(error, LostFact) else "error", detail=str(error))
            else:
                if channel not in channels and channel not in refused:
                    self._part("subscribe", channel, channels, refused)
        if allow is not None:
            allow.channels, allow.left_out = channels, refused

    def _part(self, op: str, channel: str, allowed: dict[str, Allow], refused: dict[str, Deny]) -> None:
        """The decision on another operation of the same user."""
        own = self.request
        request = Request(
            op=op,
            user=own.user,
            channel=channel,
            client=own.client,
            transport=own.transport,
            meta=own.meta,
            labels=own.labels,
            timestamp_ms=own.timestamp_ms,
        )
        part = Decision(self.by, request, self.facts, self.read, self.watch)
        part.left = self.left
        found = part.decide()
        self.left = part.left
        if isinstance(found, Allow):
            allowed[channel] = found
        elif isinstance(found, Deny):
            refused[channel] = found
        else:
            self.needs |= found.keys

    def _rpc(self, request: Request) -> Outcome:
        found = self.by.plans.rpcs.get(request.method or "")
        if found is None:
            return self.deny("no_method")
        answered = settle(self, found.plan, grant)
        if isinstance(answered, Deny):
            return answered
        refusal = self._answer(found.answer, answered)
        if self.needs:
            return NeedFacts(keys=self.needs)
        return refusal or answered

    def _answer(self, answer: AnswerPlan, found: Allow | NeedFacts) -> Deny | None:
        if answer.value is None:
            if isinstance(found, Allow):
                found.answer = Forwarding(remote=answer.remote, path=answer.path)
            return None
        try:
            value = self.value(answer.value)
            channel = "" if answer.kind == "value" else text(value)
        except Missing as missing:
            self.needs |= missing.keys
            return None
        except (Failed, LostFact) as error:
            return self.deny("fact_error" if isinstance(error, LostFact) else "error", detail=str(error))
        if answer.kind == "value":
            if isinstance(found, Allow):
                found.data = value
            return None
        return self._read(answer, channel, found)

    def _read(self, answer: AnswerPlan, channel: str, found: Allow | NeedFacts) -> Deny | None:
        allowed: dict[str, Allow] = {}
        refused: dict[str, Deny] = {}
        self._part(answer.kind, channel, allowed, refused)
        if channel in allowed and isinstance(found, Allow):
            found.answer = Reading(kind=answer.kind, channel=channel, limit=answer.limit)  # type: ignore[arg-type]  # the two that read
        return refused.get(channel)
