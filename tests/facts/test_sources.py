import asyncio
import dataclasses
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from proxy.errors import FactFault, SetupFault
from proxy.facts import lane, postgres
from proxy.facts.cache import Facts
from proxy.facts.http import Resource
from proxy.facts.python import Function
from proxy.facts.sources import build
from proxy.facts.sql import Query
from proxy.policy.decision import FactKey, Known, Lost
from proxy.policy.declared import Database, Fact, HttpSource, PythonSource, SqlSource, Variable
from tests.facts.scene import declare
from tests.live.postgres import Postgres

QUERY = "select age from people where id = :uid"
AGE = declare(
    name="age",
    source=SqlSource(database="main", query=QUERY),
    ttl_ms=60_000,
    negative_ms=60_000,
    topics=("person:{uid}",),
)


@dataclasses.dataclass
class Declared:
    """The part of a policy that facts are built from."""

    facts: Mapping[str, Fact]
    databases: Mapping[str, Database]


def declared(*facts: Fact, default: str | None = None, listen: str | None = None) -> Declared:
    database = Database(name="main", url=Variable(name="DATABASE_URL", default=default), listen=listen)
    return Declared(facts={fact.name: fact for fact in facts or (AGE,)}, databases={"main": database})


@pytest.fixture
def url(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "people.db")
    connection.executescript("create table people (id text, age int); insert into people values ('a', 30);")
    connection.close()
    return f"sqlite:///{tmp_path}/people.db"


async def test_a_declared_fact_is_loaded_from_the_database_that_the_environment_names(url: str) -> None:
    facts = build(declared(), {"DATABASE_URL": url})
    await facts.ping()
    loaded = await facts.load([("age", "a")])
    known = loaded["age", "a"]
    assert isinstance(known, Known)
    assert known.value == 30
    assert facts.get(("age", "a")) is known
    assert facts.invalidate(["person:a"]) == 1
    await facts.close()


async def test_the_default_stands_in_for_a_variable_that_is_missing_or_empty(url: str) -> None:
    for variables in ({}, {"DATABASE_URL": ""}):
        facts = build(declared(default=url), variables)
        await facts.ping()
        await facts.close()


async def test_the_environment_comes_before_the_default(url: str, tmp_path: Path) -> None:
    facts = build(declared(default=url), {"DATABASE_URL": f"sqlite:///{tmp_path}/other.db"})
    with pytest.raises(FactFault, match="database main"):
        await facts.ping()
    await facts.close()


def test_a_missing_variable_stops_the_start() -> None:
    with pytest.raises(SetupFault, match=r"^the policy's database main needs the environment variable DATABASE_URL: set it to a"):
        build(declared(), {})


class Remote:
    """An application that knows one age."""

    def __init__(self) -> None:
        self.reached = 0

    async def get(self, path: str, /) -> tuple[int, object]:
        return (200, {"age": 30}) if path == "/people/a" else (404, None)

    async def reach(self) -> None:
        self.reached += 1
        raise FactFault("http app: no answer")


REMOTE = dataclasses.replace(AGE, name="remote", source=HttpSource(remote="app", path="/people/{uid}", pick="/age"))
FUNCTION = dataclasses.replace(AGE, name="function", source=PythonSource(target="tests.facts.functions:one"))
TAKES_OTHER = dataclasses.replace(FUNCTION, parameters=("other",), topics=())


async def test_each_kind_of_source_is_loaded(url: str) -> None:
    facts = build(declared(AGE, REMOTE, TAKES_OTHER), {"DATABASE_URL": url}, {"app": Remote()})
    found = await facts.load([("age", "a"), ("remote", "a"), ("remote", "b"), ("function", "a")])
    assert [each.value if isinstance(each, Known) else each.why for each in found.values()] == [
        30, 30, "expected int, found null", "expected int, found string",
    ]  # fmt: skip
    await facts.close()


async def test_a_probe_tries_each_fact_as_it_would_be_loaded(url: str) -> None:
    wrong = dataclasses.replace(AGE, name="wrong", source=SqlSource(database="main", query="select height from people where id = :uid"))
    remote = Remote()
    facts = build(declared(AGE, wrong, REMOTE, TAKES_OTHER), {"DATABASE_URL": url}, {"app": remote})
    assert await facts.probe() == {
        "age": "", "wrong": "database main: no such column: height", "remote": "http app: no answer", "function": "",
    }  # fmt: skip
    assert remote.reached == 1
    await facts.close()


