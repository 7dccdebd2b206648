import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy.sql.elements import TextClause

from proxy.errors import FactFault, SetupFault
from proxy.facts.sql import MAX_ROWS, Database, Query
from proxy.policy.declared import Fact, SqlSource
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, STRING, ListOf, MapOf, Member, Misfit, Record, Type, fitter, nullable

SCRIPT = """
create table accounts (id text primary key, roles text, suspended integer, tier text, score real, raw blob);
insert into accounts values ('42', '["member", "editor"]', 0, null, 1.5, x'00');
insert into accounts values ('66', '[]', 1, 'gold', 2, x'5b5d');
insert into accounts values ('bad', 'no json', 7, null, null, null);
create table members (doc text, uid text);
insert into members values ('7', '42'), ('7', '66');
"""

ACCOUNT = Record(
    fields={"roles": Member(type=ListOf(of=STRING)), "suspended": Member(type=BOOL), "tier": Member(type=nullable(STRING), optional=True)}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "people %41?#.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(SCRIPT)
    connection.close()
    return file


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database("main", f"sqlite:///{quote(str(path))}")
    yield database
    await database.close()


def declare(type_: Type, *parameters: str) -> Fact:
    return Fact(
        name="it",
        parameters=parameters,
        type=type_,
        fit=fitter(type_),
        nullable=False,
        source=SqlSource(database="main", query=""),
        ttl_ms=0,
        negative_ms=0,
        max_entries=1,
        timeout_ms=1000,
        topics=(),
    )


async def load(database: Database, type_: Type, query: str, **arguments: object) -> object:
    return await Query(declare(type_, *arguments), query, database)(tuple(arguments.values()))


ONE = "select roles, suspended, tier from accounts where id = :uid"


async def test_a_row_becomes_a_record_with_booleans_and_lists(database: Database) -> None:
    assert await load(database, ACCOUNT, ONE, uid="42") == {"roles": ["member", "editor"], "suspended": False, "tier": None}
    assert await load(database, nullable(ACCOUNT), ONE, uid="66") == {"roles": [], "suspended": True, "tier": "gold"}


async def test_no_row_is_nothing(database: Database) -> None:
    assert await load(database, ACCOUNT, ONE, uid="99") is None


async def test_an_argument_is_bound_and_never_part_of_the_query(database: Database) -> None:
    assert await load(database, ACCOUNT, ONE, uid="' or '1'='1") is None


async def test_two_rows_are_no_record(database: Database) -> None:
    with pytest.raises(FactFault, match=r"^more than 1 row$"):
        await load(database, ACCOUNT, "select roles, suspended, tier from accounts")


async def test_columns_that_the_type_does_not_name_are_left_out(database: Database) -> None:
    assert await load(database, Record(fields={"tier": Member(type=STRING)}), "select * from accounts where id = '66'") == {"tier": "gold"}


async def test_two_columns_of_one_name_are_a_failure(database: Database) -> None:
    with pytest.raises(FactFault, match="two columns"):
        await load(database, ACCOUNT, "select id, tier as id from accounts where id = '42'")


async def test_a_scalar_takes_one_column_of_one_row(database: Database) -> None:
    query = "select count(*) from members where doc = :doc"
    assert await load(database, INT, query, doc="7") == 2
    assert await load(database, BOOL, "select suspended from accounts where id = :uid", uid="66") is True
    assert await load(database, STRING, "select tier from accounts where id = :uid", uid="42") is None
    with pytest.raises(FactFault, match="expected one column, found 2"):
        await load(database, INT, "select 1, 2")
    with pytest.raises(FactFault, match="more than 1 row"):
        await load(database, STRING, "select uid from members")


async def test_a_list_takes_every_row(database: Database) -> None:
    query = "select uid from members where doc = :doc order by uid"
    assert await load(database, ListOf(of=STRING), query, doc="7") == ["42", "66"]
    assert await load(database, ListOf(of=STRING), query, doc="8") == []
    assert await load(database, nullable(ListOf(of=STRING)), query, doc="8") == []
    records = ListOf(of=Record(fields={"uid": Member(type=STRING)}))
    assert await load(database, records, query, doc="7") == [{"uid": "42"}, {"uid": "66"}]


async def test_a_list_ends_at_its_bound(database: Database) -> None:
    query = "with recursive n(x) as (select 1 union all select x + 1 from n where x < :many) select x from n"
    assert await load(database, ListOf(of=INT), query, many=MAX_ROWS) == list(range(1, MAX_ROWS + 1))
    with pytest.raises(FactFault, match=r"^more than 1000 rows$"):
        await load(database, ListOf(of=INT), query, many=MAX_ROWS + 1)


async def test_rows_beyond_the_bound_are_never_read(database: Database) -> None:
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n"
    with pytest.raises(FactFault, match="more than 1000 rows"):
        await load(database, ListOf(of=INT), endless)


@pytest.mark.parametrize(("type_", "query", "expected"), [
    (MapOf(of=INT), """select '{"a": 1}'""", {"a": 1}),
    (Record(fields={"m": Member(type=MapOf(of=INT))}), """select '{"a": 1}' as m""", {"m": {"a": 1}}),
    (Record(fields={"r": Member(type=ACCOUNT)}), """select '{"tier": "x"}' as r""", {"r": {"tier": "x"}}),
    (Record(fields={"l": Member(type=nullable(ListOf(of=INT)))}), "select null as l", {"l": None}),
    (ListOf(of=ListOf(of=INT)), "select '[1]' union all select '[2]'", [[1], [2]]),
    (Record(fields={"raw": Member(type=ListOf(of=INT))}), "select raw from accounts where id = '66'", {"raw": []}),
    (MapOf(of=INT), "select 5", 5),
    (STRING, "select '[1]'", "[1]"),
    (ANY, "select '[1]'", "[1]"),
    (ANY, "select 2.5", 2.5),
    (ANY, "select null", None),
    (DOUBLE, "select score from accounts where id = '66'", 2.0),
    (BOOL, "select 7", 7),
    (BOOL, "select '1'", "1"),
    (INT, "select 1", 1),
])  # fmt: skip
async def test_a_column_is_read_as_its_type_wants(database: Database, type_: Type, query: str, expected: object) -> None:
    found = await load(database, type_, query)
    assert (found, type(found)) == (expected, type(expected))


async def test_text_that_is_no_json_is_a_misfit(database: Database) -> None:
    with pytest.raises(Misfit, match="expected JSON, found other text"):
        await load(database, ACCOUNT, ONE, uid="bad")


async def test_bytes_are_nothing_that_any_admits(database: Database) -> None:
    with pytest.raises(Misfit, match="expected a JSON value, found bytes"):
        await load(database, ANY, "select x'00'")


async def test_a_failing_query_is_a_fault_that_names_the_database_and_no_argument(database: Database) -> None:
    with pytest.raises(FactFault) as caught:
        await load(database, STRING, "select absent from accounts where id = :uid", uid="secret")
    assert str(caught.value) == "database main: no such column: absent"
    assert "secret" not in str(caught.value.__cause__)


async def test_the_database_cannot_be_written(database: Database) -> None:
    with pytest.raises(FactFault, match="readonly"):
        await load(database, STRING, "delete from accounts returning id")
    assert await load(database, INT, "select count(*) from accounts") == 3


async def test_a_file_that_is_missing_is_a_fault_and_is_not_created(tmp_path: Path) -> None:
    database = Database("main", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(FactFault, match=r"database main: there is no file .*none\.db"):
        await database.ping()
    await database.close()
    assert not (tmp_path / "none.db").exists()


async def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("text " * 1000)
    database = Database("main", f"sqlite+aiosqlite:///{tmp_path}/x.db?timeout=1")
    with pytest.raises(FactFault, match="database main: file is not a database"):
        await load(database, INT, "select count(*) from accounts")
    await database.close()


async def test_a_database_that_answers_passes_the_ping(database: Database) -> None:
    await database.ping()


class Mute(Database):
    """A database that never answers."""

    async def rows(self, query: TextClause, arguments: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Sequence[object]]]:
        await asyncio.Event().wait()
        return await super().rows(query, arguments, limit)


async def test_a_database_that_does_not_answer_fails_the_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.facts.sql.PING_SECONDS", 0.01)
    with pytest.raises(FactFault, match=r"database main: no answer within 0\.01 s"):
        await Mute("main", "sqlite:///x").ping()


async def test_a_cancelled_query_is_interrupted_and_its_connection_serves_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.facts.sql.CONNECTIONS", 1)
    database = Database("main", f"sqlite:///{quote(str(path))}")
    await database.ping()
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await load(database, INT, endless)
    async with asyncio.timeout(5):
        assert await load(database, INT, "select 1") == 1
    await database.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite+nothing:///x", "oracle://u:secret@h/x", "postgresql://u:secret@h/x"])
def test_an_address_that_cannot_be_used_stops_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(SetupFault, match="the URL of the policy's database main cannot be used") as caught:
        Database("main", url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("query", "parameters"), [("select :a, :b", ("a",)), ("select :a", ("a", "b"))])
def test_a_query_whose_names_are_not_the_parameters_stops_the_start(path: Path, query: str, parameters: tuple[str, ...]) -> None:
    with pytest.raises(SetupFault, match="the query of the policy's fact it and its parameters differ in b"):
        Query(declare(INT, *parameters), query, Database("main", f"sqlite:///{quote(str(path))}"))
