"""The whole service in one process, with a real policy on a real database."""

import asyncio
import functools
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from proxy.app import Service, create, epoch_ms
from proxy.errors import SetupFault
from proxy.gate import Watch
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.settings import Settings

HOOK, PREVIOUS, API, TOKEN, IDP = ("h" * 32, "p" * 32, "a" * 32, "t" * 32, "i" * 32)
SERVICE = "orders-key-0123456789"
POLICY = b"""language 1;
database main { url env MAIN_URL; }
identity idp {
  jwt from header "authorization", data "token";
  issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
}
fact member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from members where doc = :doc and uid = :uid";
  cache 10s; timeout 5s; invalidate on "doc:{doc}";
}
connect { allow; expire 1h; }
channel "notifications#{uid}" { allow subscribe when vars.uid == user; }
channel "chat:{doc}" {
  let mine = member(vars.doc, user);
  allow subscribe when mine != null info = {"role": mine.role} expire 5m;
  allow publish when mine != null && mine.role == "editor" schema "schemas/m.json" stamp author = user;
  allow map_publish, map_remove when mine != null;
}
rpc "echo" { allow; answer = data; }
service orders { key env ORDERS_KEY; allow publish on "notifications#{uid}"; }
"""
SCHEMA = b'{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}'
HEAD = {"client": "c1", "transport": "websocket", "protocol": "json", "encoding": "json"}


class Centrifugo:
    """Its server API, as far as the service asks for it."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Centrifugo"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.got.append(head.split()[1])
        length = next(int(line.split(":")[1]) for line in head.lower().splitlines() if line.startswith("content-length"))
        body = json.loads(await reader.readexactly(length) or b"{}")
        self.commands += body.get("commands", [])
        replies: list[dict[str, Any]] = [{method: {} for method in command} for command in body.get("commands", [])]
        answer = json.dumps({"replies": replies} if self.got[-1] == "/api/batch" else {"result": {}}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(answer), answer))
        writer.close()


class Caller:
    """Centrifugo, browsers and backends, from the outside."""

    def __init__(self, app: Service) -> None:
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centrigate")

    async def hook(self, event: str, secret: str = HOOK, headers: dict[str, str] | None = None, **fields: object) -> httpx.Response:
        shown = {"x-centrigate-hook-secret": secret} | (headers or {})
        return await self.client.post(f"/centrifugo/{event}", json=HEAD | {"user": "42"} | fields, headers=shown)

    async def asked(self, event: str, headers: dict[str, str] | None = None, **fields: object) -> Any:  # noqa: ANN401 - decoded JSON
        got = await self.hook(event, HOOK, headers, **fields)
        assert got.status_code == 200, got.text
        return got.json()


def bearer() -> dict[str, str]:
    claims = {"iss": "https://id.example.org", "aud": "realtime", "sub": "42", "exp": int(time.time()) + 600}
    return {"authorization": f"Bearer {jwt.encode(claims, IDP, 'HS256')}"}


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    connection = sqlite3.connect(tmp_path / "main.db")
    with connection:
        connection.execute("create table members (doc text, uid text, role text)")
        connection.execute("insert into members values ('7', '42', 'editor')")
    connection.close()
    return {"MAIN_URL": f"sqlite:///{tmp_path / 'main.db'}", "IDP_KEY": IDP, "ORDERS_KEY": SERVICE}


@functools.cache
def policy() -> Policy:
    loaded = load({"app.policy": POLICY, "schemas/m.json": SCHEMA})
    assert loaded.policy is not None, loaded.findings
    return loaded.policy


def service(variables: dict[str, str], watch: Watch | None = None, **chosen: object) -> Service:
    secrets = {"hook_secret": HOOK, "hook_secret_previous": PREVIOUS, "centrifugo_api_key": API, "token_key": TOKEN}
    settings = Settings.model_validate(secrets | {"centrifugo_url": "http://127.0.0.1:1"} | chosen)
    return create(settings, policy(), variables, [Route("/demo", demo)], watch)


async def demo(_request: Request) -> Response:
    return Response("hello")


@asynccontextmanager
async def living(app: Service) -> AsyncIterator[Caller]:
    """Start and stop the application as a server does."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert await outbox.get() == {"type": "lifespan.startup.complete"}
    caller = Caller(app)
    try:
        yield caller
    finally:
        await caller.client.aclose()
        await inbox.put({"type": "lifespan.shutdown"})
        assert await outbox.get() == {"type": "lifespan.shutdown.complete"}
        await task


