import functools
from collections.abc import Sequence

import httpx
import pytest
from starlette.applications import Starlette

from proxy.edge import gateway
from proxy.edge.flight import Flight
from proxy.edge.intake import Intake
from proxy.errors import Fault, Overload
from proxy.gate import Gate
from proxy.gateway.api import Gateway
from proxy.gateway.keys import Keys
from proxy.gateway.post import Post
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.wire.api import Command, Outcome, Result
from tests.hooks.scene import Purse, Shelf, clock

KEY = "orders-key-0123456789"
NEWS_KEY = "news-key-0123456789"
POLICY = b"""language 1;
service orders { key env ORDERS_KEY; allow publish on "notifications#{uid}"; delivery durable; }
service news { key env NEWS_KEY; allow publish on "notifications#{uid}"; }
"""
PUBLISH = {"channel": "notifications#42", "data": {"a": 1}}


@functools.cache
def loaded() -> Policy:
    policy = load({"gateway.policy": POLICY}).policy
    assert policy is not None
    return policy


class Centrifugo:
    """Takes every command and keeps it; `fault` is raised instead."""

    def __init__(self) -> None:
        self.got: list[Command] = []
        self.kept: list[Command] = []
        self.fault: Fault | None = None

    async def send(self, command: Command) -> Outcome:
        if self.fault is not None:
            raise self.fault
        self.got.append(command)
        return Result(fields={"offset": 3, "epoch": "e"})

    async def accept(self, commands: Sequence[Command]) -> None:
        self.kept += commands

    async def carry(self, command: Command) -> Outcome:
        self.got.append(command)
        return Result(fields={})


class Backend:
    def __init__(self) -> None:
        policy = loaded()
        self.centrifugo = Centrifugo()
        gate = Gate(policy=policy, source=Shelf({}), limits=Purse(9))
        keys = Keys(policy.services.values(), {"ORDERS_KEY": KEY, "NEWS_KEY": NEWS_KEY})
        post = Post(self.centrifugo, self.centrifugo, self.centrifugo)
        routes = gateway.routes(Gateway(gate, keys, post, clock), Intake(Flight(8), 4096))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://centrigate")

    async def publish(self, where: str = "/api/publish?delivery=direct", **headers: str) -> httpx.Response:
        return await self.client.post(where, json=PUBLISH, headers={"x-api-key": KEY, **headers})


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"authorization": f"apikey {KEY}"},
        {"authorization": f"ApiKey  {KEY}"},
        {"x-api-key": "", "authorization": f"apikey {KEY}"},
        {"x-api-key": KEY, "authorization": "apikey wrong"},
    ],
)
async def test_a_key_is_shown_in_either_header(backend: Backend, headers: dict[str, str]) -> None:
    got = await backend.client.post("/api/publish?delivery=direct", json=PUBLISH, headers=headers)
    assert (got.status_code, got.json()) == (200, {"result": {"offset": 3, "epoch": "e"}})
    assert got.headers["content-type"] == "application/json"
    assert [command.method for command in backend.centrifugo.got] == ["publish"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-api-key", "wrong-key-0123456789")],
        [("x-api-key", "")],
        [("x-api-key", KEY), ("x-api-key", KEY)],
        [("x-api-key", "wrong"), ("authorization", f"apikey {KEY}")],
        [("authorization", f"Bearer {KEY}")],
        [("authorization", KEY)],
        [("authorization", f"apikey {KEY} {KEY}")],
        [("authorization", "apikey")],
        [("authorization", f"apikey {KEY}"), ("authorization", f"apikey {KEY}")],
    ],
)
async def test_without_the_one_key_there_is_nothing(backend: Backend, headers: list[tuple[str, str]]) -> None:
    got = await backend.client.post("/api/publish?delivery=direct", json=PUBLISH, headers=headers)
    assert (got.status_code, got.content) == (401, b"")
    assert not backend.centrifugo.got


async def test_the_policy_decides_the_call(backend: Backend) -> None:
    got = await backend.client.post("/api/publish?delivery=direct", json=PUBLISH | {"channel": "chat:1"}, headers={"x-api-key": KEY})
    assert (got.status_code, got.json()["error"]["code"]) == (200, 103)
    assert not backend.centrifugo.got


