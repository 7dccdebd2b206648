"""Another policy while the service runs, what is recorded of decisions, and access that ends when its ground shifts."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy import engine as engine_module
from proxy import reload as module
from proxy.app import Service, create
from proxy.cli.policies import usable
from proxy.engine import Engine
from proxy.errors import FactFault, SetupFault
from proxy.grants.revocation import Revocation
from proxy.policy.decision import Allow, Request
from proxy.settings import Settings
from proxy.stores import folder
from proxy.stores.seal import SIGNATURE, sign
from proxy.workers import Workers
from tests.grants import scene
from tests.identity.site import says, site
from tests.test_app import API, HOOK, TOKEN, Caller, Centrifugo, living

KEY = {"x-api-key": "orders-key-0123456789"}
POLICY = """language 1;
database main { url env MAIN_URL; }
fact member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from members where doc = :doc and uid = :uid"; cache 1h; invalidate on "doc:{doc}";
}
connect { allow; }
identity visitor { guest; }
channel "chat:{doc}" { let mine = member(vars.doc, user); allow subscribe when mine != null; }
channel "news:{x}" { allow subscribe; }
service orders { key env ORDERS_KEY; allow publish, invalidate, reload, block_user, connections; }
"""
TESTS = 'language 1;\ntest "news" { as "1" { allow subscribe "news:1"; } }\n'


class World:
    """A folder with a policy, a database, a Centrifugo that keeps what it is sent, and the service."""

    def __init__(self, path: Path, caller: Caller, centrifugo: Centrifugo) -> None:
        self.path, self.caller, self.centrifugo = path, caller, centrifugo

    def write(self, text: str, name: str = "a.policy") -> None:
        (self.path / "policies" / name).write_text(text)

    async def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - decoded JSON
        return (await self.caller.client.post(f"/api/{method}", json=params, headers=KEY)).json()

    async def ready(self) -> Any:  # noqa: ANN401 - decoded JSON
        return (await self.caller.client.get("/ready")).json()

    async def metrics(self) -> Mapping[str, float]:
        text = (await self.caller.client.get("/metrics")).text
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}

    async def may(self, channel: str, user: str = "42", client: str = "c1") -> bool:
        return "result" in await self.caller.asked("subscribe", channel=channel, user=user, client=client)

    async def sent(self, count: int) -> list[dict[str, Any]]:
        """What Centrifugo was sent, once that is so many commands."""
        async with asyncio.timeout(10):
            while len(self.centrifugo.commands) < count:  # noqa: ASYNC110 - it comes by itself
                await asyncio.sleep(0.01)
        return self.centrifugo.commands


def settings(path: Path, **chosen: object) -> Settings:
    secrets = {"hook_secret": HOOK, "centrifugo_api_key": API, "token_key": TOKEN}
    mine = {"policies": path / "policies", "store_url": f"sqlite:///{path}/store.db", "policy_edition": path / "edition"}
    return Settings.model_validate({**secrets, **mine, **chosen})


def variables(path: Path) -> dict[str, str]:
    return {"MAIN_URL": f"sqlite:///{path}/main.db", "ORDERS_KEY": KEY["x-api-key"]}


def service(path: Path, **chosen: object) -> Service:
    made = settings(path, **chosen)
    return create(made, usable(made.policies, quiet=True), variables(path))


class Unlimited:
    def take(self, _limit: object) -> bool:
        return True


def engine(path: Path) -> Engine:
    return Engine(usable(path / "policies", quiet=True), variables(path), Unlimited(), None, lambda _request, _decision: None, ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.policy").write_text(POLICY)
    (tmp_path / "policies" / "a.test.policy").write_text(TESTS)
    with closing(sqlite3.connect(tmp_path / "main.db")) as connection, connection:
        connection.execute("create table members (doc text, uid text, role text)")
        connection.execute("insert into members values ('7', '42', 'editor'), ('7', '43', 'editor')")
    return tmp_path


@asynccontextmanager
async def world(path: Path, **chosen: object) -> AsyncIterator[World]:
    async with Centrifugo().running() as centrifugo, living(service(path, centrifugo_url=centrifugo.url, **chosen)) as caller:
        yield World(path, caller, centrifugo)


def leave(path: Path, user: str) -> None:
    with closing(sqlite3.connect(path / "main.db")) as connection, connection:
        connection.execute("delete from members where uid = ?", (user,))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - it happens by itself
            await asyncio.sleep(0.01)


async def test_who_is_no_member_any_more_is_unsubscribed_when_the_fact_is_invalidated(path: Path) -> None:
    async with world(path) as here:
        assert await here.may("chat:7")
        assert await here.may("chat:7", "43", "c2")
        leave(path, "42")
        assert await here.call("invalidate", topics=["doc:7"]) == {"result": {"facts": 2}}
        sent = await here.sent(1)
        assert sent == [{"unsubscribe": {"user": "42", "client": "c1", "channel": "chat:7"}}]
        async with asyncio.timeout(10):
            while not (numbers := await here.metrics())["centrigate_revocations_total"]:  # noqa: ASYNC110 - it is counted once Centrifugo has answered
                await asyncio.sleep(0.01)
        assert (numbers["centrigate_revocations_total"], numbers["centrigate_redecisions_total"]) == (1, 2)
        assert numbers["centrigate_revocation_lag_seconds_count"] == 1


async def test_a_blocked_user_is_disconnected_and_kept_out_also_after_a_restart(path: Path) -> None:
    async with world(path) as here:
        assert "result" in await here.caller.asked("connect", client="c1")
        assert await here.may("news:1")
        assert await here.call("block_user", user="42") == {"result": {}}
        sent = await here.sent(1)
        assert sent[0]["disconnect"]["user"] == "42"
        assert not await here.may("news:1")
        assert await here.may("news:1", "43")
    async with world(path) as again:
        assert not await again.may("news:1")


async def test_connections_are_listed_with_their_channels(path: Path) -> None:
    async with world(path) as here:
        await here.caller.asked("connect", client="c9")
        found = (await here.call("connections"))["result"]["connections"]
        assert [*found] == ["c9"]


async def test_a_changed_policy_is_in_force_and_ends_exactly_what_it_allows_no_more(path: Path) -> None:
    async with world(path) as here:
        before = (await here.ready())["policy"]
        assert await here.may("chat:7")
        assert await here.may("news:1")
        here.write(POLICY.replace("allow subscribe; }", 'allow subscribe when vars.x == "2"; }'))
        here.write(TESTS.replace("news:1", "news:2"), "a.test.policy")
        told = await here.call("reload")
        assert told["result"]["revision"] == (await here.ready())["policy"] != before
        assert (await here.sent(1)) == [{"unsubscribe": {"user": "42", "client": "c1", "channel": "news:1"}}]
        assert not await here.may("news:1")
        assert await here.may("news:2")
        assert await here.call("reload") == told
        numbers = await here.metrics()
        assert (numbers['centrigate_reloads_total{outcome="taken"}'], numbers["centrigate_redecisions_total"]) == (1, 1)


@pytest.mark.parametrize("asked", [False, True])
async def test_a_change_is_noticed_by_itself_and_when_asked_for(path: Path, asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a case
    if asked:
        monkeypatch.setattr(module, "awatch", _deaf)
    app = service(path)
    async with living(app) as caller:
        here = World(path, caller, Centrifugo())
        here.write("language 1;\n", "a.test.policy")
        async with asyncio.timeout(20):
            while await here.may("news:1"):
                here.write(POLICY.replace('"news:{x}"', '"old:{x}"'))  # again, since the watch may not have begun
                if asked:
                    app.reload()
                await asyncio.sleep(0.2)


async def _deaf(_path: Path, **_chosen: int) -> AsyncIterator[None]:
    nothings: tuple[None, ...] = ()
    for nothing in nothings:
        yield nothing


@pytest.mark.parametrize(
    ("text", "tests", "said"),
    [
        (POLICY + 'channel "x" { allow subscribe wen true; }', TESTS, "a.policy:11:"),
        (POLICY, TESTS.replace('"news:1"', '"none:1"'), "tests of the policy in"),
        (POLICY, TESTS.replace('as "1"', "as 1"), "a.test.policy:2:"),
        (POLICY.replace("env MAIN_URL", "env OTHER_URL"), TESTS, "OTHER_URL"),
        ("", TESTS, "cannot be used"),
    ],
)
async def test_a_policy_that_cannot_be_used_changes_nothing_and_is_shown(path: Path, text: str, tests: str, said: str) -> None:
    async with world(path) as here:
        before = (await here.ready())["policy"]
        here.write(text)
        here.write(tests, "a.test.policy")
        refused = await here.call("reload")
        assert said in refused["error"]["message"]
        told = await here.ready()
        assert (told["policy"], told["refused"], await here.may("news:1")) == (before, refused["error"]["message"], True)
        assert (await here.metrics())["centrigate_policy_refused"] == 1
        here.write(POLICY)
        here.write(TESTS, "a.test.policy")
        assert await here.call("reload") == {"result": {"revision": before}}
        assert "refused" not in await here.ready()


async def test_what_the_next_policy_declares_alike_keeps_its_facts_and_the_rest_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "LINGER_S", 0)
    async with world(path) as here:
        assert await here.may("chat:7")
        (path / "main.db").rename(path / "away.db")
        here.write(POLICY + 'channel "more" { allow subscribe; }')
        await here.call("reload")
        assert await here.may("chat:7")  # from the cache
        (path / "away.db").rename(path / "main.db")
        leave(path, "42")
        here.write(POLICY.replace("cache 1h", "cache 2h"))
        await here.call("reload")
        assert await here.sent(1) == [{"unsubscribe": {"user": "42", "client": "c1", "channel": "chat:7"}}]
        assert not await here.may("chat:7")
        here.write(POLICY.replace("cache 1h", "cache 2h").replace("identity visitor { guest; }", ""))
        await here.call("reload")
        assert (await here.caller.asked("connect"))["disconnect"]["code"] == 4501
        assert await here.call("invalidate", topics=["doc:7"]) == {"result": {"facts": 1}}


async def test_a_method_is_forwarded_to_an_application_for_as_long_as_the_policy_names_it(path: Path) -> None:
    async with site() as app, world(path) as here:
        app.answer = says({"done": 1})
        here.write(POLICY + f'http app {{ base env APP_URL default "{app.url}"; }}\nrpc "do" {{ allow; forward app POST "/do"; }}')
        assert "result" in await here.call("reload")
        assert await here.caller.asked("rpc", method="do", data=[1]) == {"result": {"data": {"done": 1}}}
        assert json.loads(app.bodies[0])["data"] == [1]
        app.open.clear()
        late = asyncio.create_task(here.caller.asked("rpc", method="do"))
        await app.asked.get()
        await app.asked.get()
        here.write(POLICY)
        await here.call("reload")
        app.open.set()
        assert await late == {"result": {"data": {"done": 1}}}


async def test_an_application_that_the_policy_names_no_more_is_not_asked(path: Path) -> None:
    made = engine(path)
    with pytest.raises(FactFault, match="does not name it"):
        await made.forward("app", "/do", {})
    await made.close()


async def test_what_was_allowed_just_before_another_policy_is_asked_again_only_where_that_differs(path: Path) -> None:
    made = engine(path)
    made.listener = revocation = Revocation(made, scene.Centrifugo(), lambda: 0, 60, lambda _lag: None)
    for channel in ("news:1", "chat:7"):
        request = Request(op="subscribe", user="42", client="c1", channel=channel)
        decision = await made.gate.decide(request)
        assert isinstance(decision, Allow)
        revocation.ledger.subscribed(request, decision, None)
    (path / "policies" / "a.policy").write_text(POLICY.replace("allow subscribe; }", 'allow subscribe when vars.x == "2"; }'))
    await made.take(usable(path / "policies", quiet=True))
    assert (len(revocation.registry), len(revocation.redecision)) == (2, 1)
    await made.close()


async def test_a_service_that_becomes_durable_gets_an_outbox(path: Path) -> None:
    async with world(path) as here:
        assert "centrigate_outbox_length" not in await here.metrics()
        here.write(POLICY.replace("key env ORDERS_KEY;", "key env ORDERS_KEY; delivery durable;"))
        await here.call("reload")
        assert await here.call("publish", channel="news:1", data=1) == {"result": {}}
        assert await here.sent(1)
        assert "centrigate_outbox_length" in await here.metrics()
        assert (await here.ready())["ready"]


async def test_only_signed_policies_count_where_a_key_says_so(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    chosen = {"policy_key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}
    with pytest.raises(SetupFault, match="only signed policies"):
        await service(path, **chosen).prepare()

    def signed(edition: int) -> None:
        (path / "policies" / SIGNATURE).write_bytes(sign(folder.read(path / "policies")[0], edition, key))

    signed(3)
    app = service(path, **chosen)
    async with living(app) as caller:
        here = World(path, caller, Centrifugo())
        here.write(POLICY + 'channel "more" { allow subscribe; }')
        assert "is not what was signed" in (await here.call("reload"))["error"]["message"]
        signed(2)
        assert "edition 2" in (await here.call("reload"))["error"]["message"]
        signed(4)
        assert "result" in await here.call("reload")
    here.write(POLICY)
    with pytest.raises(SetupFault, match="changed during the start"):
        await app.prepare()


async def test_decisions_are_logged_so_that_they_can_be_decided_again(path: Path) -> None:
    log = path / "decisions.ndjson"
    async with world(path, decision_log=str(log)) as here:
        assert await here.may("chat:7")
        assert not await here.may("chat:8")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["decision"]["effect"] for line in lines] == ["allow", "deny"]
    assert lines[0]["request"]["facts"] == {'member("7","42")': {"role": "editor"}}


@pytest.mark.parametrize("name", ["none/decisions.ndjson", "policies"])
async def test_a_decision_log_that_cannot_be_opened_stops_the_start(path: Path, name: str) -> None:
    with pytest.raises(
        SetupFault, match=rf"^{path / name}, where CENTRIGATE_DECISION_LOG leads, cannot be used: (No such file|Is a directory)"
    ):
        await service(path, decision_log=str(path / name)).prepare()


def test_a_folder_that_is_not_there_is_told_once(path: Path) -> None:
    with pytest.raises(SetupFault, match=r"none:1:1: error unreadable: this is no folder \(give the folder with the \*\.policy files\)$"):
        service(path, shadow_policies=path / "none")


async def test_a_shadow_policy_is_compared_and_follows_its_own_folder(path: Path) -> None:
    other = path / "shadow"
    other.mkdir()
    (other / "a.policy").write_text(POLICY.replace('"news:{x}"', '"old:{x}"'))
    async with world(path, shadow_policies=other, decision_log=str(path / "log")) as here:
        assert await here.may("news:1")
        counted = 'centrigate_shadow_decisions_total{operation="subscribe",verdict="newly denied"}'
        async with asyncio.timeout(10):
            while counted not in await here.metrics():  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.01)
        assert {"centrigate_shadow_passed_total", "centrigate_log_lines_total"} <= (await here.metrics()).keys()
    (other / "a.policy").write_text("language 1;\nchannel }")
    with pytest.raises(SetupFault, match="cannot be used"):
        service(path, shadow_policies=other)


async def test_a_folder_that_is_gone_is_watched_again_when_it_is_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    app = service(path)
    (path / "policies").rename(path / "elsewhere")
    async with living(app) as caller:
        await until(lambda: "cannot be watched" in caplog.text)
        assert await World(path, caller, Centrifugo()).may("news:1")


async def test_work_that_fails_is_told_and_the_other_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def fails() -> None:
        raise LookupError("unforeseen")

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    workers = Workers([fails, goes_on])
    await workers.start()
    with caplog.at_level(logging.CRITICAL):
        await until(lambda: "unforeseen" in caplog.text)
    assert not ended.is_set()
    await workers.close()
    assert ended.is_set()
