"""The server API as backends see it: every channel of every command is decided, what is allowed goes out rebuilt."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Final, Literal, Protocol

from proxy.errors import Malformed, TooLarge, Unauthorized
from proxy.gateway.parcels import Asking, Errand
from proxy.gateway.post import BUSY, FAILED, Post
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.declared import Service
from proxy.wire.api import (
    METHOD_NOT_FOUND,
    STATUSES,
    ApiError,
    Command,
    Outcome,
    decode_batch,
    decode_command,
    decode_lines,
    encode_error,
    encode_lines,
    encode_outcome,
    encode_outcomes,
)
from proxy.wire.codes import ErrorCode
from proxy.wire.methods import METHODS

DECISIONS: Final = 10_000
"""Decisions that one call may need: one for each channel that it names, and one for each command without a channel."""

_TOGETHER: Final = 64
"""Decisions made at a time: enough to load their facts together, few enough not to hold up the event loop or the database."""

_FORBIDDEN: Final = ApiError(code=ErrorCode.PERMISSION_DENIED, message="permission denied")
_UNREADABLE: Final = ApiError(code=ErrorCode.BAD_REQUEST, message="bad request")
_REFUSALS: Final = {
    "bad_channel": _UNREADABLE,
    "schema": _UNREADABLE,
    "limit": BUSY,
    "fact_error": FAILED,
}
"""The answer to each reason; a deny's name and the rest are forbidden."""


class Keys(Protocol):
    """Who has which key."""

    def service(self, credential: str | None) -> Service | None:
        """Give the service that the presented key belongs to, None for a wrong or missing one."""


class Decider(Protocol):
    """Where decisions come from."""

    async def decide(self, request: Request) -> Allow | Deny:
        """Decide one request; takes one token of the limit of the rule that allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose call it is and how it wants to be served.

    `delivery` is its choice for publications, None for that of its service; a service that is declared `direct` has none, since the
    outbox costs what others must pay for: `Malformed`. With `transport` an error is told by the status, too.
    """

    service: Service
    delivery: Literal["direct", "durable"] | None = None
    transport: bool = False

    def __post_init__(self) -> None:
        if self.delivery == "durable" and self.service.delivery == "direct":
            message = f"the service {self.service.name} may not choose durable delivery: its policy does not say delivery durable"
            raise Malformed(message)

    @property
    def durable(self) -> bool:
        """Whether publications are kept in the outbox."""
        return (self.delivery or self.service.delivery) == "durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a call: a status and a body of JSON."""

    status: int
    body: bytes


class Gateway:
    """Answers calls of the server API; `keys` tells whose they are, `clock` gives epoch milliseconds.

    Each call answers as Centrifugo would; what is refused or cannot be delivered is an error, for that item alone. A command with two
    readings (see `Request.ambiguous`) is refused, because what goes out is written anew. All raise `Malformed` for a body that
    Centrifugo would not read, `TooLarge` for more than `DECISIONS`, `Unauthorized` when the policy does not know the service, and
    `Overload` when too much waits already; nothing was sent then.
    """

    def __init__(self, gate: Decider, keys: Keys, post: Post, clock: Callable[[], int]) -> None:
        self.keys = keys
        self._gate = gate
        self._post = post
        self._clock = clock

    async def call(self, method: str, caller: Caller, body: bytes) -> Reply:
        """Answer a call of `/api/METHOD`."""
        if method == "batch":
            batch = decode_batch(body)
            outcomes = await self._answer(caller, batch.commands, parallel=batch.parallel)
            named = [(_method(item), outcome) for item, outcome in zip(batch.commands, outcomes, strict=True)]
            return Reply(status=HTTPStatus.OK, body=encode_outcomes(named))
        if method not in METHODS:
            return Reply(status=HTTPStatus.NOT_FOUND, body=encode_outcome(METHOD_NOT_FOUND))
        (outcome,) = await self._answer(caller, (decode_command(method, body),), parallel=True)
        if caller.transport and isinstance(outcome, ApiError):
            return Reply(status=STATUSES.get(outcome.code, HTTPStatus.INTERNAL_SERVER_ERROR), body=encode_error(outcome))
        return Reply(status=HTTPStatus.OK, body=encode_outcome(outcome))

    async def lines(self, caller: Caller, body: bytes) -> Reply:
        """Answer a call of `/api`, whose body names the methods."""
        lines = decode_lines(body)
        outcomes = await self._answer(caller, [line.command for line in lines], parallel=False)
        return Reply(status=HTTPStatus.OK, body=encode_lines([*zip(lines, outcomes, strict=True)]))

    async def _answer(self, caller: Caller, items: Sequence[Command | ApiError], *, parallel: bool) -> list[Outcome]:
        asking = Asking(service=caller.service.name, timestamp_ms=self._clock())
        commands = [item for item in items if isinstance(item, Command)]
        errands = [Errand(command=command, requests=[*asking.requests(command)]) for command in commands]
        await self._judge([(errand, request) for errand in errands for request in errand.requests])
        parcels = [errand.parcels() for errand in errands]
        together = [parcel for each in parcels for parcel in each]
        sent = iter(await self._post.send(together, parallel=parallel, durable=caller.durable))
        answers = iter([errand.outcome(each, [*islice(sent, len(each))]) for errand, each in zip(errands, parcels, strict=True)])
        return [item if isinstance(item, ApiError) else next(answers) for item in items]

    async def _judge(self, asked: Sequence[tuple[Errand, Request]]) -> None:
        if len(asked) > DECISIONS:
            message = f"a call may name at most {DECISIONS} channels in all"
            raise TooLarge(message)
        for first in range(0, len(asked), _TOGETHER):
            together = asked[first : first + _TOGETHER]
            if len(together) == 1:  # most calls, which need no task for it
                decisions = [await self._gate.decide(together[0][1])]
            else:
                decisions = await asyncio.gather(*(self._gate.decide(request) for _, request in together))
            for (errand, request), decision in zip(together, decisions, strict=True):
                errand.verdicts.append(_verdict(request, decision))


def _method(item: Command | ApiError) -> str:
    return item.method if isinstance(item, Command) else ""


def _verdict(request: Request, decision: Allow | Deny) -> Allow | ApiError:
    if isinstance(decision, Allow):
        return _UNREADABLE if request.ambiguous else decision
    if decision.reason == "no_identity":
        message = "no service of the policy has this key"
        raise Unauthorized(message)
    return _REFUSALS.get(decision.reason, _FORBIDDEN)
