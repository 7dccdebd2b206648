"""Real Centrifugos with both server APIs and a history, and the two ways to them."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.delivery import grpc, http
from proxy.delivery.batcher import Api
from proxy.demo.supervisor import Supervisor
from proxy.wire.api import Command
from tests.live.servers import VERSIONS, binary

KEY = "the-key-of-both-server-apis-0123456789"
BOARD = {"name": "board", "subscription_type": "map", "map": {"mode": "ephemeral", "key_ttl": "60s"}}
WAYS = [(version, way) for version in VERSIONS for way in ("http", "grpc")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A Centrifugo that runs, and where its gRPC API is."""

    server: Supervisor
    target: str

    def api(self, way: str, key: str = KEY) -> Api:
        """The way to it."""
        return http.Server(self.server.url, key) if way == "http" else grpc.Server(self.target, key)

    async def kill(self) -> None:
        """End it as the kernel would."""
        self.server._process.kill()
        await self.server._process.wait()


@asynccontextmanager
async def running(version: str, folder: Path, place: Place | None = None) -> AsyncIterator[Place]:
    """Run one, in the place of another that ended if that is given."""
    port = place.server.port if place else 0
    target = place.target if place else f"127.0.0.1:{_vacant()}"
    config = folder / f"centrifugo-{version}.json"
    config.write_text(json.dumps(_flat(target) if version.startswith("5") else _sections(target)))
    async with Supervisor(binary(version), config, {}, port=port) as server:
        yield Place(server=server, target=target)


@asynccontextmanager
async def reached(version: str, way: str, folder: Path) -> AsyncIterator[tuple[Place, Api]]:
    """Run one and reach it one way."""
    async with running(version, folder) as place:
        api = place.api(way)
        try:
            yield place, api
        finally:
            await api.close()


def publish(channel: str, data: object, **more: object) -> Command:
    """A publication."""
    return Command(method="publish", params={"channel": channel, "data": data, **more})


def history(channel: str, limit: int = -1) -> Command:
    """What stands in a channel; by default all of it."""
    return Command(method="history", params={"channel": channel, "limit": limit})


def _vacant() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _sections(target: str) -> dict[str, object]:
    host, _, port = target.rpartition(":")
    kept = {"history_size": 10_000, "history_ttl": "300s", "presence": True}
    return {
        "health": {"enabled": True},
        "http_api": {"key": KEY},
        "grpc_api": {"enabled": True, "address": host, "port": int(port), "key": KEY},
        "channel": {
            "without_namespace": kept,
            "namespaces": [{"name": "plain"}, BOARD],
        },
    }


def _flat(target: str) -> dict[str, object]:
    host, _, port = target.rpartition(":")
    return {
        "health": True,
        "api_key": KEY,
        "grpc_api": True,
        "grpc_api_address": host,
        "grpc_api_port": int(port),
        "grpc_api_key": KEY,
        "history_size": 10_000,
        "history_ttl": "300s",
        "presence": True,
        "namespaces": [{"name": "plain"}],
    }
