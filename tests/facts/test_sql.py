import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import Away, FactFault
from proxy.facts.batch import Batch
from proxy.facts.database import Database
from proxy.facts.lane import FAILURES
from proxy.facts.rows import MAX_ROWS
from proxy.facts.sql import Query, loader
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, STRING, ListOf, MapOf, Member, Misfit, Record, Type, nullable
from tests.facts.scene import declare

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


async def load(database: Database, type_: Type, query: str, **arguments: object) -> object:
    takes = {name: {int: INT, bool: BOOL}.get(type(value), STRING) for name, value in arguments.items()}
    return await Query(declare(type_, takes), query, database)(tuple(arguments.values()))


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


async def test_a_fact_whose_database_is_away_is_out_of_order_after_some_failures_and_soon_serves_again(path: Path) -> None:
    database = Database("main", f"sqlite:///{quote(str(path))}")
    query = Query(declare(INT, {}), "select 1", database)
    gone = await asyncio.to_thread(path.rename, path.with_suffix(".gone"))
    for _ in range(FAILURES):
        with pytest.raises(Away, match="there is no file"):
            await query(())
    with pytest.raises(Away, match=r"^fact it: out of order$"):
        await query(())
    await asyncio.to_thread(gone.rename, path)
    query._lane._until = 0
    assert await query(()) == 1
    await database.close()


async def test_a_query_that_fails_puts_no_fact_out_of_order(database: Database) -> None:
    query = Query(declare(INT), "select iif(:uid = 'bad', abs(-9223372036854775808), 1)", database)
    for _ in range(2 * FAILURES):
        with pytest.raises(FactFault, match="overflow"):
            await query(("bad",))
    assert await query(("42",)) == 1


async def test_a_slow_fact_holds_up_no_other_of_its_database(database: Database) -> None:
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    slow = Query(declare(INT, {}), endless, database)
    tasks = [asyncio.create_task(slow(())) for _ in range(20)]
    async with asyncio.timeout(20):
        assert await load(database, INT, "select count(*) from accounts") == 3
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_database_cannot_be_written(database: Database) -> None:
    with pytest.raises(FactFault, match="readonly"):
        await load(database, STRING, "delete from accounts returning id")
    assert await load(database, INT, "select count(*) from accounts") == 3


@pytest.mark.parametrize(("query", "expected"), [
    ("select ':uid' || ':x' || \"a:b\" from (select 1 as \"a:b\") where :uid = 'x' -- :nothing", ":uid:x1"),
    ("select :uid /* :no */ || '\\:d' ;", "x\\:d"),
    ("select 'it''s :uid' where :uid is not null", "it's :uid"),
])  # fmt: skip
async def test_a_colon_in_quotes_and_comments_is_no_parameter(database: Database, query: str, expected: str) -> None:
    assert await load(database, STRING, query, uid="x") == expected


MEMBERS = ListOf(of=Record(fields={"uid": Member(type=STRING)}))


def both(database: Database, type_: Type, query: str, takes: Mapping[str, Type]) -> tuple[Query, Query]:
    """The same fact for one key and for many."""
    return Query(declare(type_, takes), query, database), Query(declare(type_, takes, batch=8), query, database)


async def alone(query: Query, keys: Sequence[Sequence[object]]) -> list[str]:
    return [repr(each) for each in await asyncio.gather(*(query(key) for key in keys), return_exceptions=True)]


