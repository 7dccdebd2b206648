"""Real clients of the scenario: centrifuge-python over WebSocket, and readers of Centrifugo's JSON protocol over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from centrifuge import (
    Client,
    ClientEventHandler,
    ClientInfo,
    ConnectedContext,
    DisconnectedContext,
    JoinContext,
    LeaveContext,
    Publication,
    PublicationContext,
    SubscribedContext,
    Subscription,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnauthorizedError,
    UnsubscribedContext,
)

from proxy.demo.data import Person

PATIENCE: Final = 10.0
"""Seconds to wait for anything that should happen at once."""

T = TypeVar("T")


async def soon(queue: asyncio.Queue[T]) -> T:
    """Take the next item; raises `TimeoutError`."""
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


class Ear(SubscriptionEventHandler):
    """Keeps what a subscription hears, each kind in the order of its arrival."""

    def __init__(self) -> None:
        self.subscribed: asyncio.Queue[SubscribedContext] = asyncio.Queue()
        self.unsubscribed: asyncio.Queue[UnsubscribedContext] = asyncio.Queue()
        self.publications: asyncio.Queue[Publication] = asyncio.Queue()
        self.joins: asyncio.Queue[ClientInfo] = asyncio.Queue()
        self.leaves: asyncio.Queue[ClientInfo] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        """Keep that it began, or was taken up again."""
        self.subscribed.put_nowait(ctx)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        """Keep that it ended or was refused."""
        self.unsubscribed.put_nowait(ctx)

    async def on_publication(self, ctx: PublicationContext) -> None:
        """Keep a publication."""
        self.publications.put_nowait(ctx.pub)

    async def on_join(self, ctx: JoinContext) -> None:
        """Keep who came."""
        self.joins.put_nowait(ctx.info)

    async def on_leave(self, ctx: LeaveContext) -> None:
        """Keep who left."""
        self.leaves.put_nowait(ctx.info)

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        """Keep what goes wrong for now."""
        self.errors.put_nowait(ctx.error)


class Line(ClientEventHandler):
    """Keeps how a connection fares."""

    def __init__(self) -> None:
        self.connected: asyncio.Queue[ConnectedContext] = asyncio.Queue()
        self.disconnected: asyncio.Queue[DisconnectedContext] = asyncio.Queue()

    async def on_connected(self, ctx: ConnectedContext) -> None:
        """Keep that it stands."""
        self.connected.put_nowait(ctx)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        """Keep that it ended for good."""
        self.disconnected.put_nowait(ctx)


class App:
    """What somebody has open: signed in at the service, connected to Centrifugo over WebSocket.

    `service` and `centrifugo` are addresses such as http://127.0.0.1:8010.
    """

    def __init__(self, person: Person, service: str, centrifugo: str) -> None:
        self.person = person
        self.http = httpx.AsyncClient(base_url=service, timeout=PATIENCE, trust_env=False)
        self.line = Line()
        self._centrifugo = centrifugo
        socket = centrifugo.replace("http", "ws", 1) + "/connection/websocket"
        self.client = Client(socket, events=self.line, get_token=self.token, min_reconnect_delay=0.05, proxy=None)

    async def sign_in(self) -> httpx.Response:
        """Sign in at the demonstration; the cookie stays with this app."""
        return await self.http.post("/demo/login", json={"user": self.person.id})

    async def token(self) -> str:
        """Fetch a connection token; raises `UnauthorizedError` when it is refused, which ends the client's attempts."""
        return _token(await self.http.post("/api/centrifugo/connection-token"))

    async def channel_token(self, channel: str) -> str:
        """Fetch a token for one channel, the body written as browsers write it; raises `UnauthorizedError` when it is refused."""
        body = json.dumps({"channel": channel})
        return _token(await self.http.post("/api/centrifugo/subscription-token", content=body, headers={"Content-Type": "text/plain"}))

    async def connect(self) -> ConnectedContext:
        """Connect, or connect again."""
        await self.client.connect()
        return await soon(self.line.connected)

    async def listen(self, channel: str, *, with_token: bool = False) -> tuple[Subscription, Ear]:
        """Begin to subscribe, with a token from the service or through Centrifugo's hook; the ear hears how that ends."""
        ear = Ear()
        get_token = self.channel_token if with_token else None
        subscription = self.client.new_subscription(channel, events=ear, get_token=get_token, min_resubscribe_delay=0.05)
        await subscription.subscribe()
        return subscription, ear

    @asynccontextmanager
    async def stream(self, transport: str, **connect: object) -> AsyncIterator["Stream"]:
        """Connect once more, over `sse` or `http_stream`, with the cookie; `connect` is the connect command."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        command = json.dumps({"id": 1, "connect": connect}, separators=(",", ":"))
        address = f"{self._centrifugo}/connection/{transport}"
        async with httpx.AsyncClient(headers={"Cookie": cookies}, timeout=PATIENCE, trust_env=False) as http:
            if transport == "sse":
                opened = http.stream("GET", f"{address}?cf_connect={quote(command)}")
            else:
                opened = http.stream("POST", address, content=command)
            async with opened as response:
                yield Stream(http, response, self._centrifugo)

    async def close(self) -> None:
        """Disconnect and close the connections."""
        await self.client.disconnect()
        await self.http.aclose()


class Stream:
    """The JSON protocol of Centrifugo over SSE or HTTP streaming; commands go to its emulation endpoint."""

    def __init__(self, http: httpx.AsyncClient, response: httpx.Response, centrifugo: str) -> None:
        self._http = http
        self._centrifugo = centrifugo
        self._lines = response.aiter_lines()
        self._session: dict[str, str] = {}
        self._id = 1

    async def connected(self) -> dict[str, Any]:
        """Wait for the answer to the connect command."""
        connect: dict[str, Any] = (await self.reply(1))["connect"]
        self._session = {"session": connect["session"], "node": connect["node"]}
        return connect

    async def subscribe(self, channel: str, token: str = "") -> dict[str, Any]:
        """Subscribe, and give the whole reply: it holds `subscribe` or `error`."""
        self._id += 1
        subscribe = {"channel": channel} | ({"token": token} if token else {})
        command = json.dumps({"id": self._id, "subscribe": subscribe})
        await self._http.post(f"{self._centrifugo}/emulation", json={**self._session, "data": command})
        return await self.reply(self._id)

    async def reply(self, number: int) -> dict[str, Any]:
        """Wait for the reply with this number; what comes between is dropped."""
        while (message := await self.message()).get("id") != number:
            pass
        return message

    async def message(self) -> dict[str, Any]:
        """Wait for the next message; raises `TimeoutError`, and `StopAsyncIteration` when the stream has ended."""
        async with asyncio.timeout(PATIENCE):
            while not (line := (await anext(self._lines)).removeprefix("data:").strip()):
                pass
        message: dict[str, Any] = json.loads(line)
        return message


def _token(response: httpx.Response) -> str:
    if response.status_code in (400, 401, 403):
        raise UnauthorizedError(response.text)
    token: str = response.raise_for_status().json()["token"]
    return token
