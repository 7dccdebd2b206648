"""One WebSocket connection to Centrifugo in its JSON protocol, as a client speaks it."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from proxy.errors import DeliveryFault

PATIENCE_S: Final = 10.0
"""Seconds that are waited for an answer."""


class Line:
    """An open connection; one command at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._pushes: list[Mapping[str, Any]] = []

    async def ask(self, command: str, **members: object) -> Mapping[str, Any]:
        """Send a command and give its reply: the member of its name, `error`, or `closed` with the code of the disconnect.

        Raises `DeliveryFault` when nothing comes.
        """
        number = next(self._ids)
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(json.dumps({"id": number, command: members}))
        return await self._until(lambda reply: reply.get("id") == number) or {"closed": self._socket.close_code or 0}

    async def pushed(self, channel: str, kind: str) -> Mapping[str, Any]:
        """Wait for what Centrifugo pushes of a channel (`pub`, `join`) and give it; raises `DeliveryFault` when nothing comes."""

        def wanted(reply: Mapping[str, Any]) -> bool:
            push = reply.get("push", {})
            return push.get("channel") == channel and kind in push

        found = next(filter(wanted, self._pushes), None) or await self._until(wanted)
        if found is None:
            raise DeliveryFault("Centrifugo closed the connection")
        return dict(found["push"][kind])

    async def _until(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any] | None:
        """The reply that is wanted, None when the connection ends before."""
        while (message := await self._message()) is not None:
            replies = [json.loads(text) for text in message.splitlines()]
            if {} in replies:
                await self._socket.send("{}")
            self._pushes += [reply for reply in replies if "push" in reply]
            found = next(filter(wanted, replies), None)
            if found is not None:
                return dict(found)
        return None

    async def _message(self) -> str | None:
        waiting = asyncio.ensure_future(self._socket.recv())
        try:
            await asyncio.wait((waiting,), timeout=PATIENCE_S)
            if not waiting.done():
                raise DeliveryFault(f"Centrifugo did not answer within {PATIENCE_S:g} s")
            return None if isinstance(waiting.exception(), ConnectionClosed) else str(waiting.result())
        finally:
            waiting.cancel()


@asynccontextmanager
async def line(url: str) -> AsyncIterator[Line]:
    """Open a connection to `ws://…/connection/websocket`; raises `DeliveryFault` when there is none."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            socket = await connect(url, proxy=None, compression=None, max_size=1 << 20, close_timeout=1)
    except (OSError, TimeoutError, WebSocketException) as error:
        raise DeliveryFault(f"no client can connect to {url}: {type(error).__name__}") from None
    try:
        yield Line(socket)
    finally:
        await socket.close()
