"""The page carried out: a web application that knows nothing of the service, and the demo's policy moved to it."""

import json
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from proxy import settings
from proxy.app import create
from proxy.policy.load import load
from proxy.review import trials
from proxy.settings import Settings
from tests.docs import pages
from tests.docs.test_examples import answered
from tests.docs.world import REQUIRED
from tests.house.tree import ROOT

PAGE = pages.page("application")
(ENVIRONMENT,) = (dict(line.split("=", 1) for line in block.text.splitlines()) for block in pages.blocks(PAGE, "ini"))
SESSION = "4f0c2d"
TABLES = """
create table users (id integer primary key, name text, banned_at text);
create table memberships (document_id integer, user_id integer, role text);
create table sessions (id text, user_id integer);
insert into users values (42, 'Ann', null), (44, 'Cleo', null), (66, 'Sam', '2026-01-01');
insert into memberships values (7, 42, 'owner'), (8, 44, 'owner'), (7, 66, 'editor');
insert into sessions values ('4f0c2d', 42), ('cleo', 44), ('sam', 66);
"""


class Shop(BaseHTTPRequestHandler):
    """The application: tells the holder of a session who that is."""

    database: Path

    def do_GET(self) -> None:
        """Answer `/api/me`."""
        held = SimpleCookie(self.headers.get("cookie", "")).get("session")
        with closing(sqlite3.connect(self.database)) as database:
            query = "select users.id, name from users join sessions on user_id = users.id where sessions.id = ?"
            found = database.execute(query, (held.value if held else "",)).fetchone()
        known = found and self.path == "/api/me"
        body = json.dumps({"id": found[0], "name": found[1]} if known else {}).encode()
        self.send_response(200 if known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """What stands in the environment to reach the application, which runs."""
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(TABLES)
    handler = type("Running", (Shop,), {"database": file})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield {"APP_URL": f"http://127.0.0.1:{server.server_port}", "DATABASE_URL": f"sqlite:///{file}"}
        server.shutdown()
        serving.join()


def edited() -> dict[str, bytes]:
    """The files of the demo's policy, in which the statements of the page stand in place of those of the same name."""
    files = {str(file.relative_to(ROOT / "policies")): file.read_text() for file in (ROOT / "policies").rglob("*.*")}
    for block in pages.blocks(PAGE, "policy"):
        wanted = re.findall(r"^fact \w+", block.text, re.MULTILINE) or ["identity demo"]
        (name,) = [each for each, text in files.items() if f"\n{wanted[0]}" in text and each.endswith(".policy") and "test" not in each]
        old = re.search(rf"^{wanted[0]}\b.*?^}}\n", files[name], re.MULTILINE | re.DOTALL)
        assert old is not None
        files[name] = files[name].replace(old[0], block.text)
    return {name: text.encode() for name, text in files.items()}


@pytest.fixture
async def service(shop: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Who calls the service that asks the application."""
    monkeypatch.setattr("proxy.identity.session.KNOWN_S", 0.0)
    # The page's timeouts are those of a service that has the machine for itself.
    policy = load({name: re.sub(rb"timeout \d+ms", b"timeout 9s", text) for name, text in edited().items()}).policy
    assert policy is not None
    keys = {"ORDERS_KEY": "o" * 32, "NEWSROOM_KEY": "n" * 32, "APPLICATION_KEY": "p" * 32}
    app = create(Settings.model_validate(REQUIRED), policy, {**shop, **keys})
    rest = app._rest
    assert isinstance(rest, Starlette)
    secret = {"x-centrigate-hook-secret": "h" * 32}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8010", headers=secret)
    async with client, rest.router.lifespan_context(rest):
        yield client


async def connected(service: httpx.AsyncClient, session: str, hook: str = "connect", **fields: object) -> dict[str, Any]:
    """The answer to a hook of a connection whose browser shows this session."""
    body = {"client": "c1", "transport": "websocket", "protocol": "json", "encoding": "json", **fields}
    reply = await service.post(f"/centrifugo/{hook}", json=body, headers={"cookie": f"theme=dark; session={session}"})
    answer: dict[str, Any] = reply.json()
    return answer


def test_the_edited_policy_has_no_findings_and_its_tests_pass() -> None:
    loaded = load(edited())
    assert loaded.policy is not None
    assert list(loaded.findings) == list(load({name: (ROOT / "policies" / name).read_bytes() for name in edited()}).findings)
    assert not loaded.policy.guests
    report = trials.run(loaded.policy, edited())
    assert (report.findings, report.failed) == ((), 0)


def test_the_environment_is_all_that_the_edited_policy_needs() -> None:
    text = "".join(file.decode() for name, file in edited().items() if name.endswith(".policy"))
    before = "".join(file.read_text() for file in (ROOT / "policies").glob("*.policy"))
    needed, known = (set(re.findall(r"\benv (\w+)", each)) for each in (text, before))
    assert needed - known <= set(ENVIRONMENT) - set(settings.names())
    assert {name for name in ENVIRONMENT if not name.startswith("CENTRIFUGO_")} == {"APP_URL", "DATABASE_URL"}


async def test_whoever_has_a_session_connects_as_who_the_application_says(service: httpx.AsyncClient) -> None:
    result = (await connected(service, SESSION))["result"]
    assert (result["user"], result["info"]) == ("42", {"name": "Ann"})
    assert (await connected(service, "stolen"))["disconnect"]["code"] == 4501
    assert (await connected(service, "sam"))["disconnect"]["code"] == 4503


async def test_the_tables_of_the_application_decide(service: httpx.AsyncClient) -> None:
    async def told(user: str, hook: str, **fields: object) -> object:
        answer = await connected(service, "", hook, user=user, **fields)
        return answer.get("error", {}).get("code") or answer["result"]

    assert await told("42", "subscribe", channel="notifications#42")
    assert (await connected(service, "", "subscribe", user="42", channel="chat:doc-7"))["result"]["info"] == {"role": "owner"}
    assert [await told("42", "subscribe", channel=f"chat:doc-{doc}") for doc in ("8", "7x", "07", "9")] == [103] * 4
    assert await told("66", "subscribe", channel="chat:doc-7") == 103
    message = {"type": "message", "text": "hi"}
    assert (await connected(service, "", "publish", user="42", channel="chat:doc-7", data=message))["result"]["data"]["author"] == "42"
    assert await told("44", "publish", channel="chat:doc-7", data=message) == 103


async def test_who_has_signed_out_is_disconnected_at_the_refresh(service: httpx.AsyncClient, tmp_path: Path) -> None:
    assert (await connected(service, SESSION, "refresh", user="42"))["result"]["expire_at"]
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("delete from sessions")
        database.commit()
    assert (await connected(service, SESSION, "refresh", user="42"))["result"] == {"expired": True}


async def test_the_command_of_the_page_gets_a_token(service: httpx.AsyncClient) -> None:
    (command,) = (block.text for block in pages.blocks(PAGE, "sh"))
    answer = await answered(service, command, {})
    assert (answer.status_code, set(answer.json())) == (200, {"token", "expires_in"})