@pytest.fixture
async def caller(variables: dict[str, str]) -> AsyncIterator[Caller]:
    async with living(service(variables)) as caller:
        yield caller


async def test_a_bearer_connects(caller: Caller) -> None:
    result = (await caller.asked("connect", headers=bearer()))["result"]
    assert result["user"] == "42"
    assert 0 < result["expire_at"] - time.time() <= 3600


async def test_a_bearer_is_connected_without_a_task_of_its_own(variables: dict[str, str]) -> None:
    head = [(name.encode(), value.encode()) for name, value in {"x-centrigate-hook-secret": HOOK, **bearer()}.items()]
    answer = service(variables).targets[b"/centrifugo/connect"].swift(head, json.dumps(HEAD).encode())
    assert answer is not None
    assert json.loads(answer.body)["result"]["user"] == "42"


async def test_nobody_does_not(caller: Caller) -> None:
    assert (await caller.asked("connect"))["disconnect"]["code"] == 4501
    twice = httpx.Headers([("x-centrigate-hook-secret", HOOK), *bearer().items(), *bearer().items()])
    got = await caller.client.post("/centrifugo/connect", json=HEAD, headers=twice)
    assert got.json()["disconnect"]["code"] == 4501


async def test_every_hook_is_answered(caller: Caller) -> None:
    now = int(time.time())
    chat: dict[str, Any] = {"channel": "chat:7"}
    assert (await caller.asked("subscribe", **chat))["result"]["info"] == {"role": "editor"}
    assert (await caller.asked("publish", **chat, data={"text": "hi"})) == {"result": {"data": {"text": "hi", "author": "42"}}}
    assert (await caller.asked("sub_refresh", **chat))["result"]["expire_at"] >= now + 299
    assert (await caller.asked("refresh"))["result"]["expire_at"] >= now + 3599
    assert (await caller.asked("rpc", method="echo", data=[1])) == {"result": {"data": [1]}}
    assert (await caller.asked("map_publish", **chat, key="k", data=1)) == {"result": {}}
    assert (await caller.asked("map_remove", **chat, key="k")) == {"result": {}}
    assert (await caller.asked("shared_poll_refresh", channel="p:1", items=[])) == {"result": {"items": []}}


async def test_strangers_are_refused(caller: Caller) -> None:
    for event in ("subscribe", "publish", "map_publish", "map_remove"):
        answer = await caller.asked(event, user="7", channel="chat:7", key="k", data={"text": "hi"})
        assert answer["error"]["code"] == 103
    assert (await caller.asked("sub_refresh", user="7", channel="chat:7")) == {"result": {"expired": True}}
    assert (await caller.asked("refresh", user="")) == {"result": {"expired": True}}


async def test_golden_requests_of_centrifugo_are_understood(caller: Caller) -> None:
    for path in sorted((Path(__file__).parent / "golden").glob("v*/*.json")):
        event = path.stem.partition("-")[0]
        body = json.loads(path.read_text())["body"].encode()
        got = await caller.client.post(f"/centrifugo/{event}", content=body, headers={"x-centrigate-hook-secret": HOOK})
        assert got.status_code == 200, path
        assert len(got.json()) == 1


@pytest.mark.parametrize("secret", [HOOK, PREVIOUS])
async def test_both_secrets_are_accepted(caller: Caller, secret: str) -> None:
    assert (await caller.hook("refresh", secret)).status_code == 200


async def test_without_a_previous_secret_there_is_one(variables: dict[str, str]) -> None:
    async with living(service(variables, hook_secret_previous=None)) as caller:
        assert (await caller.hook("refresh", HOOK)).status_code == 200
        assert (await caller.hook("refresh", PREVIOUS)).status_code == 401


async def test_a_path_is_exact(caller: Caller) -> None:
    for path in ("/centrifugo/connect/", "/centrifugo", "/centrifugo/", "/centrifugo/nothing", "/health/"):
        assert (await caller.client.post(path, headers={"x-centrigate-hook-secret": HOOK})).status_code == 404


