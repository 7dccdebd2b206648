"""Records what a real Centrifugo sends to its hooks: `python -m tests.golden.capture [BINARY …]`, by default those in `.tools`.

Starts each binary with every hook pointed at a recording server, plays raw WebSocket clients, and writes one file per request under
`v6/` or `v5/`. Client ids and ports are replaced, so a second run writes the same files.
"""

import asyncio
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets

from proxy.wire.replies import (
    UNCHANGED,
    Answered,
    Connected,
    MapPublished,
    MapRemoved,
    Polled,
    Published,
    Refreshed,
    Reply,
    SubRefreshed,
    Subscribed,
    Update,
)
from proxy.wire.requests import decode_connect, decode_subscribe

HERE = Path(__file__).parent
POLL_SECRET = "poll-secret"
CLIENT_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Recorder:
    """An HTTP server that keeps each hook request under the variant being played, and grants it."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._awaited = ("", "")
        self._arrived = asyncio.Event()
        self._clients: dict[bytes, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close."""
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers["Content-Length"]))
        event = request.split()[1].strip("/")
        reply = REPLIES[event](body).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply)
        writer.close()
        self._keep(event, headers | {"Host": "127.0.0.1:9000"}, CLIENT_ID.sub(self._stable, body))

    def _keep(self, event: str, headers: dict[str, str], body: bytes) -> None:
        awaited, variant = self._awaited
        name = event + variant if event == awaited else event
        self.found.setdefault(name, {"headers": headers, "body": body.decode()})
        self._arrived.set()

    def _stable(self, found: re.Match[bytes]) -> bytes:
        return self._clients.setdefault(found[0], b"00000000-0000-4000-8000-%012d" % (len(self._clients) + 1))

    def expect(self, event: str, variant: str) -> None:
        """Keep the next request of this event under this variant."""
        self._awaited = (event, variant)

    async def until(self, name: str) -> None:
        """Wait until there is a request of this name."""
        async with asyncio.timeout(15):
            while name not in self.found:
                self._arrived.clear()
                await self._arrived.wait()


def _connected(body: bytes) -> Connected:
    guest = decode_connect(body).data == {"guest": True}
    return Connected(user="" if guest else "42", expire_at=int(time.time()) + 2, info={"n": "Ann"}, meta={"tenant": "acme"})


def _subscribed(body: bytes) -> Subscribed:
    poll = decode_subscribe(body).channel.startswith("votes:")
    return Subscribed(expire_at=None if poll else int(time.time()) + 1)


REPLIES: dict[str, Callable[[bytes], Reply]] = {
    "connect": _connected,
    "refresh": lambda _: Refreshed(expire_at=int(time.time()) + 3600),
    "subscribe": _subscribed,
    "publish": lambda _: Published(data=UNCHANGED),
    "sub_refresh": lambda _: SubRefreshed(expire_at=int(time.time()) + 3600),
    "rpc": lambda _: Answered(data={"ok": True}),
    "map_publish": lambda _: MapPublished(data=UNCHANGED),
    "map_remove": lambda _: MapRemoved(),
    "shared_poll_refresh": lambda _: Polled(items=(Update(key="p1", data={"votes": 1}),)),
}


def _config6(hooks: str, *, binary: bool) -> dict[str, Any]:
    def proxy(event: str, *, encoded: bool = False) -> dict[str, Any]:
        return {
            "endpoint": f"{hooks}/{event}",
            "timeout": "4s",
            "include_connection_meta": event != "shared_poll_refresh",
            "binary_encoding": encoded and binary,
            "http_headers": ["Cookie", "Origin"],
            "http": {"static_headers": {"X-Centrigate-Hook-Secret": "secret"}},
        }

    enabled = {f"{event}_proxy_enabled": True for event in ("subscribe", "publish", "sub_refresh")}
    channel = {event: proxy(event, encoded=event in {"subscribe", "publish"}) for event in ("subscribe", "publish", "sub_refresh")}
    channel |= {event: proxy(event) for event in ("map_publish", "map_remove", "shared_poll_refresh")}
    board = {"mode": "ephemeral", "key_ttl": "60s", "publish_proxy_enabled": True, "remove_proxy_enabled": True}
    return {
        "client": {
            "allowed_origins": ["http://app.test"],
            "presence_update_interval": "1s",
            "expired_sub_close_delay": "1s",
            "proxy": {"connect": {**proxy("connect", encoded=True), "enabled": True}, "refresh": {**proxy("refresh"), "enabled": True}},
        },
        "channel": {
            "proxy": channel,
            "namespaces": [
                {"name": "chat", **enabled},
                {"name": "board", "subscription_type": "map", "map": board},
                {"name": "votes", "subscription_type": "shared_poll", "subscribe_proxy_enabled": True},
            ],
        },
        "rpc": {"proxy": proxy("rpc", encoded=True), "without_namespace": {"proxy_enabled": True}},
        "shared_poll": {"hmac_secret_key": POLL_SECRET},
        "health": {"enabled": True},
        "log": {"level": "warn"},
    }


def _config5(hooks: str, *, binary: bool) -> dict[str, Any]:
    return {
        **{f"proxy_{event}_endpoint": f"{hooks}/{event}" for event in ("connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc")},
        "proxy_http_headers": ["Cookie", "Origin"],
        "proxy_static_http_headers": {"X-Centrigate-Hook-Secret": "secret"},
        "proxy_include_connection_meta": True,
        "proxy_binary_encoding": binary,
        "allowed_origins": ["http://app.test"],
        "client_presence_update_interval": "1s",
        "client_expired_sub_close_delay": "1s",
        "namespaces": [{"name": "chat", "proxy_subscribe": True, "proxy_publish": True, "proxy_sub_refresh": True}],
        "health": True,
        "log_level": "warn",
    }


