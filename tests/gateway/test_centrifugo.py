"""The gateway in front of real Centrifugos: backends see what Centrifugo itself would answer."""

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from subprocess import DEVNULL, Popen
from threading import Event
from typing import Any

import httpx
import pytest

from proxy.delivery.http import Server
from proxy.errors import DeliveryFault
from proxy.facts import sources
from proxy.gate import Gate
from proxy.gateway.api import Gateway
from proxy.gateway.keys import Keys
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.stores.memory import Buckets
from tests.live.servers import binary

pytestmark = pytest.mark.live

KEY = "the-key-of-the-server-api"
HISTORY = {"name": "chat", "history_size": 100, "history_ttl": "60s"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "6.9.1": {"http_api": {"key": KEY}, "channel": {"namespaces": [HISTORY]}},
    "5.4.9": {"api_key": KEY, "namespaces": [HISTORY]},
}

POLICY = b"""
language 1;
service orders {
  key env ORDERS_KEY;
  allow publish, broadcast on "chat:{x}" when vars.x.endsWith("-stamped") stamp to = channel tags {"n": string(data.n)};
  allow publish, broadcast on "chat:{x}" when !vars.x.endsWith("-stamped") && !vars.x.endsWith("-denied");
  allow publish, broadcast on "nowhere:{x}";
  allow publish, broadcast on "{x}";
  allow publish on "rare:{x}" limit 1/24h;
}
"""


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = tmp_path_factory.mktemp("centrifugo") / "config.json"
    config.write_text(json.dumps(CONFIGURATIONS[request.param]))
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]
    command = [str(binary(request.param)), "-c", str(config), "-a", "127.0.0.1", "-p", str(port)]
    with Popen(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            _wait(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(port: int) -> None:
    last = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            assert time.monotonic() < last, "Centrifugo did not start"
            Event().wait(0.02)
        else:
            return


@pytest.fixture(scope="module")
def policy() -> Policy:
    loaded = load({"orders.policy": POLICY})
    assert loaded.policy is not None
    return loaded.policy


@pytest.fixture
async def server(base: str) -> AsyncIterator[Server]:
    server = Server(base, KEY)
    yield server
    await server.close()


@pytest.fixture
async def gateway(policy: Policy, server: Server) -> AsyncIterator[Gateway]:
    facts = sources.build(policy, {})
    gate = Gate(policy=policy, source=facts, limits=Buckets(time.monotonic_ns))
    yield Gateway(gate, Keys(policy.services.values(), {"ORDERS_KEY": "orders-key-0123456789"}), server, lambda: 0)
    await facts.close()


async def through(gateway: Gateway, method: str, body: object) -> Any:  # noqa: ANN401 - decoded JSON
    service = gateway.keys.service("orders-key-0123456789")
    assert service is not None
    return json.loads(await gateway.call(method, service, json.dumps(body).encode()))


async def directly(base: str, method: str, body: object) -> Any:  # noqa: ANN401 - decoded JSON
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{base}/api/{method}", json=body, headers={"X-API-Key": KEY})
    return answer.json()


def alike(reply: object) -> object:
    """Leave out what is never the same twice."""
    if isinstance(reply, dict):
        return {name: alike(value) for name, value in reply.items() if name != "epoch"}
    return list(map(alike, reply)) if isinstance(reply, list) else reply


def publication(channel: str) -> dict[str, Any]:
    return {"publish": {"channel": channel, "data": {"text": "hi"}}}


SAME = {
    "publish": ("publish", {"channel": "chat:WHO", "data": {"text": "hi"}, "tags": {"k": "v"}, "idempotency_key": "i"}),
    "publish-past-history": ("publish", {"channel": "chat:WHO", "data": "hi", "skip_history": True}),
    "publish-null": ("publish", {"channel": "chat:WHO", "data": None}),
    "publish-nothing": ("publish", {}),
    "publish-to-no-namespace": ("publish", {"channel": "nowhere:WHO", "data": 1}),
    "publish-without-history": ("publish", {"channel": "WHO", "data": 1}),
    "broadcast": ("broadcast", {"channels": ["chat:WHO", "nowhere:WHO", "chat:WHO-2", "WHO"], "data": [1]}),
    "broadcast-to-none": ("broadcast", {"channels": [], "data": 1}),
    "batch": ("batch", {"commands": [publication("chat:WHO"), publication("nowhere:WHO"), publication("WHO")]}),
    "batch-of-broadcast": (
        "batch",
        {"commands": [publication("chat:WHO"), {"broadcast": {"channels": ["chat:WHO", "nowhere:WHO"], "data": 1}}]},
    ),
    "batch-in-parallel": ("batch", {"parallel": True, "commands": [publication("chat:WHO"), publication("chat:WHO-2")]}),
    "batch-of-one": ("batch", {"commands": [publication("chat:WHO")]}),
    "batch-of-none": ("batch", {"commands": []}),
    "batch-with-unknown": ("batch", {"commands": [{"no_such": {}}, {}, {"publish": {}}, publication("chat:WHO")]}),
}


@pytest.mark.parametrize(("method", "template"), SAME.values(), ids=SAME)
async def test_what_is_allowed_is_answered_as_without_the_gateway(base: str, gateway: Gateway, method: str, template: object) -> None:
    text = json.dumps(template)
    mine, own = (json.loads(text.replace("WHO", f"{who}-{abs(hash(text))}")) for who in ("gateway", "direct"))
    assert alike(await through(gateway, method, mine)) == alike(await directly(base, method, own))


async def published(base: str, channel: str) -> list[Any]:
    history = await directly(base, "history", {"channel": channel, "limit": -1})
    return [each["data"] for each in history["result"].get("publications", [])]


async def test_what_is_refused_does_not_reach_centrifugo_and_the_rest_does(base: str, gateway: Gateway) -> None:
    channels = ["chat:r", "chat:r-denied", "chat:r-1-stamped", "chat:r-2-stamped"]
    answer = await through(gateway, "broadcast", {"channels": channels, "data": {"n": 1}})
    first, second, third, fourth = answer["result"]["responses"]
    assert second == {"error": {"code": 103, "message": "permission denied"}}
    assert first["result"]["offset"] == third["result"]["offset"] == fourth["result"]["offset"] == 1
    assert await published(base, "chat:r") == [{"n": 1}]
    assert await published(base, "chat:r-denied") == []
    assert await published(base, "chat:r-1-stamped") == [{"n": 1, "to": "chat:r-1-stamped"}]
    assert await published(base, "chat:r-2-stamped") == [{"n": 1, "to": "chat:r-2-stamped"}]


async def test_a_payload_with_two_readings_is_refused(base: str, gateway: Gateway) -> None:
    answer = await gateway.call("publish", "orders", b'{"channel":"chat:two-stamped","data":{"n":1,"n":2}}')
    assert json.loads(answer)["error"]["code"] == 107
    assert await published(base, "chat:two-stamped") == []


async def test_a_limit_is_an_error_of_its_own(gateway: Gateway) -> None:
    first = await through(gateway, "publish", {"channel": "rare:1", "data": 1})
    second = await through(gateway, "publish", {"channel": "rare:1", "data": 1})
    assert (first["error"]["code"], second["error"]["code"]) == (102, 111)


@pytest.mark.parametrize("parallel", [False, True], ids=["in-order", "in-parallel"])
async def test_a_batch_keeps_the_order_of_each_channel(base: str, gateway: Gateway, *, parallel: bool) -> None:
    channels = [f"chat:order-{parallel}-{n}" for n in range(3)]
    commands = [{"publish": {"channel": channel, "data": n}} for n in range(40) for channel in channels]
    answer = await through(gateway, "batch", {"parallel": parallel, "commands": commands})
    assert [reply["publish"]["offset"] for reply in answer["replies"]] == [n for n in range(1, 41) for _ in channels]
    for channel in channels:
        assert await published(base, channel) == list(range(40))


async def test_a_null_command_that_would_end_centrifugo_is_answered_and_it_lives_on(base: str, gateway: Gateway, server: Server) -> None:
    answer = await through(gateway, "batch", {"parallel": True, "commands": [None, publication("chat:null"), None]})
    assert [list(reply) for reply in answer["replies"]] == [["error"], ["publish"], ["error"]]
    await server.health()
    assert await published(base, "chat:null") == [{"text": "hi"}]


async def test_an_idempotent_publication_is_published_once(base: str, gateway: Gateway) -> None:
    body = {"channel": "chat:once", "data": 1, "idempotency_key": "once"}
    assert await through(gateway, "publish", body) == await through(gateway, "publish", body)
    assert await published(base, "chat:once") == [1]


async def test_a_wrong_key_is_told_apart(base: str) -> None:
    stranger = Server(base, "another-key")
    with pytest.raises(DeliveryFault, match="refused the key"):
        await stranger.health()
    await stranger.close()
