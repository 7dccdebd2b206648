"""An application with hooks of every kind, and both ways to it: over a socket, and over a line that is fed by hand."""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy.app import Service
from proxy.cli.server import _config
from proxy.cli.swift import Swift
from proxy.edge.flight import Flight
from proxy.edge.hooks import Door, Endpoint, Event, Raw
from proxy.edge.metrics import Meter
from proxy.errors import Fault, Malformed
from proxy.gate import Gate
from proxy.hooks.answers import Answers
from proxy.hooks.subscribe import Subscribe
from proxy.policy.decision import FactKey, Known, Lost
from proxy.wire.read import document
from proxy.wire.replies import Answered, Expired, Refreshed, Refused, Reply
from proxy.wire.requests import decode_subscribe
from tests.hooks.scene import FACTS, Book, Purse, Shelf, clock, policy

SECRET, PREVIOUS = "s" * 32, "p" * 32
PATIENCE_S = 10
"""Seconds after which a test that waits has failed."""

Asked: TypeAlias = dict[str, object]
Way: TypeAlias = type[Swift] | Literal["httptools"]
Step: TypeAlias = tuple[bytes, Sequence[int]]
"""What is sent, and the statuses that come back before the next is."""


class Cupboard(Shelf):
    """Facts that are at hand once they were loaded."""

    def __init__(self) -> None:
        super().__init__(FACTS)
        self.kept: dict[FactKey, Known | Lost] = {}

    def get(self, key: FactKey, /) -> Known | Lost | None:
        return self.kept.get(key)

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        self.kept |= await super().load(keys)
        return self.kept


class Echo:
    """A hook that answers with the body, as it is told by it."""

    def __init__(self) -> None:
        self.entered, self.leave = asyncio.Event(), asyncio.Event()
        self.leave.set()

    def decode(self, body: bytes) -> Asked:
        asked = document(body)
        if "crash" in asked:
            raise ZeroDivisionError
        return asked

    def now(self, asked: Asked, _raw: Raw) -> Reply | None:
        return None if "wait" in asked else self.told(asked)

    async def reply(self, asked: Asked, _raw: Raw) -> Reply:
        self.entered.set()
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn
        await self.leave.wait()
        return self.told(asked)

    def told(self, asked: Asked) -> Reply:
        for name, error in (("fault", Fault("the store is away")), ("odd", Malformed("it is odd")), ("bug", ValueError("4111"))):
            if name in asked:
                raise error
        return Refused(code=103, message="no") if "no" in asked else Answered(data=asked)

    def undecided(self, asked: Asked) -> Reply:
        if "worse" in asked:
            raise ZeroDivisionError
        return Refreshed(expire_at=1_800_000_000) if "live" in asked else Expired()


class Site(Service):
    """The application; `ordinary` are the paths that came to it the ordinary way, `whence` is what was told of their connections."""

    def __init__(self, *, flights: int = 8, most: int = 256) -> None:
        self.echo, self.flight, self.ordinary = Echo(), Flight(flights), list[str]()
        self.whence = set[object]()
        self._meters = list[Meter]()
        self._door = Door([SECRET.encode(), PREVIOUS.encode()], most)
        echo = self.echo
        subscribe = Subscribe(Gate(policy=policy(), source=Cupboard(), limits=Purse(9)), Answers(), clock, Book())
        hooks = (
            self._at(Event(name="now", decode=echo.decode, reply=echo.reply, now=echo.now)),
            self._at(Event(name="slow", decode=echo.decode, reply=echo.reply)),
            self._at(Event(name="refresh", decode=echo.decode, reply=echo.reply, undecided=echo.undecided)),
            self._at(Event(name="renew", decode=echo.decode, reply=echo.reply, now=echo.now, undecided=echo.undecided)),
            self._at(
                Event(
                    name="subscribe",
                    decode=decode_subscribe,
                    reply=lambda asked, _: subscribe(asked),
                    now=lambda asked, _: subscribe.now(asked),
                )
            ),
        )
        super().__init__(dict(hooks), {}, rest, (), lambda: None)

    def _at(self, event: Event[Any]) -> tuple[str, Endpoint[Any]]:
        self._meters.append(Meter(event.name))
        return f"/{event.name}", Endpoint(event, self._door, self.flight, self._meters[-1])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.ordinary.append(scope["path"])
            self.whence.add((scope["scheme"], *((scope[end] or ("nobody",))[0] for end in ("client", "server"))))
        await super().__call__(scope, receive, send)

    @property
    def outcomes(self) -> dict[tuple[str, str], int]:
        return {(meter.hook, outcome): count for meter in self._meters for outcome, count in meter.outcomes.items() if count}


