"""A client wants to remove a key of a map channel."""

from proxy.hooks.command import Command
from proxy.policy.decision import Allow, Request
from proxy.wire.replies import MapRemoved
from proxy.wire.requests import MapRemoveRequest


class MapRemove(Command[MapRemoveRequest, MapRemoved]):
    """Asks whether the user may remove the key."""

    def ask(self, command: MapRemoveRequest, now_ms: int) -> Request:
        """What the gate is asked."""
        return Request(
            op="map_remove",
            user=command.user,
            channel=command.channel,
            key=command.key,
            client=command.client,
            transport=command.transport,
            meta=command.meta,
            timestamp_ms=now_ms,
        )

    def grant(self, allow: Allow, asked: Request) -> MapRemoved:  # noqa: ARG002 - nothing is kept of it
        """What an allowed removal is answered."""
        return MapRemoved(tags=allow.tags or {}, idempotency_key=allow.idempotency_key or None)
