"""The endpoints that Centrifugo calls: plain ASGI without anything in between, because every message of a client waits for them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from time import perf_counter
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from starlette.types import Receive, Scope, Send

from proxy.edge.body import Gone, fits, read
from proxy.edge.failures import answer
from proxy.edge.headers import SECRET
from proxy.edge.metrics import Flight, Meter, Outcome
from proxy.errors import Malformed, Unauthorized, WrongMethod
from proxy.hooks.answers import LATER
from proxy.wire.replies import Disconnected, Expired, Refused, Reply

Raw: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Headers as ASGI has them, names in lower case."""

_Asked = TypeVar("_Asked")

_JSON: Final = (b"content-type", b"application/json")
_REFUSALS: Final = frozenset({Refused, Disconnected, Expired})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Generic[_Asked]):
    """A hook: how its body is read and who answers it.

    `now` answers at once, or gives None when something must be waited for. `undecided` answers without a decision, when there is
    too much to do or something failed; hooks without one get a temporary error or status 5xx, which Centrifugo turns into one, too.
    """

    name: str
    decode: Callable[[bytes], _Asked]
    reply: Callable[[_Asked, Raw], Awaitable[Reply]]
    now: Callable[[_Asked], Reply | None] | None = None
    undecided: Callable[[_Asked], Reply] | None = None


class Door:
    """Lets in who shows a secret; `secrets` are accepted, `most` bounds the body in bytes."""

    def __init__(self, secrets: Sequence[bytes], most: int) -> None:
        self._secrets = tuple(secrets)
        self.most = most

    def admit(self, method: str, raw: Raw) -> None:
        """Look at the head of a request; raises `WrongMethod`, `Unauthorized` and `TooLarge`."""
        if method != "POST":
            raise WrongMethod("a hook is called by POST")
        shown = length = None
        for name, value in raw:
            if name == SECRET:
                if shown is not None:
                    raise Unauthorized("the hook secret is repeated")
                shown = value
            elif name == b"content-length":
                length = value
        known = False
        if shown is not None:
            for secret in self._secrets:
                # All are compared, so that the time does not tell which one is current.
                known |= compare_digest(shown, secret)
        if not known:
            raise Unauthorized("the hook secret is missing or wrong")
        fits(length, self.most)


class Answer(NamedTuple):
    """What goes back: headers as ASGI has them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Endpoint(Generic[_Asked]):
    """One hook as an ASGI application, and without waiting for a server that can do with that."""

    def __init__(self, event: Event[_Asked], door: Door, flight: Flight, meter: Meter) -> None:
        self.most = door.most
        self._event = event
        self._door = door
        self._flight = flight
        self._meter = meter

    def swift(self, raw: Raw, body: bytes) -> Answer | None:
        """Answer a POST whose body is here, if nothing has to be waited for; else None, and nothing has happened."""
        event, asked = self._event, None
        if event.now is None:
            return None
        began = perf_counter()
        try:
            self._door.admit("POST", raw)
            asked = event.decode(body)
            if self._flight.count >= self._flight.most:
                return self._later(asked, began)
            reply = event.now(asked)
            return None if reply is None else self._told(_outcome(reply), reply, began)
        except Exception as error:  # noqa: BLE001 - whatever it is, Centrifugo has to be answered
            return self._failed(error, asked, began)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; nothing is sent when the caller has left."""
        began = perf_counter()
        self._flight.count += 1
        try:
            answer = await self._answer(scope["method"], scope["headers"], receive, began)
        except Gone:
            return
        finally:
            self._flight.count -= 1
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, method: str, raw: Raw, receive: Receive, began: float) -> Answer:
        event, asked = self._event, None
        try:
            self._door.admit(method, raw)
            asked = event.decode(await read(receive, self._door.most))
            if self._flight.count > self._flight.most:
                return self._later(asked, began)
            reply = await event.reply(asked, raw)
            return self._told(_outcome(reply), reply, began)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, Centrifugo has to be answered
            return self._failed(error, asked, began)

    def _later(self, asked: _Asked, began: float) -> Answer:
        undecided = self._event.undecided
        return self._told("overload", undecided(asked) if undecided else LATER, began)

    def _told(self, outcome: Outcome, reply: Reply, began: float) -> Answer:
        body = reply.encode()
        self._meter.record(outcome, perf_counter() - began)
        return Answer(status=200, headers=[_JSON, (b"content-length", b"%d" % len(body))], body=body)

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
        self._meter.record(outcome, perf_counter() - began)
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        return Answer(status=status, headers=[*pairs, (b"content-length", b"%d" % len(body))], body=body)


def _outcome(reply: Reply) -> Outcome:
    return "refused" if type(reply) in _REFUSALS else "allowed"
