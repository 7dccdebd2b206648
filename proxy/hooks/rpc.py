"""A client calls a method."""

from proxy.hooks.answers import UNAVAILABLE
from proxy.hooks.command import Command
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.read import ambiguous
from proxy.wire.replies import Answered, Refused
from proxy.wire.requests import RpcRequest


class Rpc(Command[RpcRequest, Answered]):
    """Asks whether the user may call the method, and gives the answer that its policy computes.

    Methods answered by an application or by a channel's presence or history do not pass the start of the service yet; if one got here,
    it would not be available.
    """

    def ask(self, command: RpcRequest, now_ms: int) -> Request:
        """What the gate is asked."""
        return Request(
            op="rpc",
            user=command.user,
            method=command.method,
            client=command.client,
            transport=command.transport,
            data=command.data,
            ambiguous=command.data is not None and ambiguous(command.raw),
            meta=command.meta,
            timestamp_ms=now_ms,
        )

    def grant(self, allow: Allow, now_ms: int) -> Answered | Refused:  # noqa: ARG002 - an answer has no end
        """What an allowed call is answered."""
        if allow.answer is not None:
            return UNAVAILABLE
        return Answered(data=None if allow.data is UNCHANGED else allow.data)
