"""A client calls a method."""

from proxy.errors import DeliveryFault, FactFault, Overload
from proxy.hooks.answers import FAILED, LATER, Answers
from proxy.hooks.command import Command
from proxy.hooks.ports import Applications, Clock, Courier, Decider
from proxy.policy.decision import UNCHANGED, Allow, Deny, Forwarding, Reading, Request
from proxy.wire import api
from proxy.wire.api import Result
from proxy.wire.read import ambiguous
from proxy.wire.replies import Answered, Refused
from proxy.wire.requests import RpcRequest


class Rpc(Command[RpcRequest, Answered]):
    """Asks whether the user may call the method, and answers with what its policy computes, an application says, or a channel holds."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock, applications: Applications, courier: Courier) -> None:
        super().__init__(gate, answers, clock)
        self._applications = applications
        self._courier = courier

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

    def grant(self, allow: Allow, asked: Request) -> Answered | Refused:  # noqa: ARG002 - nothing is kept of it
        """What an allowed call is answered whose answer the policy computes."""
        return Answered(data=None if allow.data is UNCHANGED else allow.data)

    async def __call__(self, command: RpcRequest) -> Answered | Refused:
        """Answer the hook."""
        asked = self.ask(command, self._clock())
        found = await self._gate.decide(asked)
        if isinstance(found, Deny) or found.answer is None:
            return self._reply(found, asked)
        try:
            if isinstance(found.answer, Forwarding):
                return Answered(data=await self._forwarded(asked, found.answer))
            return await self._read(found.answer)
        except (FactFault, DeliveryFault):
            return FAILED
        except Overload:
            return LATER

    async def _forwarded(self, asked: Request, to: Forwarding) -> object:
        told = {"user": asked.user, "client": asked.client, "meta": asked.meta, "data": asked.data}
        return await self._applications.forward(to.remote, to.path, told)

    async def _read(self, what: Reading) -> Answered | Refused:
        """What the channel holds; that the user may see it there was part of the decision."""
        limit = {} if what.limit is None else {"limit": what.limit}
        outcome = await self._courier.send(api.Command(method=what.kind, params={"channel": what.channel, **limit}))
        return Answered(data=dict(outcome.fields)) if isinstance(outcome, Result) else FAILED
