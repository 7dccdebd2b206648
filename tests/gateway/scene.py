"""A gateway whose policy is a function and whose Centrifugo keeps what it is sent."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from proxy.errors import Fault, SetupFault, StoreFault
from proxy.gateway.api import Caller, Gateway
from proxy.gateway.keys import Keys
from proxy.gateway.own import Own
from proxy.gateway.post import Post
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.declared import Service, Variable
from proxy.wire.api import METHOD_NOT_FOUND, ApiError, Command, Outcome, Result
from proxy.wire.connections import Connection

NOW = 1_700_000_000_000
Rule = Callable[[Request], Allow | Deny]

ERRORS = {
    100: "internal server error",
    103: "permission denied",
    104: METHOD_NOT_FOUND.message,
    107: "bad request",
    108: "not available",
    111: "too many requests",
}

allow = partial(Allow, rule="service/orders/publish/1", at="x.policy:1", revision="r", facts={})


def deny(reason: str) -> Deny:
    return Deny(reason=reason)


def error(code: int) -> dict[str, Any]:
    return {"error": {"code": code, "message": ERRORS[code]}}


def by_channel(**verdicts: Allow | Deny) -> Rule:
    return lambda request: verdicts[str(request.channel)]


def everything(_request: Request) -> Allow:
    return allow()


def nothing(_request: Request) -> Deny:
    return deny("no_rule")


def orders(delivery: Literal["direct", "durable"] = "direct") -> Service:
    return Service(name="orders", key=Variable(name="ORDERS_KEY"), delivery=delivery)


ORDERS = Caller(service=orders())
KEEPING = Caller(service=orders("durable"))


class Gate:
    """Decides by a function, which stands for a policy; holds every decision back until all that were asked with it are."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[Request] = []

    async def decide(self, request: Request) -> Allow | Deny:
        self.asked.append(request)
        await asyncio.sleep(0)
        return self.rule(request)


class Centrifugo:
    """Answers as Centrifugo does, with the channel as epoch, and keeps what it was sent; `bad` is refused, faults are raised by channel.

    `log` holds `>` and the first channel or the method when a command comes, `<` when it is answered.
    """

    def __init__(self, answer: Outcome | Exception | None = None, **faults: Exception) -> None:
        self.answer = answer
        self.faults = faults
        self.sent: list[tuple[str, Any]] = []
        self.log: list[str] = []

    async def send(self, command: Command) -> Outcome:
        name = (*command.channels, command.method)[0]
        self.sent.append((command.method, command.params))
        self.log.append(f">{name}")
        await asyncio.sleep(0)
        self.log.append(f"<{name}")
        fault = self.faults.get(name, self.answer)
        if isinstance(fault, Exception):
            raise fault
        if self.answer is not None:
            assert not isinstance(self.answer, Exception)
            return self.answer
        if command.method == "broadcast":
            return Result(fields={"responses": [self.reply(channel).members() for channel in command.channels]})
        return self.reply(name)

    def reply(self, name: str) -> Outcome:
        return ApiError(code=107, message=ERRORS[107]) if name == "bad" else Result(fields={"epoch": name})


class Box:
    """Keeps what it is given, or raises; writes into the log of Centrifugo when."""

    def __init__(self, log: list[str], fault: Fault | None = None) -> None:
        self.kept: list[Sequence[Command]] = []
        self.log = log
        self.fault = fault

    async def accept(self, commands: Sequence[Command]) -> None:
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        self.kept.append(commands)
        self.log.append("kept")


class People:
    """Keeps its orders; `away` makes it fail. It knows one token, `j`, and one connection."""

    def __init__(self) -> None:
        self.orders: list[tuple[object, ...]] = []
        self.away = False

    async def block(self, user: str, until_s: int | None) -> None:
        if self.away:
            raise StoreFault("the store is away")
        self.orders.append(("block", user, until_s))

    async def unblock(self, user: str) -> None:
        self.orders.append(("unblock", user))

    async def revoke(self, token: str) -> bool:
        self.orders.append(("revoke", token))
        return token == "j"

    async def outdate(self, user: str, before_s: int | None, channel: str | None) -> None:
        self.orders.append(("outdate", user, before_s, channel))

    def connections(self, user: str | None) -> Sequence[Connection]:
        self.orders.append(("connections", user))
        return [Connection(client="c1", user="42", transport="sse", name="app", version="2", channels=("doc:7",))]


@dataclass(kw_only=True)
class Told:
    """A gateway and, after a call, what it did; iterates as the answer, what went out, what was decided."""

    gate: Gate
    centrifugo: Centrifugo
    box: Box
    people: People = field(default_factory=People)
    forgotten: list[str] = field(default_factory=list)
    unusable: bool = False
    status: int = 0
    answer: Any = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.answer, self.sent, self.gate.asked))

    @property
    def sent(self) -> list[tuple[str, Any]]:
        return self.centrifugo.sent

    @property
    def gateway(self) -> Gateway:
        return Gateway(self.gate, Keys([], {}), Post(self.centrifugo, self.box, Own(self.people, self._forget, self._reload)), lambda: NOW)

    async def _forget(self, topics: Collection[str]) -> int:
        self.centrifugo.log.append("forgotten")
        self.forgotten += topics
        return len(topics)

    async def _reload(self) -> str:
        if self.unusable:
            raise SetupFault("a.policy:1:1: it cannot be used")
        return "rev2"


async def ask(
    method: str,
    body: object,
    rule: Rule = everything,
    centrifugo: Centrifugo | None = None,
    caller: Caller = ORDERS,
    fault: Fault | None = None,
) -> Told:
    """Call a method; without one, the body is what `/api` takes. `fault` is what becomes of all that shall be kept."""
    server = centrifugo or Centrifugo()
    told = Told(gate=Gate(rule), centrifugo=server, box=Box(server.log, fault))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await (told.gateway.call(method, caller, raw) if method else told.gateway.lines(caller, raw))
    told.status = reply.status
    told.answer = json.loads(reply.body) if method else [json.loads(line) for line in reply.body.splitlines()]
    return told
