import dataclasses
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.errors import FactFault, SetupFault
from proxy.facts.sources import build
from proxy.policy.decision import Known
from proxy.policy.declared import Database, Fact, HttpSource, PythonSource, SqlSource, Variable
from proxy.policy.types import INT, fitter

AGE = Fact(
    name="age",
    parameters=("uid",),
    type=INT,
    fit=fitter(INT),
    nullable=False,
    source=SqlSource(database="main", query="select age from people where id = :uid"),
    ttl_ms=60_000,
    negative_ms=60_000,
    max_entries=10,
    timeout_ms=5_000,
    topics=("person:{uid}",),
)


@dataclasses.dataclass
class Declared:
    """The part of a policy that facts are built from."""

    facts: Mapping[str, Fact]
    databases: Mapping[str, Database]


def declared(fact: Fact = AGE, default: str | None = None) -> Declared:
    database = Database(name="main", url=Variable(name="DATABASE_URL", default=default))
    return Declared(facts={fact.name: fact}, databases={"main": database})


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


@pytest.mark.parametrize(("source", "kind"), [
    (HttpSource(remote="app", path="/", pick=None), "http"),
    (PythonSource(target="a:b"), "python"),
])  # fmt: skip
def test_a_source_that_cannot_be_loaded_yet_stops_the_start(source: HttpSource | PythonSource, kind: str, url: str) -> None:
    with pytest.raises(SetupFault, match=rf"^the policy's fact age comes from {kind}, which is not supported yet"):
        build(declared(dataclasses.replace(AGE, source=source)), {"DATABASE_URL": url})
