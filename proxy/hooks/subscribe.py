"""A client wants to subscribe without a token."""

from proxy.hooks import leases
from proxy.hooks.answers import Answers
from proxy.hooks.ports import Clock, Decider
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Subscribed, SubscribeReply
from proxy.wire.requests import SubscribeRequest


class Subscribe:
    """Asks whether the user may subscribe to the channel."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock) -> None:
        self._gate = gate
        self._answers = answers
        self._clock = clock

    async def __call__(self, request: SubscribeRequest) -> SubscribeReply:
        """Answer the hook."""
        now_ms = self._clock()
        decision = await self._gate.decide(
            Request(
                op="subscribe",
                user=request.user,
                channel=request.channel,
                client=request.client,
                transport=request.transport,
                data=request.data,
                ambiguous=request.data is not None and ambiguous(request.raw),
                meta=request.meta,
                timestamp_ms=now_ms,
            )
        )
        if not isinstance(decision, Allow):
            return self._answers.command(decision)
        return Subscribed(
            expire_at=leases.end(decision, now_ms),
            info=None if decision.info is UNCHANGED else decision.info,
            data=None if decision.data is UNCHANGED else decision.data,
        )
