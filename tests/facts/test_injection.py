"""Whatever stands in a channel, a user or a payload is data to the database: through the service, from the pattern to the row."""

import asyncio
import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from proxy.app import create
from proxy.policy.load import load
from proxy.settings import Settings
from tests.live.postgres import Postgres

SECRET = "s" * 32
POLICY = """language 1;
database main { url env MAIN; }
identity guest { guest; }
fact echo(value: string, uid: string) -> { text: string, known: int, uid: string } {
  sql main "select :value as text, (select count(*) from secrets where name = :value) as known, :uid as uid where 1 = 1";
  timeout 10s; BATCH
}
channel "any:{rest*}" {
  let found = echo(vars.rest, user);
  allow subscribe info = {"text": found.text, "known": found.known, "uid": found.uid};
}
rpc "look" { let found = echo(data.value, user); allow; answer = {"text": found.text, "known": found.known}; }
"""
HOSTILE = [
    "'", "''", '"', "'--", "';drop/**/table/**/secrets;--", "'||(select/**/value/**/from/**/secrets)||'",
    "%", "_", "%s", "%(x)s",
    ":x", ":value", ":value_0", "\\:value", "$1", "?", "?1", "@p", "#{x}", "${x}", "\\", "\\'", "\\0", "E'\\x27'", "$$", "/*", "*/", "{0}",
    "named'", "~" * 251, "'" * 251, "0x27", "1;2", "null", "NULL", "[1]", '{"a":1}',
]  # fmt: skip
UNPRINTABLE = [
    "",
    " ",
    "' or ''='",
    "\n",
    "ü'",
    "\u02bc or \u02bc\u02bc=\u02bc",
    "\uff07",
    "😀",
    "\x1b",
    "\u202e'",
    "a" * 5000,
    "\ufeff",
    "e\u0301",
]


@asynccontextmanager
async def service(url: str, *, batch: bool) -> AsyncIterator[httpx.AsyncClient]:
    policy = load({"a.policy": POLICY.replace("BATCH", "batch 16;" if batch else "").encode()}).policy
    assert policy is not None
    chosen = Settings.model_validate({"hook_secret": SECRET, "centrifugo_api_key": SECRET, "token_key": SECRET})
    app = create(chosen, policy, {"MAIN": url})
    assert isinstance(app._rest, Starlette)
    headers = {"x-centrigate-hook-secret": SECRET}
    async with (
        app._rest.router.lifespan_context(app._rest),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centrigate/centrifugo", headers=headers) as client,
    ):
        yield client


async def hook(client: httpx.AsyncClient, event: str, **fields: object) -> Any:  # noqa: ANN401 - decoded JSON
    body = {"client": "c", "transport": "websocket", "protocol": "json", "encoding": "json", "user": "42"} | fields
    got = await client.post(f"/{event}", json=body)
    assert got.status_code == 200
    return got.json()


async def looked(client: httpx.AsyncClient, value: str) -> Any:  # noqa: ANN401 - decoded JSON
    return await hook(client, "rpc", method="look", data={"value": value})


@pytest.fixture(params=["sqlite", "sqlite batch", "postgresql", "postgresql batch"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    rows = "create table secrets (name text, value text)", "insert into secrets values ('named''', 'hidden')"
    if request.param.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/main.db"
        with sqlite3.connect(tmp_path / "main.db") as connection:
            for row in rows:
                connection.execute(row)
        connection.close()
    else:
        server: Postgres = request.getfixturevalue("server")
        url = server.url
        admin = await asyncpg.connect(url)
        await admin.execute(f"drop table if exists secrets; {'; '.join(rows)}")
        admin.terminate()
    async with service(url, batch="batch" in request.param) as client:
        yield client
        assert (await looked(client, "named'"))["result"]["data"]["known"] == 1


async def test_a_channel_is_data(client: httpx.AsyncClient) -> None:
    for value in HOSTILE:
        found = await hook(client, "subscribe", channel=f"any:{value}")
        assert found["result"]["info"] == {"text": value, "known": int(value == "named'"), "uid": "42"}


async def test_a_payload_and_a_user_are_data(client: httpx.AsyncClient) -> None:
    for value in [*HOSTILE, *UNPRINTABLE]:
        assert (await looked(client, value))["result"]["data"] == {"text": value, "known": int(value == "named'")}
        if 0 < len(value) < 256:
            found = await hook(client, "subscribe", channel="any:x", user=value)
            assert found["result"]["info"] == {"text": "x", "known": 0, "uid": value}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(string.ascii_letters + string.digits + "'\"\\:;%$?@()[]{}-/*|=", min_size=1, max_size=251))
async def test_any_channel_is_data(client: httpx.AsyncClient, value: str) -> None:
    found = await hook(client, "subscribe", channel=f"any:{value}")
    assert found["result"]["info"] == {"text": value, "known": 0, "uid": "42"}


async def test_what_text_cannot_hold_is_a_lost_fact_or_data(client: httpx.AsyncClient, request: pytest.FixtureRequest) -> None:
    found = await looked(client, "a\0'b")
    if "postgresql" in request.node.name:
        assert found["error"]["temporary"]
    else:
        assert found["result"]["data"] == {"text": "a\0'b", "known": 0}


async def test_a_value_that_the_database_refuses_loses_nobody_elses_facts(client: httpx.AsyncClient) -> None:
    values = ["a", "\0", "b", "named'"]
    found = [await each for each in [looked(client, value) for value in values]]
    together = await gathered(client, values)
    assert together == found


async def gathered(client: httpx.AsyncClient, values: list[str]) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(looked(client, value)) for value in values]
    return [task.result() for task in tasks]
