import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from proxy.edge import explain
from proxy.edge.flight import Flight
from proxy.edge.intake import Intake
from proxy.errors import Malformed
from proxy.gate import Gate
from proxy.gateway.keys import Keys
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from tests.hooks.scene import NOW, Purse, Shelf, clock
from tests.policy.policies import policy

KEYS = {"ALL": "all-key-0123456789", "SOME": "some-key-0123456789", "NONE": "none-key-0123456789"}
RULES = policy(
    """
    database main { url env MAIN; }
    fact open(day: string) -> bool { sql main "select open from days where day = :day"; }
    service all { key env ALL; allow explain limit 1/1s; }
    service some {
      key env SOME;
      allow explain on "chat:{x}" when has(data.op) && data.op == "publish" && !has(data.data) && service == "some";
      allow explain on "days:{x}" when open(vars.x) && timestamp_ms > 0;
    }
    service none { key env NONE; allow publish; }
    """
)
LOST: FactKey = ("open", "1")
ASKED: Mapping[str, Any] = {"op": "publish", "user": "1", "channel": "chat:1", "data": {"text": "x"}}


class Desk:
    """The endpoint, with what it decided and what was asked to be explained."""

    def __init__(self) -> None:
        self.decided: list[tuple[Request, Allow | Deny]] = []
        self.asked: list[Mapping[str, Any]] = []
        shelf = Shelf({LOST: Lost(why="late"), ("open", "2"): Known(value=True)})
        gate = Gate(policy=RULES, source=shelf, limits=Purse(1), watch=lambda *each: self.decided.append(each))
        route = explain.route(gate, Keys(RULES.services.values(), KEYS), self._explain, Intake(Flight(8), 4096), clock)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=[route])), base_url="http://centrigate")

    async def _explain(self, asked: Mapping[str, Any]) -> Mapping[str, object]:
        self.asked.append(asked)
        if "op" not in asked:
            raise Malformed('"op" must name an operation')
        return {"told": "ü"}

    async def ask(self, key: str = "ALL", body: object = ASKED) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post("/api/explain", content=content, headers={"x-api-key": KEYS.get(key, key)})


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    async with found.client:
        yield found


async def test_a_service_that_may_is_told(desk: Desk) -> None:
    got = await desk.ask()
    assert (got.status_code, got.json(), desk.asked) == (200, {"told": "ü"}, [ASKED])
    assert (got.headers["content-type"], got.headers["cache-control"]) == ("application/json", "no-store")


async def test_it_is_decided_who_may_ask_about_what_and_no_payload_is_part_of_that(desk: Desk) -> None:
    assert (await desk.ask("SOME", {**ASKED, "headers": {"cookie": "secret"}, "meta": {"a": 1}})).status_code == 200
    ((request, decision),) = desk.decided
    assert isinstance(decision, Allow)
    shown = {"op": "publish", "user": "1", "channel": "chat:1"}
    assert request == Request(op="explain", service="some", method="explain", channel="chat:1", data=shown, timestamp_ms=NOW)
    assert (await desk.ask("SOME", {"op": "subscribe", "user": "1", "channel": "chat:1"})).status_code == 403
    assert (await desk.ask("SOME", {"op": "publish", "user": "1", "channel": "days:2"})).status_code == 200


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("NONE", ASKED),
        ("SOME", {**ASKED, "channel": "news:1"}),
        ("SOME", {**ASKED, "channel": 7}),
        ("SOME", {"op": "connect", "user": "1"}),
    ],
)
async def test_a_service_that_may_not_is_not_told_why(desk: Desk, key: str, asked: Mapping[str, Any]) -> None:
    got = await desk.ask(key, asked)
    assert (got.status_code, got.json()) == (403, {"error": {"code": 103, "message": "permission denied"}})
    assert desk.asked == []


async def test_an_unknown_key_is_401_before_the_body_is_read(desk: Desk) -> None:
    got = await desk.ask("another-key-0123456789", b"{")
    assert (got.status_code, got.content, desk.decided) == (401, b"", [])
    assert (await desk.client.post("/api/explain", json=ASKED)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"op": "\xff"}',
        b'{"op": "publish", "op": "subscribe"}',
        b'{"op": "publish", "data": {"n": 1, "n": 2}}',
        b'{"op": "publish", "data": 99999999999999999999}',
        b'{"data": ' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
async def test_a_body_with_no_or_two_readings_is_400(desk: Desk, body: bytes) -> None:
    got = await desk.ask(body=body)
    assert (got.status_code, got.json()["error"]["code"], desk.asked) == (400, "malformed", [])


async def test_a_request_that_is_none_is_400_for_those_who_may_ask(desk: Desk) -> None:
    got = await desk.ask(body={})
    assert (got.status_code, got.json()["error"]["message"]) == (400, '"op" must name an operation')
    assert (await desk.ask("NONE", {})).status_code == 403


async def test_a_body_that_is_too_long_is_413(desk: Desk) -> None:
    assert (await desk.ask(body=b" " * 5000)).status_code == 413


async def test_a_limit_that_is_used_up_and_a_lost_fact_are_503(desk: Desk) -> None:
    assert (await desk.ask()).status_code == 200
    for key, asked in (("ALL", ASKED), ("SOME", {**ASKED, "channel": "days:1"})):
        got = await desk.ask(key, asked)
        assert (got.status_code, got.headers["retry-after"], got.text) == (503, "1", "temporarily unavailable\n")
    assert len(desk.asked) == 1
