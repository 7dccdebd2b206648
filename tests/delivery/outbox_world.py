"""The service as a process of its own, a Centrifugo on a Redis, and callers; the first two can be killed at any moment."""

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from tests.live.servers import ROOT, binary

API_KEY: Final = "api-" * 8
ORDERS_KEY: Final = "orders-" * 8
PATIENCE_S: Final = 20.0
POLICY: Final = """language 1;
channel "chat:{x}" { allow subscribe; }
identity visitor { guest; }
service orders { key env ORDERS_KEY; delivery durable; allow publish, broadcast, history on "chat:{x}"; }
"""


def vacant() -> int:
    """A port that stays vacant while nobody listens: below those that outgoing connections are given."""
    while True:
        port = random.randrange(10_000, 32_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Program:
    """A process that is started, killed and started again, on the same port."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> None:
        self.port = vacant()
        self._command, self._environment, self._folder, self._log = command, environment, folder, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin; it may not listen yet."""
        command = [part.format(port=self.port) for part in self._command]
        environment = {name: value.format(port=self.port) for name, value in self._environment.items()}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, cwd=self._folder, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def limit(self, largest: int | None) -> None:
        """Let no file of it grow beyond so many bytes, or any file for None: what a full disk does."""
        assert self._process
        most = resource.RLIM_INFINITY if largest is None else largest
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    async def ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/health")).is_success:
                        return
                await asyncio.sleep(0.01)


def centrifugo(folder: Path, redis: str | None, consumer: Mapping[str, object] | None = None) -> Program:
    """Centrifugo 6 whose histories hold everything; with Redis they, and what is known of idempotency keys, survive it."""
    kept = {"history_size": 100_000, "history_ttl": "1h"}
    config: dict[str, object] = {
        "http_api": {"key": API_KEY},
        "channel": {"namespaces": [{"name": "chat", **kept}], "max_length": 255},
        "health": {"enabled": True},
        "log": {"level": "error"},
    }
    if consumer:
        config["consumers"] = [{"name": "handed", "enabled": True, **consumer}]
    if redis:
        config["engine"] = {"type": "redis", "redis": {"address": redis}}
    (folder / "centrifugo.json").write_text(json.dumps(config))
    return Program(
        [str(binary("6.9.1")), "-c", "centrifugo.json", "-a", "127.0.0.1", "-p", "{port}"], {}, folder, folder / "centrifugo.log"
    )


def service(folder: Path, upstream: int, store: str, **more: str) -> Program:
    """`centrigate serve` with a durable service."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "a.policy").write_text(POLICY)
    secrets = {"HOOK_SECRET": "h" * 32, "TOKEN_KEY": "t" * 32, "CENTRIFUGO_API_KEY": API_KEY}
    chosen = {**secrets, **more, "STORE_URL": store, "CENTRIFUGO_URL": f"http://127.0.0.1:{upstream}", "PORT": "{port}"}
    # Whoever is killed writes down no coverage, and measuring it makes the start slow.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CENTRIGATE_", "COV"))}
    environment = (
        kept | {f"CENTRIGATE_{name}": value for name, value in chosen.items()} | {"ORDERS_KEY": ORDERS_KEY, "PYTHONPATH": str(ROOT)}
    )
    return Program([sys.executable, "-m", "proxy", "serve"], environment, folder, folder / "service.log")


class Caller:
    """A backend on one connection, which repeats with the same idempotency keys whatever was not accepted; `stride` go in one call."""

    def __init__(self, port: int, channel: str, stride: int) -> None:
        self._port, self._channel, self._stride = port, channel, stride
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.accepted = self.repeated = self.refused = 0

    async def publish(self, first: int, last: int) -> None:
        """Have these numbers accepted in their order."""
        for n in range(first, last, self._stride):
            commands = [{"publish": self._publication(m)} for m in range(n, min(n + self._stride, last))]
            while not await self._accepted(json.dumps({"commands": commands}).encode()):
                self.repeated += 1
                await asyncio.sleep(0.1)
            self.accepted += len(commands)
        await self.hang_up()

    def _publication(self, n: int) -> dict[str, object]:
        return {"channel": self._channel, "data": {"n": n}, "idempotency_key": f"{self._channel}-{n}"}

    async def hang_up(self) -> None:
        """Close the connection."""
        if self._stream:
            self._stream[1].close()
            self._stream = None

    async def _accepted(self, body: bytes) -> bool:
        try:
            async with asyncio.timeout(10):
                status, answer = await self._exchange(body)
        except (OSError, EOFError, TimeoutError):
            await self.hang_up()
            return False
        assert status in (200, 503), answer
        if status == 503:
            return False
        replies = json.loads(answer)["replies"]
        assert {reply.get("error", {}).get("code") for reply in replies} <= {None, 100, 111}, replies
        taken = all("publish" in reply for reply in replies)
        self.refused += not taken
        return taken

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._stream is None:
            self._stream = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._stream
        head = f"POST /api/batch HTTP/1.1\r\nhost: x\r\nx-api-key: {ORDERS_KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(told.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(told.split()[1]), await reader.readexactly(length)


async def history(port: int, channel: str) -> list[Any]:
    """The data of everything that was published in a channel, asked of Centrifugo itself."""
    async with httpx.AsyncClient(headers={"X-API-Key": API_KEY}) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/api/history", json={"channel": channel, "limit": -1})
    return [each["data"] for each in answer.raise_for_status().json()["result"].get("publications", [])]
