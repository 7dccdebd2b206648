"""HTTP servers that are asked for small JSON documents, within bounds."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx
import orjson

from proxy.errors import FactFault, Malformed, SetupFault
from proxy.policy import declared
from proxy.wire.read import ambiguous, parse

MAX_BYTES: Final = 256 << 10
"""Length of a reply at most."""
MAX_CONNECTIONS: Final = 32
"""Connections to one application at most."""
MAX_IN_FLIGHT: Final = 512
"""Requests that are sent or wait for a connection; more fail at once, so that a slow application does not collect work."""
IDLE_S: Final = 4.0
"""Seconds a connection may rest; common servers close theirs after 5, and a request into a closing connection is lost."""

_OK: Final = 200
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "centrigate"}


class Getter:
    """Asks, mostly with GET, over kept-alive connections; every request may take `timeout_s` seconds in all.

    No redirect is followed, no cookie kept, no proxy of the environment used, nothing repeated. `name` stands in the texts of
    faults, `headers` (names in lower case) go with every request and stand above those of a call.
    """

    def __init__(self, name: str, timeout_s: float, headers: Mapping[str, str] = {}) -> None:
        self.name = name
        self._timeout_s = timeout_s
        self._headers = {**_HEADERS, **headers}
        self._in_flight = 0
        # Whoever waits for a connection waits here: httpx looks at all who wait whenever one of them moves.
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS, keepalive_expiry=IDLE_S)
        # A transport and no client: a client would keep the cookies of one user's reply and send them with another's request.
        self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Give the status and the body; raises `FactFault` for no answer in time and one longer than `MAX_BYTES`."""
        return await self.ask("GET", url, headers, b"")

    async def ask(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> tuple[int, bytes]:
        """Do the same with another method and a body."""
        if self._in_flight >= MAX_IN_FLIGHT:
            raise FactFault(f"{self.name}: {MAX_IN_FLIGHT} requests are in flight already")
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                return await self._exchange(method, url, headers, content)
        except (TimeoutError, httpx.TimeoutException):
            message = f"{self.name}: no answer within {self._timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            # The error's own text may hold the path or a header, and so what must not be logged.
            message = f"{self.name}: no answer ({type(error).__name__})"
        finally:
            self._in_flight -= 1
        raise FactFault(message)

    async def close(self) -> None:
        """Close all connections; nothing can be asked afterwards."""
        await self._transport.aclose()

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> tuple[int, bytes]:
        sent = {name.encode("latin-1"): value.encode("latin-1") for name, value in {**headers, **self._headers}.items()}
        waits = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        request = httpx.Request(method, url, headers=sent, content=content or None, extensions={"timeout": waits})
        response = await self._transport.handle_async_request(request)
        body = bytearray()
        try:
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    raise FactFault(f"{self.name}: the reply is longer than {MAX_BYTES} bytes")
        finally:
            await response.aclose()
        return response.status_code, bytes(body)


class Remote:
    """An HTTP application that a policy names, with its headers and its timeout.

    `variables` hold the base address and the values of the headers. Raises `SetupFault` for those that are missing or unusable.
    """

    def __init__(self, remote: declared.Remote, variables: Mapping[str, str]) -> None:
        self._base = _address(remote, variables)
        headers = {name.lower(): _header(remote, variable, variables) for name, variable in remote.headers}
        self._getter = Getter(f"http {remote.name}", remote.timeout_ms / 1000, headers)

    async def get(self, path: str, headers: Mapping[str, str] = {}) -> tuple[int, object]:
        """Give the status and, of a 200, the JSON value of the reply; `path` is percent-encoded and begins with `/`.

        Raises `FactFault` for no answer in time, a reply that is too long, a 200 that is not JSON with one reading, and a path that
        would lead elsewhere.
        """
        status, body = await self._getter.get(self._at(path), headers)
        return status, document(self._getter.name, body) if status == _OK else None

    async def post(self, path: str, told: object) -> object:
        """Give the JSON value of the reply to a POST of this value; raises `FactFault` as `get` does, and for another status than 200."""
        try:
            content = orjson.dumps(told)
        except orjson.JSONEncodeError:
            raise FactFault(f"{self._getter.name}: what it is to be told is not JSON") from None
        status, body = await self._getter.ask("POST", self._at(path), {"content-type": "application/json"}, content)
        if status != _OK:
            raise FactFault(f"{self._getter.name}: status {status}")
        return document(self._getter.name, body)

    async def reach(self) -> None:
        """Return if the application answers at its base address, whatever it answers; raises `FactFault` if not."""
        await self._getter.get(self._base, {})

    async def close(self) -> None:
        """Close all connections; nothing can be asked afterwards."""
        await self._getter.close()

    def _at(self, path: str) -> str:
        if not path.startswith("/") or any(segment in {".", ".."} for segment in path.partition("?")[0].split("/")):
            raise FactFault(f"{self._getter.name}: this path would lead elsewhere")
        return self._base + path


def document(name: str, body: bytes) -> object:
    """Read JSON that can be read in one way only; raises `FactFault` with `name` for anything else."""
    try:
        value = parse(body)
        twofold = ambiguous(body)
    except Malformed:
        raise FactFault(f"{name}: the reply is not JSON") from None
    if twofold:
        raise FactFault(f"{name}: the reply has a repeated member or a number beyond 64 bits")
    return value


def _address(remote: declared.Remote, variables: Mapping[str, str]) -> str:
    name = remote.base.name
    value = variables.get(name) or remote.base.default
    if not value:
        raise SetupFault(
            f"the policy's http {remote.name} needs the environment variable {name}: set it to an address such as http://127.0.0.1:8080"
        )
    if not _usable(value):
        raise SetupFault(f"{name} must be an address such as http://127.0.0.1:8080, without user, query and fragment")
    return value.rstrip("/")


def _usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        return False
    plain = not ("@" in parts.netloc or parts.query or parts.fragment or " " in address)
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


def _header(remote: declared.Remote, variable: declared.Variable, variables: Mapping[str, str]) -> str:
    value = variables.get(variable.name) or variable.default
    if not value:
        raise SetupFault(f"the policy's http {remote.name} needs the environment variable {variable.name}: set it to its header")
    if not value.isascii() or not value.isprintable():
        raise SetupFault(f"{variable.name} travels in a header, so it must be printable ASCII")
    return value