async def test_clients_are_told_why_only_when_that_is_wanted(variables: dict[str, str], caller: Caller) -> None:
    assert (await caller.asked("subscribe", channel="chat:8"))["error"]["message"] == "permission denied"
    async with living(service(variables, explain_to_clients=True)) as explaining:
        assert (await explaining.asked("subscribe", channel="chat:8"))["error"]["message"] == "permission denied: no_rule"


async def test_a_refresh_is_answered_while_the_database_is_away(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "main.db").unlink()
    async with living(service(variables)) as caller:
        assert (await caller.asked("subscribe", channel="chat:7"))["error"]["temporary"]
        result = (await caller.asked("sub_refresh", channel="chat:7"))["result"]
        assert 0 < result["expire_at"] - time.time() <= 30
        ready = await caller.client.get("/ready")
        assert (ready.status_code, sorted(ready.json()["reasons"])) == (503, ["centrifugo", "databases"])
    async with living(service(variables, refresh_grace=0)) as caller:
        assert (await caller.asked("sub_refresh", channel="chat:7")) == {"result": {"expired": True}}


async def test_tokens_are_minted_by_the_same_policy(caller: Caller) -> None:
    got = await caller.client.post("/api/centrifugo/connection-token", headers=bearer())
    assert jwt.decode(got.json()["token"], TOKEN, ["HS256"])["sub"] == "42"
    for channel, status in (("notifications#42", 200), ("notifications#7", 403)):
        got = await caller.client.post("/api/centrifugo/subscription-token", json={"channel": channel}, headers=bearer())
        assert got.status_code == status


async def test_backends_publish_with_their_key(variables: dict[str, str]) -> None:
    async with Centrifugo().running() as centrifugo, living(service(variables, centrifugo_url=centrifugo.url)) as caller:
        command = {"channel": "notifications#42", "data": {"type": "order_shipped"}}
        got = await caller.client.post("/api/publish", json=command, headers={"x-api-key": SERVICE})
        assert (got.status_code, got.json()) == (200, {"result": {}})
        assert (await caller.client.post("/api/publish", json=command, headers={"x-api-key": API})).status_code == 401
        assert (await caller.client.get("/ready")).json()["reasons"] == {}
        assert centrifugo.got == ["/api/batch", "/api/info"]


async def test_operators_see_what_is_in_force_and_what_was_decided(caller: Caller) -> None:
    await caller.asked("subscribe", channel="chat:8")
    assert (await caller.client.get("/health")).status_code == 200
    text = (await caller.client.get("/metrics")).text
    assert 'centrigate_hooks_total{hook="subscribe",outcome="refused"} 1.0' in text
    assert 'centrigate_decisions_total{operation="subscribe",reason="no_rule",rule=""} 1.0' in text
    assert 'hook="shared_poll_refresh"' in text
    assert len((await caller.client.get("/ready")).json()["policy"]) == 16


async def test_whoever_watches_sees_every_decision(variables: dict[str, str]) -> None:
    seen: list[tuple[str, str]] = []
    async with living(service(variables, lambda request, decision: seen.append((request.op, decision.reason)))) as caller:
        await caller.asked("subscribe", channel="chat:8")
        await caller.asked("connect")
        assert 'centrigate_decisions_total{operation="connect",reason="no_identity"' in (await caller.client.get("/metrics")).text
    assert seen == [("subscribe", "no_rule"), ("connect", "no_identity")]


async def test_too_much_work_is_put_off(variables: dict[str, str]) -> None:
    app = service(variables, max_in_flight=1)
    async with living(app) as caller:
        asked = [caller.asked("subscribe", channel="chat:7") for _ in range(3)]
        codes = sorted(answer.get("error", {}).get("code", 0) for answer in await asyncio.gather(*asked))
        assert codes == [0, 111, 111]


async def test_a_demo_brings_routes_of_its_own(caller: Caller) -> None:
    assert (await caller.client.get("/demo")).text == "hello"


def test_what_the_policy_needs_must_be_set(variables: dict[str, str]) -> None:
    for name in variables:
        with pytest.raises(SetupFault, match=name):
            service({key: value for key, value in variables.items() if key != name})


def test_the_clock_counts_milliseconds() -> None:
    assert abs(epoch_ms() - time.time() * 1000) < 1000
