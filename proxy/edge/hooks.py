"""The endpoints that Centrifugo calls: plain ASGI without anything in between, because every message of a client waits for them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from starlette.types import Receive, Scope, Send

from proxy.edge.body import Gone, fits, read
from proxy.edge.failures import answer
from proxy.edge.flight import Flight
from proxy.edge.headers import SECRET
from proxy.edge.metrics import Meter, Outcome
from proxy.errors import Malformed, Unauthorized, WrongMethod
from proxy.hooks.answers import LATER
from proxy.wire.replies import Disconnected, Expired, Refused, Reply

Raw: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them, names in lower case."""

PATIENCE_S: Final = 2.5
"""Seconds that a renewal is waited for; Centrifugo, set up as it should be, gives up after 3, and prolongs without asking again."""

_Asked = TypeVar("_Asked")

_REFUSALS: Final = frozenset({Refused, Disconnected, Expired})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[_Asked]):
    """A hook: how its body is read and who answers it.

    `now` answers at once, or gives None when something must be waited for. `undecided` answers without a decision, when there is
    too much to do or something failed; hooks without one get a temporary error or status 5xx, which Centrifugo turns into one, too.
    What `lasts` is answered by somebody else, who may take his time, and says nothing about how long others wait.
    """

    name: str
    decode: Callable[[bytes], _Asked]
    reply: Callable[[_Asked, Raw], Awaitable[Reply]]
    now: Callable[[_Asked, Raw], Reply | None] | None = None
    undecided: Callable[[_Asked], Reply] | None = None
    lasts: bool = False


class Door:
    """Lets in who shows a secret; `secrets` are accepted, `most` bounds the body in bytes."""

    def __init__(self, secrets: Sequence[bytes], most: int) -> None:
        self._secrets = tuple(secrets)
        self.most = most

    def admit(self, method: str, raw: Raw) -> None:
        """Look at the head of a request before its body is read; raises `WrongMethod`, `Unauthorized` and `TooLarge`."""
        if method != "POST":
            raise WrongMethod("a hook is called by POST")
        self.recognise(raw)
        fits(raw, self.most)

    def recognise(self, raw: Raw) -> None:
        """Look for the secret among the headers; raises `Unauthorized`."""
        shown = None
        for name, value in raw:
            if name == SECRET:
                if shown is not None:
                    raise Unauthorized("the hook secret is repeated")
                shown = value
        known = False
        if shown is not None:
            for secret in self._secrets:
                # All are compared, so that the time does not tell which one is current.
                known |= compare_digest(shown, secret)
        if not known:
            raise Unauthorized("the hook secret is missing or wrong")


class Head:
    """Headers as ASGI has them, and as they are written."""

    __slots__ = ("lines", "pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs = tuple(pairs)
        self.lines = b"".join(b"%b: %b\r\n" % pair for pair in self.pairs)


_JSON: Final = Head([(b"content-type", b"application/json")])


class Answer(NamedTuple):
    """What goes back; the length of the body comes after the head."""

    status: int
    head: Head
    body: bytes

    async def sent(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it, as an ASGI application."""
        headers = [*self.head.pairs, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json(status: int, body: bytes) -> Answer:
    """Answer JSON."""
    return Answer(status, _JSON, body)


class Endpoint(Generic[_Asked]):
    """One hook as an ASGI application, and without waiting for a server that can do with that."""

    def __init__(self, event: Event[_Asked], door: Door, flight: Flight, meter: Meter) -> None:
        self.most = door.most
        self._event = event
        self._door = door
        self._flight = flight
        self._meter = meter
        self._bound = flight.bound(renewal=event.undecided is not None)

    def swift(self, raw: Raw, body: bytes) -> Answer | None:
        """Answer a POST whose body is here and no longer than `most`; None when something must be waited for, and nothing has happened."""
        event, asked = self._event, None
        if event.now is None:
            return None
        began = monotonic()
        try:
            self._door.recognise(raw)
            asked = event.decode(body)
            if self._flight.count >= self._bound:
                return self._later(asked, began)
            reply = event.now(asked, raw)
            return None if reply is None else self._told(_outcome(reply), reply, began)
        except Exception as error:  # noqa: BLE001 - whatever it is, Centrifugo has to be answered
            return self._failed(error, asked, began)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; nothing is sent when the caller has left."""
        began = monotonic()
        self._flight.count += 1
        try:
            answer = await self._answer(scope["method"], scope["headers"], receive, began)
        except Gone:
            return
        finally:
            self._flight.count -= 1
        await answer.sent(scope, receive, send)

    async def _answer(self, method: str, raw: Raw, receive: Receive, began: float) -> Answer:
        event, asked = self._event, None
        try:
            self._door.admit(method, raw)
            asked = event.decode(await read(receive, self.most))
            if self._flight.count > self._bound:
                return self._later(asked, began)
            reply = self._at_hand(asked, raw) if self._flight.late() and event.undecided is None else await self._decided(asked, raw)
            return self._later(asked, began) if reply is None else self._told(_outcome(reply), reply, began)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, Centrifugo has to be answered
            return self._failed(error, asked, began)

    def _at_hand(self, asked: _Asked, raw: Raw) -> Reply | None:
        """Give the reply if nothing has to be waited for."""
        return None if self._event.now is None else self._event.now(asked, raw)

    async def _decided(self, asked: _Asked, raw: Raw) -> Reply | None:
        """Wait for the reply; None when a renewal takes so long that Centrifugo would give up."""
        event = self._event
        if event.lasts:
            return await event.reply(asked, raw)
        ticket = self._flight.begin()
        try:
            async with asyncio.timeout(PATIENCE_S if event.undecided else None) as patience:
                return await event.reply(asked, raw)
        except TimeoutError:
            if patience.expired():
                return None
            raise
        finally:
            self._flight.end(ticket)

    def _later(self, asked: _Asked, began: float) -> Answer:
        undecided = self._event.undecided
        return self._told("overload", undecided(asked) if undecided else LATER, began)

    def _told(self, outcome: Outcome, reply: Reply, began: float) -> Answer:
        body = reply.encode()
        self._meter.record(outcome, monotonic() - began)
        return json(200, body)

    def _failed(self, error: Exception, asked: _Asked | None, began: float) -> Answer:
        status, headers, body = answer(error)
        if asked is not None and self._event.undecided is not None:
            try:
                # A status other than 200 would prolong it without an end.
                return self._told("undecided", self._event.undecided(asked), began)
            except Exception as again:  # noqa: BLE001 - as above
                error = again
                status, headers, body = answer(error)
        outcome: Outcome = "failed"
        if isinstance(error, Malformed):
            outcome = "unauthorized" if isinstance(error, Unauthorized) else "malformed"
        self._meter.record(outcome, monotonic() - began)
        return Answer(status, Head((name.encode(), value.encode()) for name, value in headers.items()), body)


def _outcome(reply: Reply) -> Outcome:
    return "refused" if type(reply) in _REFUSALS else "allowed"