@pytest.mark.parametrize(("type_", "query"), [
    (nullable(ACCOUNT), ONE),
    (BOOL, "select suspended from accounts where id = :uid"),
    (INT, "select count(*) from members where uid = :uid"),
    (STRING, "select doc from members where :uid <> 'x'"),
    (ACCOUNT, "select id, tier as id from accounts where id = :uid"),
    (INT, "select 1, 2 where :uid = '42'"),
    (MEMBERS, "select uid from members where uid <> :uid order by uid desc"),
    (ListOf(of=STRING), "with m as (select * from members) select uid from m where :uid in (doc, uid) order by uid -- the end"),
    (ANY, "select score from accounts where id = :uid;"),
    (ListOf(of=INT), "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1001 + (:uid = '42')) select x - 1 from n"),
])  # fmt: skip
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(st.sampled_from(["42", "66", "bad", "7", "", "x", "' or ''='", "ü\0"]), min_size=2, max_size=8))
async def test_many_keys_give_what_each_gives_alone(path: Path, type_: Type, query: str, keys: list[str]) -> None:
    database = Database("main", f"sqlite:///{quote(str(path))}")
    one, many = both(database, type_, query, {"uid": STRING})
    pairs = [(key,) for key in keys]
    assert [repr(each) for each in await many.many(pairs)] == await alone(one, pairs)
    await database.close()


async def test_many_keys_of_several_parameters_keep_their_types(database: Database) -> None:
    takes = {"a": INT, "a_0": BOOL, "b": STRING}
    one, many = both(database, ListOf(of=ANY), "select typeof(:a) || :a || :a_0 || typeof(:b) || :b", takes)
    keys = [(n, n % 2 == 0, str(n)) for n in range(8)]
    assert [repr(each) for each in await many.many(keys)] == await alone(one, keys)
    assert await many.many(keys[:2]) == [["integer01text0"], ["integer10text1"]]


async def test_sizes_are_powers_of_two_up_to_the_most(database: Database) -> None:
    query = Query(declare(STRING, batch=6), "select :uid", database)
    for size in range(2, 7):
        keys = [(str(n),) for n in range(size)]
        assert await query.many(keys) == [str(n) for n in range(size)]
    assert {*query._sizes} == {2, 4, 6}


async def test_the_largest_batch_is_one_that_sqlite_takes(database: Database) -> None:
    query = Query(declare(INT, {"uid": INT}, batch=500), "select :uid", database)
    await query.probe()
    assert await query.many([(n,) for n in range(500)]) == [*range(500)]


async def test_a_fact_with_a_batch_asks_for_many_keys_at_once(database: Database) -> None:
    one = loader(declare(nullable(ACCOUNT)), ONE, database)
    many = loader(declare(nullable(ACCOUNT), batch=100), ONE, database)
    assert isinstance(one, Query)
    assert isinstance(many, Batch)
    keys = [("42",), ("bad",), ("99",), ("66",)]
    found = await asyncio.gather(*(many(key) for key in keys), return_exceptions=True)
    assert [repr(each) for each in found] == await alone(one, keys)


@pytest.mark.parametrize(("type_", "query", "trouble"), [
    (ACCOUNT, ONE, ""),
    (ACCOUNT, "select suspended, roles from accounts where id = :uid", ""),
    (ACCOUNT, "select suspended from accounts where id = :uid", "there is no column roles"),
    (ACCOUNT, "select *, tier as id from accounts where id = :uid", "two columns of one name"),
    (INT, "select id, tier from accounts where id = :uid", "expected one column, found 2"),
    (ListOf(of=Record(fields={"a": Member(type=INT), "b": Member(type=INT)})), "select :uid as c", "there is no column a, b"),
    (INT, "select absent from accounts where id = :uid", "no such column: absent"),
    (INT, "selct 1 where :uid", 'near "1": syntax error'),
])  # fmt: skip
async def test_a_probe_says_what_is_wrong_with_a_query(database: Database, type_: Type, query: str, trouble: str) -> None:
    for batch in (1, 10):
        probed = loader(declare(type_, batch=batch), query, database)
        if not trouble:
            await probed.probe()
            continue
        with pytest.raises(FactFault) as caught:
            await probed.probe()
        assert str(caught.value) == f"database main: {trouble}"


async def test_a_probe_runs_nothing(database: Database) -> None:
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    async with asyncio.timeout(5):
        await Query(declare(INT, {}, batch=2), endless, database).probe()
