import functools

import httpx
import pytest
from starlette.applications import Starlette

from proxy.edge import gateway
from proxy.edge.intake import Intake
from proxy.edge.metrics import Flight
from proxy.gate import Gate
from proxy.gateway.api import Gateway
from proxy.gateway.keys import Keys
from proxy.policy.load import load
from proxy.policy.policy import Policy
from tests.hooks.scene import Purse, Shelf, clock

KEY = "orders-key-0123456789"
POLICY = b"""language 1;
service orders { key env ORDERS_KEY; allow publish on "notifications#{uid}"; }
"""
PUBLISH = {"channel": "notifications#42", "data": {"a": 1}}


@functools.cache
def loaded() -> Policy:
    policy = load({"gateway.policy": POLICY}).policy
    assert policy is not None
    return policy


class Centrifugo:
    """Takes every command and keeps it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    async def call(self, method: str, command: bytes) -> bytes:
        self.got.append((method, command))
        return b'{"result":{"offset":3,"epoch":"e"}}'


class Backend:
    def __init__(self) -> None:
        policy = loaded()
        self.centrifugo = Centrifugo()
        gate = Gate(policy=policy, source=Shelf({}), limits=Purse(9))
        keys = Keys(policy.services.values(), {"ORDERS_KEY": KEY})
        routes = gateway.routes(Gateway(gate, keys, self.centrifugo, clock), Intake(Flight(8), 4096))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://centrigate")


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"apikey {KEY}"}, {"authorization": f"ApiKey {KEY}"}])
async def test_a_key_is_shown_in_either_header(backend: Backend, headers: dict[str, str]) -> None:
    got = await backend.client.post("/api/publish", json=PUBLISH, headers=headers)
    assert (got.status_code, got.json()) == (200, {"result": {"offset": 3, "epoch": "e"}})
    assert got.headers["content-type"] == "application/json"
    assert [method for method, _ in backend.centrifugo.got] == ["publish"]


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
        [("authorization", f"apikey {KEY}"), ("authorization", f"apikey {KEY}")],
    ],
)
async def test_without_the_one_key_there_is_nothing(backend: Backend, headers: list[tuple[str, str]]) -> None:
    got = await backend.client.post("/api/publish", json=PUBLISH, headers=headers)
    assert (got.status_code, got.content) == (401, b"")
    assert not backend.centrifugo.got


async def test_the_policy_decides_the_call(backend: Backend) -> None:
    got = await backend.client.post("/api/publish", json=PUBLISH | {"channel": "chat:1"}, headers={"x-api-key": KEY})
    assert (got.status_code, got.json()["error"]["code"]) == (200, 103)
    assert not backend.centrifugo.got


async def test_a_body_that_cannot_be_read_is_refused(backend: Backend) -> None:
    got = await backend.client.post("/api/publish", content=b"{", headers={"x-api-key": KEY})
    assert (got.status_code, got.json()["error"]["code"]) == (400, "malformed")


async def test_paths_below_a_method_are_not_the_gateway(backend: Backend) -> None:
    assert (await backend.client.post("/api/centrifugo/connection-token", headers={"x-api-key": KEY})).status_code == 404
