"""Centrifugo's server API over HTTP."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx

from proxy.errors import DeliveryFault, SetupFault

IDLE_S: Final = 20.0
"""Seconds a connection may rest. Centrifugo closes its side after 30 s, and a command sent into a closing connection is lost."""

_OK: Final = 200
_UNAUTHORIZED: Final = 401
_INFO: Final = b"{}"


class Server:
    """One Centrifugo server, called over at most `connections` kept-alive connections.

    `base` is its address (`http://localhost:8000`), `key` its `http_api.key`. A call waits `timeout_s` in all, the wait for a free
    connection included, and reads at most `largest` bytes. Nothing is sent twice: only connecting is tried again, once and at once,
    because then no byte of the command has left; a connection that Centrifugo closed while it rested is noticed before it is used.
    Not usable before a loop runs; `close` gives the connections back.
    """

    def __init__(self, base: str, key: str, *, timeout_s: float = 5.0, connections: int = 64, largest: int = 16 << 20) -> None:
        if not key or not key.isascii() or not key.isprintable():
            message = "the key of Centrifugo's server API must be printable ASCII and not empty"
            raise SetupFault(message)
        self._base = base.rstrip("/")
        self._place = urlsplit(base).netloc.rpartition("@")[2]
        self._timeout_s = timeout_s
        self._largest = largest
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE_S)
        self._client = httpx.AsyncClient(
            # Compression is refused, because a short answer could unpack into a long one.
            headers={"X-API-Key": key, "Content-Type": "application/json", "Accept-Encoding": "identity"},
            timeout=timeout_s,
            transport=httpx.AsyncHTTPTransport(limits=limits, retries=1, trust_env=False),
        )

    async def call(self, method: str, command: bytes) -> bytes:
        """Send one command (JSON) and give Centrifugo's answer, unread.

        `DeliveryFault` for everything but a complete answer with status 200; what Centrifugo applied is then unknown.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, command)
        except (TimeoutError, httpx.TimeoutException):
            message = f"Centrifugo did not answer {method} within {self._timeout_s:g} s"
        except httpx.HTTPError as error:
            message = f"Centrifugo could not be asked {method} at {self._place}: {type(error).__name__}"
        raise DeliveryFault(message)

    async def health(self) -> None:
        """Return if Centrifugo answers and takes the key; raises `DeliveryFault` if not. It only reads its own list of nodes for it."""
        await self.call("info", _INFO)

    async def close(self) -> None:
        """Close all connections; the server cannot be called afterwards."""
        await self._client.aclose()

    async def _exchange(self, method: str, command: bytes) -> bytes:
        answer = bytearray()
        async with self._client.stream("POST", f"{self._base}/api/{method}", content=command) as response:
            if response.status_code != _OK:
                raise DeliveryFault(_refusal(method, response.status_code))
            async for piece in response.aiter_raw():
                answer += piece
                if len(answer) > self._largest:
                    message = f"Centrifugo's answer to {method} is longer than {self._largest} bytes"
                    raise DeliveryFault(message)
        return bytes(answer)


def _refusal(method: str, status: int) -> str:
    if status == _UNAUTHORIZED:
        return "Centrifugo refused the key of its server API (status 401): it must be the same as http_api.key"
    return f"Centrifugo answered {method} with status {status}"
