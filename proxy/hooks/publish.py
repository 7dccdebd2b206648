"""A client wants to publish."""

from proxy.hooks.command import Command
from proxy.hooks.payload import outgoing
from proxy.policy.decision import Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Published
from proxy.wire.requests import PublishRequest


class Publish(Command[PublishRequest, Published]):
    """Asks whether the user may publish this; what a rule looked at goes out as the rule saw it."""

    def ask(self, command: PublishRequest, now_ms: int) -> Request:
        """What the gate is asked."""
        return Request(
            op="publish",
            user=command.user,
            channel=command.channel,
            client=command.client,
            transport=command.transport,
            data=command.data,
            ambiguous=ambiguous(command.raw),
            meta=command.meta,
            timestamp_ms=now_ms,
        )

    def grant(self, allow: Allow, asked: Request) -> Published:  # noqa: ARG002 - nothing is kept of it
        """What an allowed publication is answered."""
        return Published(
            data=outgoing(allow),
            tags=allow.tags or {},
            skip_history=allow.skip_history,
            idempotency_key=allow.idempotency_key or None,
        )
