"""A real Centrifugo with a configuration that may be broken, hooks that keep what they are asked, and clients."""

import asyncio
import hmac
import json
import socket
import ssl
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
from websockets.asyncio.client import connect
from websockets.typing import Origin

from proxy.demo.supervisor import Supervisor
from proxy.review.doctor.line import Line
from tests.live.servers import binary
from tests.review.doctor.scene import API, SERVICE, TOKEN

USER = "42"
REFUSED = {"error": {"code": 102, "message": "refused by the hook"}}
GRANTED: Mapping[str, object] = {"result": {}}
ANSWERS: Mapping[str, object] = {
    "connect": {"result": {"user": USER, "meta": {"role": "member"}}},
    "refresh": {"result": {"expire_at": int(time.time()) + 3600}},
    "sub_refresh": {"result": {"expire_at": int(time.time()) + 3600}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that came to the hooks; `path` has no leading slash."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Hooks:
    """What answers in the place of the service: refuses, unless it is told otherwise, and keeps what it was asked.

    An answer None hangs up; a number is a status.
    """

    answers: dict[str, object] = field(default_factory=lambda: dict(ANSWERS))
    asked: list[Asked] = field(default_factory=list)
    first: dict[str, Sequence[object]] = field(default_factory=dict)
    slow_s: float = 0

    def of(self, event: str) -> list[Asked]:
        return [each for each in self.asked if each.path == f"centrifugo/{event}"]

    @asynccontextmanager
    async def running(self, trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=trust)
        try:
            yield f"http{'s' if trust else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                request, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                path = request.split()[1].strip("/")
                self.asked.append(Asked(path=path, headers=headers, body=json.loads(body or b"{}")))
                await asyncio.sleep(self.slow_s)
                answer = self._answer(path.rpartition("/")[2])
                if answer is None:
                    break
                status, text = (answer, b"") if isinstance(answer, int) else (200, json.dumps(answer).encode())
                writer.write(b"HTTP/1.1 %d -\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, event: str) -> object:
        told = self.first.get(event)
        if told:
            self.first[event] = told[1:]
            return told[0]
        return self.answers.get(event, REFUSED)


class Talk(Line):
    """A connection that can be waited for until it ends."""

    async def closed(self) -> int:
        """Wait for the end and give its code."""
        async with asyncio.timeout(10):
            await self._socket.wait_closed()
        return self._socket.close_code or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """A running Centrifugo and its hooks."""

    version: str
    server: Supervisor
    hooks: Hooks
    grpc: int

    @asynccontextmanager
    async def client(self, origin: str | None = None, **headers: str) -> AsyncIterator["Talk"]:
        """A connection that has not said who it is."""
        url = self.server.url.replace("http", "ws") + "/connection/websocket"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with connect(url, proxy=None, origin=Origin(origin) if origin else None, additional_headers=sent) as opened:
            yield Talk(opened)

    @asynccontextmanager
    async def connected(self, **members: object) -> AsyncIterator["Talk"]:
        """A connection of the user, by the connect hook or by a token."""
        async with self.client() as line:
            assert "connect" in await line.ask("connect", **members)
            yield line

    async def api(self, method: str, command: Mapping[str, object], key: str | None = API) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.post(f"{self.server.url}/api/{method}", json=command, headers={"X-API-Key": key} if key else {})


def vacant() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def token(key: str = TOKEN, header: dict[str, str] | None = None, **claims: object) -> str:
    """A connection token, or with `channel` a subscription token."""
    made = jwt.encode({"sub": USER, "exp": int(time.time()) + 600, **claims}, TOKEN, "HS256", headers=header)
    if key == TOKEN:
        return made
    # PyJWT warns of short keys, and one is what is tried.
    signed = made.rpartition(".")[0]
    return f"{signed}.{urlsafe_b64encode(hmac.digest(key.encode(), signed.encode(), 'sha256')).rstrip(b'=').decode()}"


@asynccontextmanager
async def clinic(
    version: str,
    config: object,
    folder: Path,
    trust: ssl.SSLContext | None = None,
    service: str = "",
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[Clinic]:
    """Start the configuration (or its text) with hooks in the place of the service; raises `SetupFault` when it does not start."""
    hooks = Hooks()
    async with hooks.running(trust) as own:
        url = service or own
        text = config if isinstance(config, str) else json.dumps(config)
        file = folder / "centrifugo.json"
        file.write_text(text.replace(SERVICE.replace("http:", "https:"), url).replace(SERVICE, url))
        grpc = vacant()
        given = {"CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "h" * 32, "CENTRIFUGO_GRPC_API_PORT": str(grpc), **(variables or {})}
        async with Supervisor(binary(version), file, given) as server:
            yield Clinic(version=version, server=server, hooks=hooks, grpc=grpc)


@contextmanager
def nothing_asked(hooks: Hooks, *events: str) -> Iterator[None]:
    """What happens in the block happens without these hooks."""
    yield
    assert [each.path for each in hooks.asked if each.path.rpartition("/")[2] in events] == []
