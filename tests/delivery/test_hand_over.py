"""Durable publications that a real Centrifugo takes from a table of PostgreSQL or from a Redis Stream."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.delivery.outbox_world import ORDERS_KEY, Caller, Program, centrifugo, history, service
from tests.live.postgres import postgres
from tests.live.redis import redis

pytestmark = pytest.mark.live

PATIENCE_S = 30
COUNT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where publications are handed over, as the service and as Centrifugo are told."""

    address: str
    consumer: Mapping[str, object]


@pytest.fixture(params=["table", "stream"])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    if request.param == "table":
        with postgres() as database:
            consumer = {"dsn": f"{database.url}?sslmode=disable", "outbox_table_name": "handed", "num_partitions": 3}
            yield Way(
                address=f"{database.url}?table=handed&partitions=3",
                consumer={"type": "postgresql", "postgresql": consumer},
            )
    else:
        with redis() as broker:
            consumer = {"address": broker.url.removesuffix("/0"), "streams": ["handed"], "consumer_group": "centrifugo"}
            yield Way(address=f"{broker.url}?stream=handed&group=centrifugo", consumer={"type": "redis_stream", "redis_stream": consumer})


@pytest.fixture
def upstream(tmp_path: Path, way: Way) -> Iterator[Program]:
    program = centrifugo(tmp_path, None, way.consumer)
    yield program
    program.kill()


@pytest.fixture
def gateway(tmp_path: Path, way: Way, upstream: Program) -> Iterator[Program]:
    program = service(tmp_path, upstream.port, f"sqlite:///{tmp_path}/unused.db", HAND_OVER=way.address)
    program.start()
    yield program
    program.kill()


async def arrived(upstream: Program, channel: str, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await history(upstream.port, channel)) < count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)
    return found


async def test_centrifugo_takes_what_was_accepted_before_and_while_it_ran(upstream: Program, gateway: Program, tmp_path: Path) -> None:
    await gateway.ready()
    channels = [f"chat:{number}" for number in range(5)]
    callers = [Caller(gateway.port, channel, 10) for channel in channels]
    await asyncio.gather(*(caller.publish(0, COUNT // 2) for caller in callers))
    upstream.start()
    await upstream.ready()
    await asyncio.gather(*(caller.publish(COUNT // 2, COUNT) for caller in callers))
    for channel in channels:
        assert await arrived(upstream, channel, COUNT) == [{"n": n} for n in range(COUNT)]
    assert sum(caller.repeated for caller in callers) == 0
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", trust_env=False) as client:
        while "centrigate_outbox_length 0.0" not in (await client.get("/metrics")).text:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)
        assert "centrigate_outbox_attempts_total 0.0" in (await client.get("/metrics")).text
        assert (await client.get("/ready")).json()["ready"]
    assert await asyncio.to_thread(gateway.stop) == 0
    assert not (tmp_path / "unused.db").exists()


async def test_a_payload_arrives_as_it_was_and_a_key_counts(upstream: Program, gateway: Program) -> None:
    upstream.start()
    await asyncio.gather(upstream.ready(), gateway.ready())
    payload = {"z": 1, "a": "\0", "big": 2**53 + 1, "small": 1.50}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.port}", headers={"x-api-key": ORDERS_KEY}, trust_env=False) as client:
        for data in (payload, "again"):
            got = await client.post("/api/publish", json={"channel": "chat:a", "data": data, "idempotency_key": "k"})
            assert got.json() == {"result": {}}
        assert (await client.post("/api/publish", json={"channel": "chat:a", "data": "last"})).json() == {"result": {}}
    found = await arrived(upstream, "chat:a", 2)
    assert found == [payload, "last"]
    assert [*found[0]] == [*payload]