def test_facts_of_one_application_share_its_turns_and_others_do_not(url: str) -> None:
    more = [
        dataclasses.replace(REMOTE, name=name, source=HttpSource(remote=app, path="/{uid}", pick=None))
        for name, app in (("x", "a"), ("y", "b"), ("z", "b"))
    ]
    second = dataclasses.replace(AGE, name="second")
    facts = build(declared(AGE, second, REMOTE, *more), {"DATABASE_URL": url}, {"app": Remote(), "a": Remote(), "b": Remote()})
    resources = [each._lane for each in facts._loaders.values() if isinstance(each, Resource)]
    assert len(set(resources)) == 4
    assert len({lane._source for lane in resources}) == 3
    queries = {each._database for each in facts._loaders.values() if isinstance(each, Query)}
    assert len(queries) == 1


def test_a_function_that_cannot_be_called_stops_the_start(url: str) -> None:
    with pytest.raises(SetupFault, match="which cannot be called with uid by name"):
        build(declared(FUNCTION), {"DATABASE_URL": url})
    assert isinstance(build(declared(TAKES_OTHER), {"DATABASE_URL": url})._loaders["function"], Function)


def test_a_file_that_shall_listen_stops_the_start(url: str) -> None:
    with pytest.raises(SetupFault, match="which only PostgreSQL can"):
        build(declared(listen="changes"), {"DATABASE_URL": url})


async def test_the_slowest_fact_of_a_database_bounds_its_queries_on_the_server(server: Postgres) -> None:
    timeout = dataclasses.replace(
        AGE, source=SqlSource(database="main", query="select setting::int from pg_settings where name = 'statement_timeout' and :uid = 'a'")
    )
    slower = dataclasses.replace(timeout, name="slower", timeout_ms=7000)
    facts = build(declared(timeout, slower), {"DATABASE_URL": server.url})
    found = await facts.load([("age", "a")])
    assert getattr(found["age", "a"], "value", None) == 7000
    await facts.close()


async def until(facts: Facts, key: FactKey, value: object) -> None:
    """Until the fact has this value, loading it as often as it is not at hand."""
    async with asyncio.timeout(30):
        while getattr((await facts.load([key]))[key], "value", None) != value:
            pass


async def test_notifications_drop_what_is_cached_and_so_does_a_gap_between_them(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "BACKOFF_SECONDS", (0.01, 0.02))
    admin = await asyncpg.connect(server.url)
    await admin.execute(
        "drop table if exists people; create table people (id text, age int); insert into people values ('a', 30), ('b', 1)"
    )
    facts = build(declared(listen="changes"), {"DATABASE_URL": server.url})
    topics: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    missed: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    facts.on_invalidated, facts.on_missed = topics.put_nowait, missed.put_nowait
    await facts.start()
    async with asyncio.timeout(30):
        assert await missed.get() == {"age"}
        await facts.load([("age", "a"), ("age", "b")])
        await admin.execute("update people set age = age + 1; notify changes, 'person:a'")
        assert await topics.get() == {"person:a"}
        assert facts.get(("age", "a")) is None
        assert facts.get(("age", "b"))
        admin.terminate()
        server.stop()
        server.start()
        assert await missed.get() == {"age"}
    assert facts.get(("age", "b")) is None
    await until(facts, ("age", "b"), 2)
    await facts.close()


async def test_a_database_that_is_away_loses_facts_and_gives_them_again_when_it_is_back(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await asyncpg.connect(server.url)
    await admin.execute("drop table if exists people; create table people (id text, age int); insert into people values ('a', 30)")
    admin.terminate()
    facts = build(declared(dataclasses.replace(AGE, ttl_ms=0)), {"DATABASE_URL": server.url})
    await until(facts, ("age", "a"), 30)
    server.stop(mode="immediate")
    try:
        lost = [(await facts.load([("age", "a")]))["age", "a"] for _ in range(7)]
    finally:
        server.start()
    assert all(isinstance(each, Lost) for each in lost)
    assert lost[-1] == Lost(why="fact age: out of order")
    monkeypatch.setattr(lane, "PAUSE_SECONDS", 0.0)
    facts._loaders["age"]._lane._until = 0.0  # type: ignore[attr-defined]  # the pause is over
    await until(facts, ("age", "a"), 30)
    await facts.close()
