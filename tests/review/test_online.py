import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from proxy.policy.load import load
from proxy.review.online import tried
from tests.identity.forge import SECRET
from tests.identity.site import says, site
from tests.live.postgres import Postgres, postgres

POLICY = """language 1;
database main { url env MAIN; }
fact age(uid: string) -> int? { sql main "select age from people where id = :uid"; timeout 2s; BATCH }
fact person(uid: string) -> { id: string, age?: int }? { sql main "select id, age from people where id = :uid"; timeout 2s; }
channel "x:{y}" { allow subscribe when age(user) != null || person(user) != null expire 5m; }
"""
APP = """language 1;
http app { base env APP; header "x-token" env TOKEN; }
fact seat(uid: string) -> string? { http app GET "/seats/{uid}"; timeout 1s; }
identity session { http app GET "/me" forward header "cookie"; user = reply.id; }
connect { allow when seat(user) != null; }
"""


async def found(text: str | Mapping[str, str], **variables: str) -> list[str]:
    """The findings, each in one line."""
    texts = {"a.policy": text} if isinstance(text, str) else text
    files = {name: written.encode() for name, written in texts.items()}
    loaded = load(files)
    assert loaded.policy is not None, loaded.findings
    return sorted(map(str, await tried(loaded.policy, files, variables)))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    table = "create table people (id text, age int)"
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "people.db") as connection:
            connection.execute(table)
        connection.close()
        return f"sqlite:///{tmp_path}/people.db"
    server: Postgres = request.getfixturevalue("server")
    admin = await asyncpg.connect(server.url)
    await admin.execute(f"drop table if exists people; {table}")
    await admin.close()
    return server.url


@pytest.mark.parametrize("batch", ["", "batch 10;"])
async def test_a_database_that_understands_every_query_is_fine(url: str, batch: str) -> None:
    assert await found(POLICY.replace("BATCH", batch), MAIN=url) == []


async def test_a_query_that_the_database_does_not_understand_is_said_at_its_fact(url: str) -> None:
    text = POLICY.replace("BATCH", "batch 10;").replace("select age", "select height").replace("id, age from", "id as uid, age from")
    first, second = await found(text, MAIN=url)
    assert first.startswith("a.policy:3:6: error bad-query: database main: ")
    assert "height" in first
    assert second.startswith("a.policy:4:6: error bad-query: database main: there is no column id (correct the query, or the type: ")


async def test_a_database_that_is_not_there_is_said_once_and_not_for_each_fact(tmp_path: Path, server: Postgres) -> None:
    (missing,) = await found(POLICY.replace("BATCH", ""), MAIN=f"sqlite:///{tmp_path}/none.db")
    assert missing.startswith("a.policy:2:10: error unreachable: database main: there is no file ")
    assert missing.endswith("(start it, or correct the variable MAIN)")
    assert not (tmp_path / "none.db").exists()
    (refused,) = await found(POLICY.replace("BATCH", ""), MAIN=server.url.replace("postgres-secret", "wrong-secret"))
    assert refused.startswith("a.policy:2:10: error unreachable: database main: password authentication failed")
    assert "wrong-secret" not in refused


async def test_a_variable_that_is_missing_or_wrong_is_said_where_it_is_named(tmp_path: Path) -> None:
    text = POLICY.replace("BATCH", "").replace("MAIN; }", 'MAIN; listen "changes"; }')
    for value, said in {
        "": "the policy's database main needs the environment variable MAIN: ",
        "nonsense": "the URL of the policy's database main cannot be used: ",
        f"sqlite:///{tmp_path}/x": "the policy's database main listens, which only PostgreSQL can: leave listen out",
    }.items():
        (finding,) = await found(text, MAIN=value)
        assert finding.startswith(f"a.policy:2:10: error unusable: {said}")


async def test_an_application_that_answers_anything_is_fine() -> None:
    async with site() as app:
        app.answer = says(status=404)
        assert await found(APP, APP=app.url, TOKEN="t") == []
        assert [app.asked.get_nowait()[0]] == ["/"]
        assert app.asked.empty()


async def test_an_application_that_does_not_answer_is_said_once() -> None:
    async with site() as app:
        pass
    assert await found(APP, APP=app.url, TOKEN="t") == [
        "a.policy:2:6: error unreachable: http app: no answer (ConnectError) (start it, or correct the variable APP)"
    ]
    (missing,) = await found(APP, APP=app.url)
    assert missing.startswith("a.policy:2:6: error unusable: the policy's http app needs the environment variable TOKEN")


def identity(keys: str) -> str:
    return f"""language 1;
identity idp {{
  jwt from header "authorization"; issuer "https://id.example"; audience "a"; algorithms ES256; keys {keys}; user = claims.sub;
}}
identity guest {{ guest; }}
"""


async def test_a_key_set_is_fetched() -> None:
    async with site() as app:
        text = identity(f'jwks "{app.url}/jwks"')
        app.answer = says({"keys": []})
        (empty,) = await found(text)
        assert empty.startswith("a.policy:2:10: error unreachable: keys of identity idp")
        assert empty.endswith("(start what serves the keys, or correct their address)")
        assert app.asked.get_nowait()[0] == "/jwks"
    (gone,) = await found(text)
    assert "error unreachable: keys of identity idp: no answer (ConnectError)" in gone


async def test_a_key_of_an_identity_is_read() -> None:
    (missing,) = await found(identity("env IDP"))
    assert missing.startswith("a.policy:2:10: error unusable: ")
    assert "IDP" in missing
    secret = identity("env IDP").replace("ES256", "HS256")
    assert await found(secret, IDP=SECRET) == []


async def test_a_function_is_imported_and_not_called() -> None:
    text = """language 1;
fact far(uid: string) -> string { python "tests.facts.functions:away"; timeout 1s; }
fact none(uid: string) -> string { python "tests.facts.functions:absent"; timeout 1s; }
channel "x:{y}" { allow subscribe when far(user) == none(user) expire 5m; }
"""
    (finding,) = await found(text)
    assert finding == (
        "a.policy:3:6: error unusable: the policy's fact none comes from tests.facts.functions:absent, "
        "but tests.facts.functions has no absent"
    )


async def test_keys_of_services_are_read_and_compared() -> None:
    first, second = (f"language 1;\nservice {name} {{ key env {name.upper()}; allow info; }}\n" for name in ("one", "two"))
    files = {"a.policy": first, "b.policy": second, "c.test.policy": "language 1;\n"}
    assert await found(files, ONE="1" * 16, TWO="2" * 16) == []
    assert await found(files, ONE="1" * 16, TWO="1" * 16) == [
        "a.policy:2:9: error unusable: services one and two have the same key: give each its own"
    ]
    missing = await found(files, ONE="1")
    assert [each.split(", ")[0] for each in missing] == ["a.policy:2:9: error unusable: ONE", "b.policy:2:9: error unusable: TWO"]
    assert await found('language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user; }') == []


async def test_everything_is_tried_at_the_same_time() -> None:
    async with site() as slow, asyncio.timeout(20):
        slow.open.clear()
        text = APP + APP.replace("language 1;\n", "").replace("app", "other").replace("APP", "OTHER").replace("seat", "chair")
        text = text.replace("connect { allow when chair(user) != null; }", "").replace("session", "first", 1)
        trying = asyncio.create_task(found(text.replace("identity session", "identity second"), APP=slow.url, OTHER=slow.url, TOKEN="t"))
        for _ in range(2):
            await slow.asked.get()
        slow.open.set()
        assert await trying == []