@pytest.mark.parametrize("where", [f"/api/publish?api_key={KEY}", f"/api?api_key={KEY}"])
async def test_a_key_in_the_address_counts_for_nothing(backend: Backend, where: str) -> None:
    got = await backend.client.post(where, json=PUBLISH)
    assert (got.status_code, got.content) == (401, b"")


async def test_the_error_mode_of_centrifugo_is_known(backend: Backend) -> None:
    refused = PUBLISH | {"channel": "chat:1"}
    headers = {"x-api-key": KEY, "X-Centrifugo-Error-Mode": "transport"}
    got = await backend.client.post("/api/publish", json=refused, headers=headers)
    assert (got.status_code, got.json()) == (403, {"code": 103, "message": "permission denied"})
    assert got.headers["content-type"] == "application/json"
    other = await backend.client.post("/api/publish", json=refused, headers=headers | {"X-Centrifugo-Error-Mode": "other"})
    assert (other.status_code, other.json()["error"]["code"]) == (200, 103)


async def test_the_body_may_name_the_methods(backend: Backend) -> None:
    line = b'{"id":1,"method":"publish","params":{"channel":"notifications#42","data":1}}'
    got = await backend.client.post("/api?delivery=direct", content=line + b"\n" + line, headers={"x-api-key": KEY})
    assert (got.status_code, got.headers["content-type"]) == (200, "application/json")
    assert got.text.splitlines() == ['{"id":1,"result":{"offset":3,"epoch":"e"}}'] * 2


async def test_delivery_is_that_of_the_service(backend: Backend) -> None:
    assert (await backend.publish("/api/publish")).json() == {"result": {}}
    assert (await backend.publish("/api/publish", **{"x-api-key": NEWS_KEY})).json()["result"]["offset"] == 3
    assert [command.params for command in backend.centrifugo.kept] == [PUBLISH]


async def test_delivery_is_chosen_within_what_the_service_may(backend: Backend) -> None:
    assert (await backend.publish("/api/publish?delivery=durable")).json() == {"result": {}}
    assert (await backend.publish("/api/publish?delivery=direct")).json()["result"]["offset"] == 3
    refused = await backend.publish("/api/publish?delivery=durable", **{"x-api-key": NEWS_KEY})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "malformed")
    assert (len(backend.centrifugo.kept), len(backend.centrifugo.got)) == (1, 1)


@pytest.mark.parametrize("query", ["delivery=", "delivery=DIRECT", "delivery=direct&delivery=direct", "delivery=durable&delivery=direct"])
async def test_another_delivery_is_refused(backend: Backend, query: str) -> None:
    assert (await backend.publish(f"/api/publish?{query}")).status_code == 400
    assert not backend.centrifugo.got


async def test_when_too_much_waits_the_call_comes_back_later(backend: Backend) -> None:
    backend.centrifugo.fault = Overload("too much waits")
    got = await backend.publish()
    assert (got.status_code, got.headers["retry-after"]) == (503, "1")


async def test_a_method_that_nobody_knows_is_not_found(backend: Backend) -> None:
    got = await backend.client.post("/api/nothing", content=b"{}", headers={"x-api-key": KEY})
    assert (got.status_code, got.json()["error"]["code"]) == (404, 104)
    assert (await backend.client.post("/api/nothing", content=b"{}")).status_code == 401


async def test_a_body_that_is_too_long_is_refused(backend: Backend) -> None:
    assert (await backend.client.post("/api/publish", content=b" " * 4097, headers={"x-api-key": KEY})).status_code == 413


async def test_a_body_that_cannot_be_read_is_refused(backend: Backend) -> None:
    got = await backend.client.post("/api/publish", content=b"{", headers={"x-api-key": KEY})
    assert (got.status_code, got.json()["error"]["code"]) == (400, "malformed")


async def test_paths_below_a_method_are_not_the_gateway(backend: Backend) -> None:
    assert (await backend.client.post("/api/centrifugo/connection-token", headers={"x-api-key": KEY})).status_code == 404
