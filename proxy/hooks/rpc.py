"""A client calls a method."""

from proxy.hooks.answers import UNAVAILABLE, Answers
from proxy.hooks.ports import Clock, Decider
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Answered, RpcReply
from proxy.wire.requests import RpcRequest


class Rpc:
    """Asks whether the user may call the method, and gives the answer that its policy computes.

    A method that is answered by an application or by a channel's presence or history is not available yet.
    """

    def __init__(self, gate: Decider, answers: Answers, clock: Clock) -> None:
        self._gate = gate
        self._answers = answers
        self._clock = clock

    async def __call__(self, request: RpcRequest) -> RpcReply:
        """Answer the hook."""
        decision = await self._gate.decide(
            Request(
                op="rpc",
                user=request.user,
                method=request.method,
                client=request.client,
                transport=request.transport,
                data=request.data,
                ambiguous=request.data is not None and ambiguous(request.raw),
                meta=request.meta,
                timestamp_ms=self._clock(),
            )
        )
        if not isinstance(decision, Allow):
            return self._answers.command(decision)
        if decision.answer is not None:
            return UNAVAILABLE
        return Answered(data=None if decision.data is UNCHANGED else decision.data)
