"""A client wants to write a key of a map channel."""

from proxy.hooks.answers import Answers
from proxy.hooks.payload import outgoing
from proxy.hooks.ports import Clock, Decider
from proxy.policy.decision import Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import MapPublished, MapPublishReply
from proxy.wire.requests import MapPublishRequest


class MapPublish:
    """Asks whether the user may write the key; what a rule looked at goes out as the rule saw it."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock) -> None:
        self._gate = gate
        self._answers = answers
        self._clock = clock

    async def __call__(self, request: MapPublishRequest) -> MapPublishReply:
        """Answer the hook."""
        decision = await self._gate.decide(
            Request(
                op="map_publish",
                user=request.user,
                channel=request.channel,
                key=request.key,
                client=request.client,
                transport=request.transport,
                data=request.data,
                ambiguous=ambiguous(request.raw),
                meta=request.meta,
                timestamp_ms=self._clock(),
            )
        )
        if not isinstance(decision, Allow):
            return self._answers.command(decision)
        return MapPublished(
            data=outgoing(decision),
            tags=decision.tags or {},
            idempotency_key=decision.idempotency_key or None,
        )
