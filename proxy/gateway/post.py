"""How what is allowed gets out: at once to Centrifugo, into the outbox, or to the facts of this service."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Protocol, TypeAlias

from proxy.errors import DeliveryFault, Overload, StoreFault
from proxy.gateway.parcels import KEPT, Parcel
from proxy.wire.api import ApiError, Command, Outcome, Result
from proxy.wire.codes import ErrorCode
from proxy.wire.methods import METHODS

FAILED: Final = ApiError(code=ErrorCode.INTERNAL, message="internal server error")
"""Nobody knows whether it was applied."""
BUSY: Final = ApiError(code=ErrorCode.TOO_MANY_REQUESTS, message="too many requests")
"""It was not applied, and may be sent again later."""

_ACCEPTED: Final = Result(fields={})
_LOG: Final = logging.getLogger(__name__)


class Own(Protocol):
    """Who carries out what is not Centrifugo's."""

    async def carry(self, command: Command) -> Outcome:
        """Carry out one command; raises `Fault` when that failed."""


class Courier(Protocol):
    """The way to Centrifugo's server API."""

    async def send(self, command: Command) -> Outcome:
        """Have one command carried out, after those for its channels that were sent before; raises `DeliveryFault` and `Overload`."""


class Outbox(Protocol):
    """Where publications wait that must not be lost."""

    async def accept(self, commands: Sequence[Command]) -> None:
        """Keep these, in order, and return once they are kept; raises `DeliveryFault` and `Overload`."""


class Post:
    """Sends parcels and gives, for each, the outcomes of its places."""

    def __init__(self, courier: Courier, outbox: Outbox, own: Own) -> None:
        self._courier = courier
        self._outbox = outbox
        self._own = own

    async def send(self, parcels: Sequence[Parcel], *, parallel: bool, durable: bool) -> list[Sequence[Outcome]]:
        """Send the parcels; what failed is an error, for that parcel alone.

        Durable publications are kept first, all together. The others keep the order of each channel; unless they may go in parallel, a
        command without a channel waits for all before it, and all behind it wait for it. Raises `Overload` if that is what became of
        every parcel: then nothing happened, and the whole call may be repeated.
        """
        kept = [parcel for parcel in parcels if durable and parcel.command.method in KEPT]
        answers = {id(parcel): answer for parcel, answer in zip(kept, await self._keep(kept), strict=True)}
        rest = [parcel for parcel in parcels if id(parcel) not in answers]
        for together in [rest] if parallel else _stretches(rest):
            sent = await self._together(together)
            answers.update({id(parcel): answer for parcel, answer in zip(together, sent, strict=True)})
        overloads = [answer for answer in answers.values() if isinstance(answer, Overload)]
        if overloads and len(overloads) == len(answers):
            raise overloads[0]
        for fault in {str(answer) for answer in answers.values() if isinstance(answer, DeliveryFault | Overload | StoreFault)}:
            _LOG.warning("%s", fault)
        return [_told(parcel, answers[id(parcel)]) for parcel in parcels]

    async def _keep(self, parcels: Sequence[Parcel]) -> "list[_Answer]":
        if not parcels:
            return []
        try:
            await self._outbox.accept([parcel.command for parcel in parcels])
        except (DeliveryFault, Overload) as fault:
            return [fault] * len(parcels)
        return [parcel.alike(_ACCEPTED) for parcel in parcels]

    async def _together(self, parcels: Sequence[Parcel]) -> "list[_Answer]":
        if len(parcels) == 1:
            return [await self._sent(parcels[0])]
        # All have ended before one fails the call, so that nothing runs on behind the answer.
        return [_expected(answer) for answer in await asyncio.gather(*map(self._sent, parcels), return_exceptions=True)]

    async def _sent(self, parcel: Parcel) -> "_Answer":
        try:
            if not METHODS[parcel.command.method].relayed:
                return parcel.alike(await self._own.carry(parcel.command))
            return parcel.outcomes(await self._courier.send(parcel.command))
        except (DeliveryFault, Overload, StoreFault) as fault:
            return fault


_Answer: TypeAlias = Sequence[Outcome] | DeliveryFault | Overload | StoreFault


def _expected(answer: _Answer | BaseException) -> _Answer:
    if isinstance(answer, BaseException) and not isinstance(answer, DeliveryFault | Overload | StoreFault):
        raise answer
    return answer


def _told(parcel: Parcel, answer: _Answer) -> Sequence[Outcome]:
    if isinstance(answer, DeliveryFault | StoreFault):
        return parcel.alike(FAILED)
    return parcel.alike(BUSY) if isinstance(answer, Overload) else answer


def _stretches(parcels: Sequence[Parcel]) -> Iterator[Sequence[Parcel]]:
    """Cut where a command without a channel stands."""
    for alone, stretch in groupby(parcels, lambda parcel: not parcel.command.channels):
        if alone:
            yield from ((parcel,) for parcel in stretch)
        else:
            yield list(stretch)
