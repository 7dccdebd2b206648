"""The server API as backends see it: every channel of every command is decided, what is allowed goes out rebuilt."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, Protocol

from proxy.errors import DeliveryFault, TooLarge, Unauthorized
from proxy.gateway.keys import Keys
from proxy.gateway.parcels import METHODS, Asking, Errand, Parcel
from proxy.policy.decision import Allow, Deny, Request
from proxy.wire.api import (
    ApiError,
    Command,
    Outcome,
    decode_batch,
    decode_command,
    decode_outcome,
    decode_outcomes,
    encode_batch,
    encode_outcome,
    encode_outcomes,
)
from proxy.wire.codes import ErrorCode
from proxy.wire.read import ambiguous

DECISIONS: Final = 10_000
"""Channels that one call may name in all."""

_TOGETHER: Final = 64
"""Decisions made at a time: enough to load their facts together, few enough not to hold up the event loop or the database."""

_LOG: Final = logging.getLogger(__name__)

_FAILED: Final = ApiError(code=ErrorCode.INTERNAL, message="internal server error")
_FORBIDDEN: Final = ApiError(code=ErrorCode.PERMISSION_DENIED, message="permission denied")
_UNREADABLE: Final = ApiError(code=ErrorCode.BAD_REQUEST, message="bad request")
_MISSING: Final = ApiError(code=ErrorCode.NOT_AVAILABLE, message="not available")
_REFUSALS: Final = {
    "bad_channel": _UNREADABLE,
    "schema": _UNREADABLE,
    "limit": ApiError(code=ErrorCode.TOO_MANY_REQUESTS, message="too many requests"),
    "fact_error": _FAILED,
}
"""The answer to each reason; a deny's name and the rest are forbidden."""


class Decider(Protocol):
    """Where decisions come from."""

    async def decide(self, request: Request) -> Allow | Deny:
        """Decide one request; takes one token of the limit of the rule that allows it."""


class Courier(Protocol):
    """The way to Centrifugo's server API."""

    async def call(self, method: str, command: bytes) -> bytes:
        """Send one command; raises `DeliveryFault`."""


class Gateway:
    """Answers calls of the server API; `keys` tells whose they are, `clock` gives epoch milliseconds."""

    def __init__(self, gate: Decider, keys: Keys, server: Courier, clock: Callable[[], int]) -> None:
        self.keys = keys
        self._gate = gate
        self._server = server
        self._clock = clock

    async def call(self, method: str, service: str, body: bytes) -> bytes:
        """Answer a call of `/api/METHOD` as Centrifugo would; what is refused or cannot be delivered is an error, for that item alone.

        A payload with two readings (see `Request.ambiguous`) is refused, because what goes out is written anew; in a batch it takes the
        other publications with it. Raises `Malformed` for a body that Centrifugo would not read, `TooLarge` for more than `DECISIONS`
        channels, and `Unauthorized` when the policy does not know the service; nothing was sent then.
        """
        asking = Asking(service=service, timestamp_ms=self._clock(), ambiguous=ambiguous(body))
        if method == "batch":
            batch = decode_batch(body)
            outcomes = await self._answer(asking, batch.commands, parallel=batch.parallel)
            return encode_outcomes([(_method(item), outcome) for item, outcome in zip(batch.commands, outcomes, strict=True)])
        (outcome,) = await self._answer(asking, (decode_command(method, body),), parallel=True)
        return encode_outcome(outcome)

    async def _answer(self, asking: Asking, items: Sequence[Command | ApiError], *, parallel: bool) -> list[Outcome]:
        commands = [item for item in items if isinstance(item, Command) and item.method in METHODS]
        errands = [Errand(command=command, requests=[*asking.requests(command)]) for command in commands]
        await self._judge([(errand, request) for errand in errands for request in errand.requests])
        parcels = [errand.parcels() for errand in errands]
        sent = iter(await self._send([parcel for each in parcels for parcel in each], parallel=parallel))
        answers = iter([errand.outcome(each, [*islice(sent, len(each))]) for errand, each in zip(errands, parcels, strict=True)])
        return [item if isinstance(item, ApiError) else next(answers) if item.method in METHODS else _MISSING for item in items]

    async def _judge(self, asked: Sequence[tuple[Errand, Request]]) -> None:
        if len(asked) > DECISIONS:
            message = f"a call may name at most {DECISIONS} channels in all"
            raise TooLarge(message)
        for first in range(0, len(asked), _TOGETHER):
            together = asked[first : first + _TOGETHER]
            decisions = await asyncio.gather(*(self._gate.decide(request) for _, request in together))
            for (errand, request), decision in zip(together, decisions, strict=True):
                errand.verdicts.append(_verdict(request, decision))

    async def _send(self, parcels: Sequence[Parcel], *, parallel: bool) -> list[Sequence[Outcome]]:
        try:
            outcomes = await self._deliver([parcel.command for parcel in parcels], parallel=parallel)
            return [parcel.outcomes(outcome) for parcel, outcome in zip(parcels, outcomes, strict=True)]
        except DeliveryFault as fault:
            _LOG.warning("%s", fault)
            return [parcel.outcomes(_FAILED) for parcel in parcels]

    async def _deliver(self, commands: Sequence[Command], *, parallel: bool) -> tuple[Outcome, ...]:
        if not commands:
            return ()
        if len(commands) == 1:
            return (decode_outcome(await self._server.call(commands[0].method, commands[0].encode())),)
        body = encode_batch(commands, parallel=parallel and _disjoint(commands))
        return decode_outcomes(await self._server.call("batch", body), [command.method for command in commands])


def _method(item: Command | ApiError) -> str:
    return item.method if isinstance(item, Command) else ""


def _verdict(request: Request, decision: Allow | Deny) -> Allow | ApiError:
    if isinstance(decision, Allow):
        return _UNREADABLE if request.ambiguous else decision
    if decision.reason == "no_identity":
        message = "no service of the policy has this key"
        raise Unauthorized(message)
    return _REFUSALS.get(decision.reason, _FORBIDDEN)


def _disjoint(commands: Sequence[Command]) -> bool:
    channels = [channel for command in commands for channel in set(command.channels)]
    return len(set(channels)) == len(channels)
