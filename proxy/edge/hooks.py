"""The endpoints that Centrifugo calls: plain ASGI without anything in between, because every message of a client waits for them."""

import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Generic, TypeAlias, TypeVar

from starlette.types import Receive, Scope, Send

from proxy.edge.body import Gone, fits, read
from proxy.edge.failures import answer
from proxy.edge.headers import SECRET
from proxy.edge.metrics import Flight, Meter, Outcome
from proxy.errors import Malformed, Unauthorized
from proxy.hooks.answers import LATER
from proxy.wire.replies import Disconnected, Expired, Refused, Reply

Raw: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them, names in lower case."""

Sent: TypeAlias = tuple[int, list[tuple[bytes, bytes]], bytes]

_Asked = TypeVar("_Asked")

_JSON: Final = (b"content-type", b"application/json")
_LATER: Final = LATER.encode()
_REFUSALS: Final = frozenset({Refused, Disconnected, Expired})
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[_Asked]):
    """A hook: how its body is read and who answers it.

    `undecided` answers without a decision, when there is too much to do or something failed; hooks without one get a temporary error
    or status 5xx, which Centrifugo turns into a temporary error, too.
    """

    name: str
    decode: Callable[[bytes], _Asked]
    reply: Callable[[_Asked, Raw], Awaitable[Reply]]
    undecided: Callable[[_Asked], Reply] | None = None


class Door:
    """Lets in who shows a secret; `secrets` are accepted, `most` bounds the body in bytes."""

    def __init__(self, secrets: Sequence[bytes], most: int) -> None:
        self._secrets = tuple(secrets)
        self.most = most

    def admit(self, raw: Raw) -> None:
        """Look at the head of a request; raises `Unauthorized` and `TooLarge`."""
        shown = length = None
        for name, value in raw:
            if name == SECRET:
                if shown is not None:
                    message = "the hook secret is repeated"
                    raise Unauthorized(message)
                shown = value
            elif name == b"content-length":
                length = value
        if shown is None or not self._knows(shown):
            message = "the hook secret is missing or wrong"
            raise Unauthorized(message)
        fits(length, self.most)

    def _knows(self, shown: bytes) -> bool:
        known = False
        for secret in self._secrets:
            # All are compared, so that the time does not tell which one is current.
            known |= hmac.compare_digest(shown, secret)
        return known


class Endpoint(Generic[_Asked]):
    """One hook as an ASGI application."""

    def __init__(self, event: Event[_Asked], door: Door, flight: Flight, meter: Meter) -> None:
        self._event = event
        self._door = door
        self._flight = flight
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; nothing is sent when the caller has left."""
        began = perf_counter()
        self._flight.count += 1
        try:
            outcome, (status, headers, body) = await self._answer(scope, receive)
        except Gone:
            return
        finally:
            self._flight.count -= 1
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._meter.record(outcome, perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Outcome, Sent]:
        try:
            if scope["method"] != "POST":
                return "malformed", (405, [(b"allow", b"POST"), (b"content-length", b"0")], b"")
            self._door.admit(scope["headers"])
            asked = self._event.decode(await read(receive, self._door.most))
            outcome, body = await self._decide(asked, scope["headers"])
        except Gone:
            raise
        except Unauthorized as error:
            return "unauthorized", _failure(error)
        except Malformed as error:
            return "malformed", _failure(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, Centrifugo has to be answered
            return "failed", _failure(error)
        return outcome, (200, [_JSON, (b"content-length", b"%d" % len(body))], body)

    async def _decide(self, asked: _Asked, raw: Raw) -> tuple[Outcome, bytes]:
        undecided = self._event.undecided
        if self._flight.count > self._flight.most:
            return "overload", undecided(asked).encode() if undecided else _LATER
        try:
            reply = await self._event.reply(asked, raw)
            return "refused" if type(reply) in _REFUSALS else "allowed", reply.encode()
        except Exception as error:
            if undecided is None:
                raise
            answer(error)  # for the log; a status other than 200 would prolong it without an end
            return "undecided", undecided(asked).encode()


def _failure(error: Exception) -> Sent:
    status, headers, body = answer(error)
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return status, [*pairs, (b"content-length", b"%d" % len(body))], body
