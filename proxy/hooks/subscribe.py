"""A client wants to subscribe without a token."""

from proxy.hooks import leases
from proxy.hooks.command import Command
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Subscribed
from proxy.wire.requests import SubscribeRequest


class Subscribe(Command[SubscribeRequest, Subscribed]):
    """Asks whether the user may subscribe to the channel; a subscription has the lease of its rule."""

    def ask(self, command: SubscribeRequest, now_ms: int) -> Request:
        """What the gate is asked."""
        return Request(
            op="subscribe",
            user=command.user,
            channel=command.channel,
            client=command.client,
            transport=command.transport,
            data=command.data,
            ambiguous=command.data is not None and ambiguous(command.raw),
            meta=command.meta,
            timestamp_ms=now_ms,
        )

    def grant(self, allow: Allow, now_ms: int) -> Subscribed:
        """What an allowed subscription is answered."""
        return Subscribed(
            expire_at=leases.end(allow, now_ms),
            info=None if allow.info is UNCHANGED else allow.info,
            data=None if allow.data is UNCHANGED else allow.data,
        )