@asynccontextmanager
async def _centrifugo(binary: Path, config: dict[str, Any]) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = _start(binary, config, Path(folder), port)
        try:
            await _healthy(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _start(binary: Path, config: dict[str, Any], folder: Path, port: int) -> "subprocess.Popen[bytes]":
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    command = [str(binary), "-c", str(path), "-a", "127.0.0.1", "-p", str(port)]
    return subprocess.Popen(command, cwd=folder, env={}, stdout=subprocess.DEVNULL)


async def _healthy(port: int) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient() as http:
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/health")
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return


class Player:
    """A raw client of the JSON protocol."""

    def __init__(self, recorder: Recorder, socket_: websockets.ClientConnection) -> None:
        self._recorder = recorder
        self._socket = socket_
        self._id = 0

    async def send(self, event: str, command: str, variant: str = "") -> None:
        """Send a command as it is written, and wait until the hook `event` was asked and the command answered."""
        self._id += 1
        self._recorder.expect(event, variant)
        await self._socket.send(f'{{"id":{self._id},{command}}}')
        await self._recorder.until(event + variant)
        async with asyncio.timeout(5):
            while f'"id":{self._id},' not in str(await self._socket.recv()):
                pass


@asynccontextmanager
async def _player(recorder: Recorder, port: int) -> AsyncIterator[Player]:
    url = f"ws://127.0.0.1:{port}/connection/websocket"
    cookie = {"Cookie": "sid=abc; x=y"}
    async with websockets.connect(url, origin=websockets.Origin("http://app.test"), additional_headers=cookie, proxy=None) as connection:
        yield Player(recorder, connection)


async def _plain(recorder: Recorder, port: int) -> None:
    async with _player(recorder, port) as player:
        data = r'{"a":1,"html":"<b>&\u00e9\u2028"}'
        await player.send("connect", f'"connect":{{"data":{data},"name":"js","version":"5.4","subs":{{"chat:sv":{{}}}}}}')
        await player.send("subscribe", '"subscribe":{"channel":"chat:room","data":{"p":"<i>"}}')
        data = '{ "m" :  "<i>&",  "big": 12345678901234567890, "f": 1.0e2, "m": "again" }'
        await player.send("publish", f'"publish":{{"channel":"chat:room","data":{data}}}')
        await player.send("publish", '"publish":{"channel":"chat:room","data":null}', "-null")
        await player.send("rpc", '"rpc":{"method":"getUser","data":{"id":7}}')
        await player.send("rpc", '"rpc":{}', "-bare")
        await recorder.until("refresh")
        await recorder.until("sub_refresh")
    async with _player(recorder, port) as player:
        await player.send("connect", '"connect":{"data":{"guest":true}}', "-guest")
        await player.send("subscribe", '"subscribe":{"channel":"chat:room"}', "-guest")


async def _encoded(recorder: Recorder, port: int) -> None:
    async with _player(recorder, port) as player:
        await player.send("connect", '"connect":{"data":{"a":1}}', "-binary")
        await player.send("subscribe", '"subscribe":{"channel":"chat:room","data":{"p": "<i>"}}', "-binary")
        await player.send("publish", '"publish":{"channel":"chat:room","data":{ "m" :  "<i>&" }}', "-binary")
        await player.send("rpc", '"rpc":{"method":"getUser","data":{"id":7}}', "-binary")


async def _maps(recorder: Recorder, port: int) -> None:
    write = '"publish":{"channel":"board:a","key":"k1","type":1,"data":{"x":1}}'
    remove = '"publish":{"channel":"board:a","key":"k1","type":1,"removed":true}'
    async with _player(recorder, port) as player:
        await player.send("connect", '"connect":{}', "-bare")
        await player.send("map_publish", write)
        await player.send("map_remove", remove)
        await player.send("subscribe", '"subscribe":{"channel":"votes:f","type":4}', "-poll")
        track = f'{{"signature":"{_signature("42", "votes:f", "p1")}","items":[{{"key":"p1"}}]}}'
        await player.send("shared_poll_refresh", f'"sub_refresh":{{"channel":"votes:f","type":1,"track":[{track}]}}')
    async with _player(recorder, port) as player:
        await player.send("connect", '"connect":{"data":{"guest":true}}', "-guest")
        await player.send("map_publish", write, "-guest")
        await player.send("map_remove", remove, "-guest")


def _signature(user: str, channel: str, key: str) -> str:
    now = int(time.time())
    hashed = hashlib.sha256(key.encode()).hexdigest()
    signed = "\0".join([str(now), "0", user, channel, hashed])
    return f"{now}:0:{hmac.new(POLL_SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()}"


async def capture(binary: Path, major: str) -> dict[str, dict[str, Any]]:
    """Play everything on one server and give what it asked, by the name of its file."""
    recorder = Recorder()
    async with await asyncio.start_server(recorder.serve, "127.0.0.1", 0) as server:
        hooks = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = _config6 if major == "v6" else _config5
        async with _centrifugo(binary, config(hooks, binary=False)) as port:
            await _plain(recorder, port)
            if major == "v6":
                await _maps(recorder, port)
        async with _centrifugo(binary, config(hooks, binary=True)) as port:
            await _encoded(recorder, port)
    return recorder.found


def main(binary: Path) -> None:
    """Write what this Centrifugo asks."""
    version = subprocess.run([binary, "version"], check=True, capture_output=True, text=True).stdout
    major = "v6" if "v6." in version else "v5"
    folder = HERE / major
    folder.mkdir(exist_ok=True)
    for name, request in asyncio.run(capture(binary, major)).items():
        (folder / f"{name}.json").write_text(json.dumps(request, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:] or sorted(map(str, Path(".tools").glob("centrifugo-*"))):
        main(Path(argument).resolve())
