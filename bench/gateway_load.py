"""Callers that publish, each to a channel of its own and one message after the other, and the ways that they take.

The callers must not be what is measured: those of the gateway and of the batches by hand use the service's own HTTP client, which takes
a thirtieth of what httpx takes.
"""

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import httpx
from cent import AsyncClient, PublishRequest

from proxy.delivery import grpc, http
from proxy.delivery.batcher import Batcher
from proxy.wire.api import Command, Outcome, Result, decode_outcome, decode_outcomes, encode_batch

KEY: Final = "k" * 32
SERVICE_KEY: Final = "s" * 32
DURABLE_KEY: Final = "d" * 32
DATA: Final = {"type": "order_shipped", "message": "It left the warehouse and arrives on Thursday. " * 3}

Send: TypeAlias = Callable[[int], Awaitable[None]]
"""Publishes for the caller with that number, and raises if that fails."""

_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What some callers got done: seconds a message in all, and what each of them waited."""

    each_s: float
    waited_s: Sequence[float]

    @property
    def p50_s(self) -> float:
        """The median."""
        return statistics.median(self.waited_s)

    def told(self) -> str:
        """Say it for people."""
        tail = statistics.quantiles(self.waited_s, n=100)[98]
        return f"{1 / self.each_s:,.0f}/s, p50 {self.p50_s * 1000:.2f} ms, p99 {tail * 1000:.2f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to publish; `together` is given if it sends for all callers at once, `after` if there is work left behind the answers."""

    name: str
    send: Send
    together: Callable[[int], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def slice(self, callers: int, seconds: float) -> Slice:
        """Have callers publish for a time, and wait for their last messages."""
        waited: list[float] = []
        began = time.perf_counter()
        last = began + seconds

        async def caller(number: int) -> None:
            while not waited or time.perf_counter() < last:
                now = time.perf_counter()
                await self.send(number)
                waited.append(time.perf_counter() - now)

        async def crowd(all_: Callable[[int], Awaitable[None]]) -> None:
            while not waited or time.perf_counter() < last:
                now = time.perf_counter()
                await all_(callers)
                waited.extend([time.perf_counter() - now] * callers)

        async with asyncio.timeout(_PATIENCE_S):
            await (crowd(self.together) if self.together else asyncio.gather(*map(caller, range(callers))))
            if self.after:
                await self.after()
        return Slice(each_s=(time.perf_counter() - began) / len(waited), waited_s=waited)


@asynccontextmanager
async def ways(centrifugo: str, target: str, service: str, store: Path) -> AsyncIterator[Sequence[Way]]:
    """Open all ways to a Centrifugo and its gRPC API, and through a service with an outbox before it; the first is the yardstick."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(headers={"x-api-key": KEY}, trust_env=False, timeout=_PATIENCE_S))
        official = AsyncClient(f"{centrifugo}/api", api_key=KEY, timeout=_PATIENCE_S)
        direct, backend = http.Server(centrifugo, KEY), http.Server(service, SERVICE_KEY, connections=512)
        keeping = http.Server(service, DURABLE_KEY, connections=512)
        remote = grpc.Server(target, KEY)
        for closing in (official.close, direct.close, backend.close, keeping.close, remote.close):
            stack.push_async_callback(closing)
        yield (
            Way(name="httpx, one by one", send=_httpx(client, centrifugo)),
            Way(name="cent, one by one", send=_cent(official)),
            Way(name="through the gateway", send=_gateway(backend)),
            Way(name="through the gateway, durable", send=_gateway(keeping), after=_delivered(store)),
            Way(name="batcher", send=_batcher(Batcher(direct))),
            Way(name="batcher, httpx", send=_batcher(Batcher(Httpx(client, centrifugo)))),
            Way(name="batcher, gRPC", send=_batcher(Batcher(remote))),
            Way(name="batcher, one channel", send=_batcher(Batcher(direct), one=True)),
            Way(name="batcher, one text", send=_batcher(Batcher(direct), order="12345")),
            Way(name="batches by hand", send=_batcher(Batcher(direct)), together=_by_hand(direct)),
        )


class Httpx:
    """A transport over httpx, to see what the service's own is worth."""

    def __init__(self, client: httpx.AsyncClient, centrifugo: str) -> None:
        self._client, self._centrifugo = client, centrifugo

    async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Send them as one batch."""
        response = await self._client.post(f"{self._centrifugo}/api/batch", content=encode_batch(commands, parallel=len(commands) > 1))
        return decode_outcomes(response.content, [command.method for command in commands])


def _httpx(client: httpx.AsyncClient, centrifugo: str) -> Send:
    async def send(number: int) -> None:
        response = await client.post(f"{centrifugo}/api/publish", json=_command(number).params)
        assert "result" in response.json(), response.text

    return send


def _cent(client: AsyncClient) -> Send:
    async def send(number: int) -> None:
        await client.publish(PublishRequest.model_validate(_command(number).params))

    return send


def _gateway(backend: http.Server) -> Send:
    bodies: dict[int, bytes] = {}

    async def send(number: int) -> None:
        body = bodies.setdefault(number, _command(number).encode())
        assert isinstance(decode_outcome(await backend.call("publish", body)), Result)

    return send


def _delivered(store: Path) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            while db.execute("select exists (select 1 from outbox_messages)").fetchone()[0]:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.01)

    return wait


def _batcher(batcher: Batcher, *, one: bool = False, order: str | None = None) -> Send:
    async def send(number: int) -> None:
        assert isinstance(await batcher.send(_command(0 if one else number, order)), Result)

    return send


def _by_hand(server: http.Server) -> Callable[[int], Awaitable[None]]:
    async def send(callers: int) -> None:
        body = encode_batch([_command(number) for number in range(callers)], parallel=True)
        outcomes = decode_outcomes(await server.call("batch", body), ["publish"] * callers)
        assert all(isinstance(outcome, Result) for outcome in outcomes)

    return send


def _command(number: int, order: str | None = None) -> Command:
    return Command(method="publish", params={"channel": f"c{number}", "data": {**DATA, "orderId": order or str(number)}})


POLICY: Final = """language 1;
service load {
  key env LOAD_KEY;
  allow publish on "c{n:int}" when data.type == "order_shipped";
}
service kept {
  key env KEPT_KEY;
  delivery durable;
  allow publish on "c{n:int}" when data.type == "order_shipped";
}
"""


def settle(folder: Path, port: int) -> tuple[Path, Path]:
    """Write Centrifugo's configuration, its gRPC API on that port, and the folder of the policy."""
    config, policies = folder / "centrifugo.json", folder / "policies"
    kept = {"history_size": 10, "history_ttl": "60s"}
    remote = {"enabled": True, "address": "127.0.0.1", "port": port, "key": KEY}
    sections = {"health": {"enabled": True}, "http_api": {"key": KEY}, "grpc_api": remote, "channel": {"without_namespace": kept}}
    config.write_text(json.dumps(sections))
    policies.mkdir()
    (policies / "load.policy").write_text(POLICY)
    return config, policies