async def rest(scope: Scope, receive: Receive, send: Send) -> None:
    message: Message = {"type": ""}
    while scope["type"] == "lifespan" and message["type"] != "lifespan.shutdown":
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"none"})


class Line(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False
        self.changed, self.readable = asyncio.Event(), asyncio.Event()
        self.readable.set()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert not self.closed
        self.written += data
        self.changed.set()

    def close(self) -> None:
        self.closed = True
        self.changed.set()
        self.readable.set()

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.readable.clear()

    def resume_reading(self) -> None:
        self.readable.set()

    async def heard(self, count: int) -> list[int]:
        """Wait for so many answers, or for the end."""
        async with asyncio.timeout(PATIENCE_S):
            while len(statuses(self.written)) < count and not self.closed:
                self.changed.clear()
                await self.changed.wait()
        return statuses(self.written)


def statuses(data: bytes) -> list[int]:
    """Give the statuses of the answers that are complete."""
    found = []
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        if len(data) < size:
            break
        found.append(int(head[9:12]))
        data = data[size:]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """All that came back, and what was counted."""

    data: bytes
    requests: int
    outcomes: dict[tuple[str, str], int]
    ordinary: int
    whence: set[object]


def protocol(app: ASGIApp, way: Way, state: ServerState, loop: object = None, limit: int | None = None) -> HttpToolsProtocol:
    """Make what serves one connection, set up as the service is."""
    config = _config(app)
    config.http, config.limit_concurrency = way, limit
    config.load()
    make = cast("Callable[..., HttpToolsProtocol]", config.http_protocol_class)
    return make(config, state, {}, loop)


async def fed(site: Site, way: Way, steps: Iterable[Step], cut: Callable[[bytes], Iterable[bytes]] = lambda raw: [raw]) -> Heard:
    """Talk over a line, in the pieces that `cut` makes."""
    state, line, count = ServerState(), Line(), 0
    serving = protocol(site, way, state)
    serving.connection_made(line)
    async with asyncio.timeout(PATIENCE_S):
        for raw, codes in steps:
            for piece in cut(raw):
                await line.readable.wait()
                if not line.closed:
                    serving.data_received(piece)
            count += len(codes)
            await line.heard(count)
        serving.connection_lost(None)
        await asyncio.gather(*state.tasks)
    return Heard(data=line.written, requests=state.total_requests, outcomes=site.outcomes, ordinary=len(site.ordinary), whence=site.whence)


async def dialled(site: Site, way: Way, steps: Iterable[Step]) -> Heard:
    """Talk over a socket."""
    state, data, count = ServerState(), b"", 0
    server = await asyncio.get_running_loop().create_server(lambda: protocol(site, way, state), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(PATIENCE_S):
            for raw, codes in steps:
                writer.write(raw)
                count += len(codes)
                while len(statuses(data)) < count and (more := await reader.read(65_536)):
                    data += more
            if not reader.at_eof():
                writer.write_eof()
            data += await reader.read()
            await asyncio.gather(*state.tasks)
    finally:
        # A loop that is closed while somebody is connected does not end.
        writer.transport.abort()
        server.close()
        await server.wait_closed()
    return Heard(data=data, requests=state.total_requests, outcomes=site.outcomes, ordinary=len(site.ordinary), whence=site.whence)
