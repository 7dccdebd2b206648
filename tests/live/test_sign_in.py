"""Nobody here has a token of ours: the application's cookie or its issuer's token in a header is all that clients show."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from centrifuge import Client

from proxy.app import create
from proxy.cli.server import listen, run
from proxy.demo.clients import Ear, Line, soon
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.load import load
from proxy.settings import Settings
from tests.identity.forge import ISSUER, jwk, private, sign
from tests.identity.site import Site, says, site
from tests.live.servers import Secrets, centrifugo

pytestmark = pytest.mark.live

POLICY = """language 1;
http app { base env APP_URL; timeout 2s; }
identity idp {
  jwt from header "authorization";
  issuer "%(issuer)s"; audience "realtime"; algorithms ES256; keys jwks "%(app)s/keys";
  user = claims.sub;
  expire = claims.exp;
}
identity session {
  http app GET "/me" forward header "cookie";
  user = reply.id;
  meta = {"role": reply.role};
  info = {"name": reply.name};
}
connect {
  allow when user != "banned";
  subscribe "chat:" + user;
  data = {"hello": user};
  expire 2s jitter 50%%;
}
channel "chat:{x}" { allow subscribe, presence info = {"topic": vars.x}; }
"""
BY_HEADER = """language 1;
http app { base env APP_URL; timeout 2s; }
identity session { http app GET "/me" forward header "authorization"; user = reply.id; }
connect { allow; }
"""
ADA = {"id": "ada", "role": "user", "name": "Ada"}
COOKIE = {"Cookie": "session=a"}


class Scene:
    """An application, Centrifugo and the service between them; `decisions` come in their order."""

    def __init__(self, app: Site) -> None:
        self.app = app
        self.centrifugo = ""
        self.decisions: asyncio.Queue[tuple[Request, Allow | Deny]] = asyncio.Queue()
        self.clients: list[Client] = []

    def watch(self, request: Request, decision: Allow | Deny) -> None:
        self.decisions.put_nowait((request, decision))

    async def next(self, op: str) -> tuple[Request, Allow | Deny]:
        """Wait for the next decision of this kind; those before it are dropped."""
        while (found := await soon(self.decisions))[0].op != op:
            pass
        return found

    async def client(self, headers: dict[str, str]) -> tuple[Client, Line]:
        """Begin to connect."""
        line = Line()
        socket = self.centrifugo.replace("http", "ws", 1) + "/connection/websocket"
        client = Client(socket, events=line, headers=headers, min_reconnect_delay=0.05, proxy=None)
        self.clients.append(client)
        await client.connect()
        return client, line


@pytest.fixture
async def scene(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr("proxy.identity.session.KNOWN_S", 0.0)
    async with site() as app, started(version, tmp_path, app) as made:
        app.answers["/me"] = says(ADA)
        app.answers["/keys"] = says({"keys": [jwk("P-256", kid="one")]})
        yield made
        for client in made.clients:
            await client.disconnect()


@asynccontextmanager
async def started(version: str, folder: Path, app: Site, text: str = POLICY) -> AsyncIterator[Scene]:
    made = Scene(app)
    policy = load({"a.policy": (text % {"app": app.url, "issuer": ISSUER} if text is POLICY else text).encode()}).policy
    assert policy
    sockets = listen("127.0.0.1", 0)
    service = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    secrets, ready = Secrets(), asyncio.Event()
    chosen = {"hook_secret": secrets.hook, "centrifugo_api_key": secrets.api, "token_key": secrets.token}
    async with centrifugo(version, service, folder, secrets) as server:
        made.centrifugo = server.url
        settings = Settings.model_validate({"centrifugo_url": server.url, **chosen})
        running = asyncio.create_task(run(create(settings, policy, {"APP_URL": app.url}, watch=made.watch), sockets, ready.set))
        try:
            async with asyncio.timeout(10):
                await ready.wait()
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def bearer(kind: str = "P-256", **claims: object) -> dict[str, str]:
    made = {"sub": "ada", "aud": "realtime", "exp": time.time() + 600, **claims}
    return {"Authorization": f"Bearer {sign(made, private(kind), 'ES256', kid='one')}"}


async def test_the_cookie_of_the_application_connects(scene: Scene) -> None:
    client, line = await scene.client(COOKIE)
    connected = await soon(line.connected)
    assert connected.data == {"hello": "ada"}
    path, headers = await soon(scene.app.asked)
    assert (path, headers["cookie"]) == ("/me", "session=a")
    assert "authorization" not in headers
    ear = Ear()
    await client.new_subscription("chat:all", events=ear).subscribe()
    await soon(ear.subscribed)
    request, _ = await scene.next("subscribe")
    assert request.meta == {"role": "user"}


async def test_a_header_of_the_application_connects(version: str, tmp_path: Path) -> None:
    """What stands in it says nothing to anybody but the application."""
    async with site() as app, started(version, tmp_path, app, BY_HEADER) as scene:
        app.answer = says(ADA)
        client, line = await scene.client({"Authorization": "Session 7f", "Cookie": "theme=dark"})
        await soon(line.connected)
        await client.disconnect()
        path, headers = await soon(app.asked)
        assert (path, headers["authorization"]) == ("/me", "Session 7f")
        assert "cookie" not in headers
        request, _ = await scene.next("connect")
        assert request.user == "ada"
        app.answer = says(None, 401)
        _, line = await scene.client({"Authorization": "Session 8f"})
        assert (await soon(line.disconnected)).code == 4501
        _, line = await scene.client({"Cookie": "session=a"})
        assert (await soon(line.disconnected)).code == 4501


async def test_who_connects_gets_server_side_subscriptions_and_information(scene: Scene) -> None:
    _, line = await scene.client(COOKIE)
    await soon(line.connected)
    async with httpx.AsyncClient(base_url=scene.centrifugo, headers={"X-API-Key": Secrets().api}, trust_env=False) as api:
        answer = (await api.post("/api/presence", json={"channel": "chat:ada"})).json()
    (seen,) = answer["result"]["presence"].values()
    assert (seen["user"], seen["conn_info"], seen["chan_info"]) == ("ada", {"name": "Ada"}, {"topic": "ada"})


@pytest.mark.parametrize(("status", "reply"), [(401, None), (403, None), (200, {"id": ""})])
async def test_who_is_not_known_is_unauthorized(scene: Scene, status: int, reply: object) -> None:
    scene.app.answers["/me"] = says(reply, status)
    _, line = await scene.client(COOKIE)
    assert (await soon(line.disconnected)).code == 4501


async def test_who_may_not_connect_is_forbidden(scene: Scene) -> None:
    scene.app.answers["/me"] = says(ADA | {"id": "banned"})
    _, line = await scene.client(COOKIE)
    assert (await soon(line.disconnected)).code == 4503


async def test_while_the_application_is_away_clients_come_back(scene: Scene) -> None:
    scene.app.answers["/me"] = says(None, 500)
    _, line = await scene.client(COOKIE)
    _, decision = await scene.next("connect")
    assert decision.reason == "fact_error"
    scene.app.answers["/me"] = says(ADA)
    assert (await soon(line.connected)).data == {"hello": "ada"}
    assert line.disconnected.empty()


async def test_a_token_of_the_applications_issuer_connects_and_a_forged_one_does_not(scene: Scene) -> None:
    _, line = await scene.client(bearer())
    assert (await soon(line.connected)).data == {"hello": "ada"}
    for bad in (bearer("P-256 too"), bearer(aud="other"), bearer(exp=time.time() - 60), {"Authorization": "Bearer x"}):
        _, line = await scene.client(bad)
        assert (await soon(line.disconnected)).code == 4501


async def test_a_connection_ends_with_the_token_that_it_was_made_with(scene: Scene) -> None:
    _, line = await scene.client(bearer(exp=time.time() + 4))
    await soon(line.connected)
    request, _ = await scene.next("refresh")
    assert request.user == "ada"
    assert (await soon(line.disconnected)).code == 4501


async def test_a_session_that_goes_on_is_prolonged_with_the_meta_of_today(scene: Scene) -> None:
    client, line = await scene.client(COOKIE)
    await soon(line.connected)
    scene.app.answers["/me"] = says(ADA | {"role": "admin"})
    for _ in range(2):
        request, decision = await scene.next("refresh")
        assert isinstance(decision, Allow)
    assert request.meta == {"role": "admin"}
    ear = Ear()
    await client.new_subscription("chat:all", events=ear).subscribe()
    await soon(ear.subscribed)
    assert (await scene.next("subscribe"))[0].meta == {"role": "admin"}
    assert line.disconnected.empty()
    assert line.connected.empty()


async def test_a_sign_out_ends_the_connection_at_its_next_refresh(scene: Scene) -> None:
    _, line = await scene.client(COOKIE)
    await soon(line.connected)
    scene.app.answers["/me"] = says(None, 401)
    assert (await soon(line.disconnected)).code == 4501
    assert [(await scene.next(op))[1].reason for op in ("refresh", "connect")] == ["no_identity", "no_identity"]


async def test_a_cookie_that_became_anothers_makes_a_connection_of_its_own(scene: Scene) -> None:
    _, line = await scene.client(COOKIE)
    await soon(line.connected)
    scene.app.answers["/me"] = says(ADA | {"id": "ben"})
    assert (await soon(line.connected)).data == {"hello": "ben"}


async def test_a_connection_outlives_an_application_that_is_away_for_a_moment(scene: Scene) -> None:
    _, line = await scene.client(COOKIE)
    await soon(line.connected)
    scene.app.answers["/me"] = says(None, 500)
    _, decision = await scene.next("refresh")
    assert decision.reason == "fact_error"
    scene.app.answers["/me"] = says(ADA)
    assert line.disconnected.empty()
    assert line.connected.empty()


async def test_what_a_client_writes_into_its_connect_frame_is_no_header(scene: Scene) -> None:
    command = json.dumps({"id": 1, "connect": {"headers": {**COOKIE, **bearer()}}})
    async with (
        httpx.AsyncClient(trust_env=False, timeout=10) as http,
        http.stream("POST", f"{scene.centrifugo}/connection/http_stream", content=command) as response,
    ):
        first = json.loads(await anext(response.aiter_lines()))
    assert "4501" in json.dumps(first)
    request, decision = await scene.next("connect")
    assert decision.reason == "no_identity"
    assert not {"cookie", "authorization"} & set(request.headers or ())
