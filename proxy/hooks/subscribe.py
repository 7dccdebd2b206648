"""A client wants to subscribe without a token."""

from proxy.hooks import leases
from proxy.hooks.answers import Answers
from proxy.hooks.command import Command
from proxy.hooks.ports import Clock, Decider, Ledger
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Subscribed
from proxy.wire.requests import SubscribeRequest


class Subscribe(Command[SubscribeRequest, Subscribed]):
    """Asks whether the user may subscribe to the channel; a subscription has the lease of its rule."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock, ledger: Ledger) -> None:
        super().__init__(gate, answers, clock)
        self._ledger = ledger

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

    def grant(self, allow: Allow, asked: Request) -> Subscribed:
        """What an allowed subscription is answered; it is noted first."""
        end = leases.end(allow, asked.timestamp_ms or 0)
        self._ledger.subscribed(asked, allow, end)
        return Subscribed(
            expire_at=end,
            info=None if allow.info is UNCHANGED else allow.info,
            data=None if allow.data is UNCHANGED else allow.data,
        )
