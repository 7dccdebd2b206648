import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from proxy.edge import ops
from proxy.edge.flight import Flight
from proxy.edge.metrics import Metrics
from proxy.errors import DeliveryFault


async def fine() -> None:
    pass


async def away() -> None:
    message = "Centrifugo could not be asked"
    raise DeliveryFault(message)


async def silent() -> None:
    await asyncio.Event().wait()


async def get(path: str, refused: str = "", **probes: ops.Probe) -> httpx.Response:
    app = Starlette(routes=ops.routes(Metrics(Flight(1)), lambda: ("rev1", refused), probes))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centrigate") as client:
        return await client.get(path)


async def test_a_service_that_answers_is_alive_whatever_is_away() -> None:
    got = await get("/health", centrifugo=away)
    assert (got.status_code, got.json()) == (200, {"status": "alive"})


async def test_a_service_is_ready_when_all_answer() -> None:
    got = await get("/ready", centrifugo=fine, databases=fine)
    assert (got.status_code, got.json()) == (200, {"ready": True, "policy": "rev1", "reasons": {}})


async def test_a_service_that_is_not_ready_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "PATIENCE_S", 0.01)
    got = await get("/ready", centrifugo=away, databases=silent, other=fine)
    assert got.status_code == 503
    assert got.json() == {
        "ready": False,
        "policy": "rev1",
        "reasons": {"centrifugo": "Centrifugo could not be asked", "databases": "did not answer within 0.01 s"},
    }


async def test_a_policy_that_was_not_taken_is_said_beside_the_one_in_force() -> None:
    got = await get("/ready", refused="a.policy:1:1: it cannot be used", centrifugo=fine)
    assert (got.status_code, got.json()) == (
        200,
        {"ready": True, "policy": "rev1", "reasons": {}, "refused": "a.policy:1:1: it cannot be used"},
    )


async def test_numbers_are_text_for_prometheus() -> None:
    got = await get("/metrics")
    assert got.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "centrigate_in_flight_limit 1.0" in got.text
