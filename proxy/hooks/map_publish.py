"""A client wants to write a key of a map channel."""

from proxy.hooks.command import Command
from proxy.hooks.payload import outgoing
from proxy.policy.decision import Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import MapPublished
from proxy.wire.requests import MapPublishRequest


class MapPublish(Command[MapPublishRequest, MapPublished]):
    """Asks whether the user may write the key; what a rule looked at goes out as the rule saw it."""

    def ask(self, command: MapPublishRequest, now_ms: int) -> Request:
        """What the gate is asked."""
        return Request(
            op="map_publish",
            user=command.user,
            channel=command.channel,
            key=command.key,
            client=command.client,
            transport=command.transport,
            data=command.data,
            ambiguous=ambiguous(command.raw),
            meta=command.meta,
            timestamp_ms=now_ms,
        )

    def grant(self, allow: Allow, asked: Request) -> MapPublished:  # noqa: ARG002 - nothing is kept of it
        """What an allowed write is answered."""
        return MapPublished(
            data=outgoing(allow),
            tags=allow.tags or {},
            idempotency_key=allow.idempotency_key or None,
        )
