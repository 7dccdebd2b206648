"""A client wants to remove a key from a map channel."""

from proxy.hooks.answers import Answers
from proxy.hooks.ports import Clock, Decider
from proxy.policy.decision import Allow, Request
from proxy.wire.replies import MapRemoved, MapRemoveReply
from proxy.wire.requests import MapRemoveRequest


class MapRemove:
    """Asks whether the user may remove the key."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock) -> None:
        self._gate = gate
        self._answers = answers
        self._clock = clock

    async def __call__(self, request: MapRemoveRequest) -> MapRemoveReply:
        """Answer the hook."""
        decision = await self._gate.decide(
            Request(
                op="map_remove",
                user=request.user,
                channel=request.channel,
                key=request.key,
                client=request.client,
                transport=request.transport,
                meta=request.meta,
                timestamp_ms=self._clock(),
            )
        )
        if not isinstance(decision, Allow):
            return self._answers.command(decision)
        return MapRemoved(tags=decision.tags or {}, idempotency_key=decision.idempotency_key or None)
