"""Centrifugo's server API over HTTP."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from proxy.delivery.connection import Broken, Connection
from proxy.errors import DeliveryFault, SetupFault, Unread
from proxy.wire.api import Command, Outcome, decode_outcomes, encode_batch

IDLE_S: Final = 20.0
"""Seconds a connection may rest. Centrifugo closes its side after 30 s, and a command sent into a closing connection is lost."""

_OK: Final = 200
_UNREAD: Final = (400, 413)
_UNAUTHORIZED: Final = 401
_INFO: Final = b"{}"


class Server:
    """One Centrifugo server, called over at most `connections` kept-alive connections; a `Transport`.

    `base` is its address (`http://localhost:8000`), `key` its `http_api.key`. A call waits `timeout_s` in all, the wait for a free
    connection included, and reads at most `largest` bytes. Nothing is sent twice: only connecting is tried again, once and at once,
    because then no byte of the command has left; a connection that Centrifugo closed while it rested is noticed before it is used.
    Not usable before a loop runs; `close` gives the connections back.
    """

    def __init__(self, base: str, key: str, *, timeout_s: float = 5.0, connections: int = 64, largest: int = 16 << 20) -> None:
        if not key or not key.isascii() or not key.isprintable():
            message = "the key of Centrifugo's server API must be printable ASCII and not empty"
            raise SetupFault(message)
        parts = urlsplit(base)
        self._place = parts.netloc.rpartition("@")[2]
        self._host = parts.hostname or ""
        self._trust = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._trust else 80)
        self._path = f"POST {parts.path.rstrip('/')}/api/"
        # Compression is refused, because a short answer could unpack into a long one.
        headers = {"Host": self._place, "X-API-Key": key, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._head = " HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "Content-Length: "
        self._timeout_s = timeout_s
        self._largest = largest
        self._free = asyncio.Semaphore(connections)
        self._resting: list[Connection] = []
        self._closed = False

    async def call(self, method: str, command: bytes) -> bytes:
        """Send one command (JSON) and give Centrifugo's answer, unread.

        `DeliveryFault` for everything but a complete answer with status 200; what Centrifugo applied is then unknown. `Unread` for
        status 400 and 413, when it applied nothing.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                status, answer = await self._exchange(method, command)
        except TimeoutError:
            raise DeliveryFault(f"Centrifugo did not answer {method} within {self._timeout_s:g} s") from None
        except Broken as broken:
            raise DeliveryFault(f"Centrifugo could not be asked {method} at {self._place}: it {broken}") from None
        except OSError as error:
            raise DeliveryFault(f"Centrifugo could not be asked {method} at {self._place}: {type(error).__name__}") from None
        if status == _OK:
            return answer
        raise (Unread if status in _UNREAD else DeliveryFault)(_refusal(method, status))

    async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Send one command, or several whose order does not matter, and give the outcome of each; raises as `call` does."""
        answer = await self.call("batch", encode_batch(commands, parallel=len(commands) > 1))
        return decode_outcomes(answer, [command.method for command in commands])

    async def health(self) -> None:
        """Return if Centrifugo answers and takes the key; raises `DeliveryFault` if not. It only reads its own list of nodes for it."""
        await self.call("info", _INFO)

    async def close(self) -> None:
        """Close all connections that rest, and the others when they are done."""
        self._closed = True
        for connection in self._resting:
            connection.close()
        self._resting.clear()

    async def _exchange(self, method: str, command: bytes) -> tuple[int, bytes]:
        request = f"{self._path}{method}{self._head}{len(command)}\r\n\r\n".encode() + command
        loop = asyncio.get_running_loop()
        connection = self._rested(loop.time()) or await self._connect(loop)
        try:
            answer = await connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.usable and not self._closed:
            connection.rested = loop.time()
            self._resting.append(connection)
        else:
            connection.close()
        return answer

    def _rested(self, now: float) -> Connection | None:
        while self._resting:
            connection = self._resting.pop()
            if connection.usable and now - connection.rested < IDLE_S:
                return connection
            connection.close()
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        try:
            return await self._open(loop)
        except OSError:
            return await self._open(loop)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        _, connection = await loop.create_connection(lambda: Connection(self._largest), self._host, self._port, ssl=self._trust)
        return connection


def _refusal(method: str, status: int) -> str:
    if status == _UNAUTHORIZED:
        return "Centrifugo refused the key of its server API (status 401): it must be the same as http_api.key"
    return f"Centrifugo answered {method} with status {status}"
