import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import Away, FactFault
from proxy.facts import postgres as module
from proxy.facts.database import Database
from proxy.facts.postgres import Listener, read
from proxy.facts.sql import Query
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, STRING, ListOf, MapOf, Member, Misfit, Record, Type, nullable
from tests.facts.scene import declare
from tests.live.postgres import Postgres

TABLES = """
drop table if exists accounts, members;
create table accounts (id text primary key, number bigint, roles text[], suspended boolean, extra jsonb, key uuid);
insert into accounts values
  ('42', 42, '{member,editor}', false, '{"a": 1}', '0b0e9f2c-7d4b-4a3e-9c55-2f1a6f0c1d2e'), ('66', 66, '{}', true, null, null);
create table members (doc text, uid text);
insert into members values ('7', '42'), ('7', '66'), ('8', '42');
"""
ACCOUNT = Record(fields={"roles": Member(type=ListOf(of=STRING)), "suspended": Member(type=BOOL), "extra": Member(type=nullable(ANY))})
ONE = "select roles, suspended, extra from accounts where id = :uid"


@pytest.fixture
async def admin(server: Postgres) -> AsyncIterator[Any]:
    """A connection that may write."""
    connection = await asyncpg.connect(server.url)
    await connection.execute(TABLES)
    yield connection
    connection.terminate()


@pytest.fixture
async def database(server: Postgres, admin: Any) -> AsyncIterator[Database]:  # noqa: ANN401 - asyncpg has no types
    assert not admin.is_closed()
    database = Database("main", server.url)
    yield database
    await database.close()


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    """Asks again and again; the question itself waits for the server."""
    async with asyncio.timeout(20):
        while not await holds():
            pass


async def load(database: Database, type_: Type, query: str, **arguments: object) -> object:
    takes = {name: {int: INT, bool: BOOL}.get(type(value), STRING) for name, value in arguments.items()}
    return await Query(declare(type_, takes), query, database)(tuple(arguments.values()))


async def test_a_row_becomes_a_record(database: Database) -> None:
    assert await load(database, ACCOUNT, ONE, uid="42") == {"roles": ["member", "editor"], "suspended": False, "extra": {"a": 1}}
    assert await load(database, nullable(ACCOUNT), ONE, uid="66") == {"roles": [], "suspended": True, "extra": None}
    assert await load(database, nullable(ACCOUNT), ONE, uid="99") is None


async def test_rows_are_bounded_as_everywhere(database: Database) -> None:
    with pytest.raises(FactFault, match=r"^more than 1 row$"):
        await load(database, STRING, "select uid from members")
    numbers = "select generate_series(1, :many)"
    assert await load(database, ListOf(of=INT), numbers, many=1000) == [*range(1, 1001)]
    with pytest.raises(FactFault, match=r"^more than 1000 rows$"):
        await load(database, ListOf(of=INT), numbers, many=1_000_000_000)
    with pytest.raises(FactFault, match="two columns of one name"):
        await load(database, ACCOUNT, "select id, number as id from accounts where id = '42'")


MOMENT = "timestamptz '2026-01-02 03:04:05.678+00'"


@pytest.mark.parametrize(("type_", "value", "expected"), [
    (INT, "1::smallint", 1),
    (INT, "9223372036854775807", 2**63 - 1),
    (INT, "12.0::numeric", 12),
    (INT, "1.5::numeric", "1.5"),
    (INT, MOMENT, 1_767_323_045_678),
    (INT, "timestamptz '1969-12-31 23:59:59.999+00'", -1),
    (DOUBLE, "1.5::numeric", 1.5),
    (DOUBLE, "1.5::real", 1.5),
    (BOOL, "1 = 1", True),
    (BOOL, "1", True),
    (STRING, "'a'::varchar", "a"),
    (STRING, "1.50::numeric", "1.50"),
    (STRING, "1e30::numeric", "1" + "0" * 30),
    (STRING, "'0B0E9F2C-7D4B-4A3E-9C55-2F1A6F0C1D2E'::uuid", "0b0e9f2c-7d4b-4a3e-9c55-2f1a6f0c1d2e"),
    (STRING, MOMENT, "2026-01-02T03:04:05.678000+00:00"),
    (STRING, "timestamp '2026-01-02 03:04:05'", "2026-01-02T03:04:05"),
    (STRING, "date '2026-01-02'", "2026-01-02"),
    (STRING, "time '03:04'", "03:04:00"),
    (STRING, "'\"x\"'::jsonb", "x"),
    (MapOf(of=INT), "'{\"a\": 1}'::json", {"a": 1}),
    (MapOf(of=INT), "'{\"a\": 1}'::text", {"a": 1}),
    (Record(fields={"v": Member(type=ListOf(of=INT))}), "array[1, 2]", {"v": [1, 2]}),
    (Record(fields={"v": Member(type=ListOf(of=ListOf(of=INT)))}), "array[[1, 2], [3, 4]]", {"v": [[1, 2], [3, 4]]}),
    (Record(fields={"v": Member(type=ListOf(of=DOUBLE))}), "array[1.5, 2]", {"v": [1.5, 2.0]}),
    (Record(fields={"v": Member(type=ListOf(of=MapOf(of=INT)))}), "'[{\"a\": 1}]'::jsonb", {"v": [{"a": 1}]}),
    (ANY, "null", None),
    (ANY, "'[1, {\"a\": null}]'::jsonb", [1, {"a": None}]),
    (ANY, "array[1.5, 2]::numeric[]", [1.5, 2.0]),
    (ANY, MOMENT, "2026-01-02T03:04:05.678000+00:00"),
])  # fmt: skip
async def test_a_column_is_read_as_its_type_wants(database: Database, type_: Type, value: str, expected: object) -> None:
    found = await load(database, type_, f"select {value} as v")
    assert (str(found), type(found).__name__) == (
        str(expected),
        "Decimal" if value == "1.5::numeric" and type_ == INT else type(expected).__name__,
    )


@pytest.mark.parametrize(("type_", "value"), [
    (DOUBLE, "'NaN'::numeric"), (DOUBLE, "'infinity'::float8"), (ANY, "'NaN'::float8"), (ANY, "interval '1 s'"), (ANY, "'x'::bytea"),
    (INT, "timestamp '2026-01-02 03:04:05'"), (INT, "1.5::numeric"), (STRING, "1"), (STRING, "interval '1 s'"), (BOOL, "2"),
    (MapOf(of=INT), "row(1, 2)"), (ListOf(of=INT), "'no json'::text"), (STRING, "inet '127.0.0.1'"),
])  # fmt: skip
async def test_a_value_that_does_not_suit_the_type_is_a_misfit(database: Database, type_: Type, value: str) -> None:
    wanted = Record(fields={"v": Member(type=type_)})
    with pytest.raises(Misfit, match="expected "):
        declare(wanted).fit(await load(database, wanted, f"select {value} as v"))


async def test_arguments_are_bound_with_their_types_and_cast_where_the_column_has_another(database: Database) -> None:
    assert await load(database, STRING, "select id from accounts where number = :number", number=42) == "42"
    assert await load(database, STRING, "select id from accounts where number = cast(:uid as bigint)", uid="42") == "42"
    assert await load(database, STRING, "select id from accounts where number = :uid::bigint", uid="42") == "42"
    key = "0b0e9f2c-7d4b-4a3e-9c55-2f1a6f0c1d2e"
    assert await load(database, STRING, "select id from accounts where key = cast(:key as uuid)", key=key) == "42"
    assert await load(database, STRING, "select id from accounts where suspended = :held", held=True) == "66"
    with pytest.raises(FactFault, match="operator does not exist: bigint = character varying"):
        await load(database, STRING, "select id from accounts where number = :uid", uid="42")


@pytest.mark.parametrize("uid", ["secret\0", "secret\ud800", "secret"])
async def test_an_argument_that_the_database_refuses_is_a_fault_that_does_not_repeat_it(database: Database, uid: str) -> None:
    with pytest.raises(FactFault, match=r"^database main: \w+$") as caught:
        await load(database, INT, "select cast(:uid as int)", uid=uid)
    assert not isinstance(caught.value, Away)


async def test_the_database_cannot_be_written(database: Database, admin: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    await admin.execute("create or replace function sweep() returns int language sql as 'delete from members; select 1'")
    with pytest.raises(FactFault, match="cannot execute DELETE in a read-only transaction"):
        await load(database, INT, "select sweep()")
    with pytest.raises(FactFault, match="syntax error"):
        await load(database, STRING, "delete from members returning uid")
    with pytest.raises(FactFault, match="cannot insert multiple commands"):
        await load(database, STRING, "select 1) as x; delete from members; select * from (select 1")
    assert await admin.fetchval("select count(*) from members") == 3


MEMBERS = ListOf(of=Record(fields={"uid": Member(type=STRING)}))


@pytest.mark.parametrize(("type_", "query"), [
    (nullable(ACCOUNT), ONE),
    (BOOL, "select suspended from accounts where id = :uid;"),
    (INT, "select count(*) from members where uid = :uid"),
    (STRING, "select doc from members where :uid <> 'x'"),
    (ACCOUNT, "select id, number as id from accounts where id = :uid"),
    (MEMBERS, "select uid from members where uid <> :uid order by uid desc, doc -- the end"),
    (ListOf(of=STRING), "with m as (select * from members) select uid from m where :uid in (doc, uid) order by uid, doc"),
    (INT, "select number from accounts where number = cast(:uid as bigint)"),
    (STRING, "select 'x:' || :uid || ':uid'"),
])  # fmt: skip
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(st.sampled_from(["42", "66", "7", "", "x", "' or ''='", "ü", "\0"]), min_size=2, max_size=8))
async def test_many_keys_give_what_each_gives_alone(server: Postgres, admin: Any, type_: Type, query: str, keys: list[str]) -> None:  # noqa: ANN401
    assert not admin.is_closed()
    database = Database("main", server.url)
    one, many = Query(declare(type_), query, database), Query(declare(type_, batch=8), query, database)
    pairs = [(key,) for key in keys]
    alone = await asyncio.gather(*(one(key) for key in pairs), return_exceptions=True)
    try:
        together: Sequence[object] = await many.many(pairs)
    except FactFault:
        assert any(isinstance(each, FactFault) for each in alone)
    else:
        assert [repr(each) for each in together] == [repr(each) for each in alone]
    await database.close()


async def test_the_largest_batch_is_one_that_postgresql_takes(database: Database) -> None:
    query = Query(declare(STRING, batch=500), ONE.replace("roles, suspended, extra", "id"), database)
    await query.probe()
    assert await query.many([("42",), ("66",)] * 250) == ["42", "66"] * 250


async def test_a_query_that_is_too_slow_ends_on_the_server(server: Postgres, admin: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    database = Database("main", server.url, timeout_ms=50)
    with pytest.raises(Away, match="canceling statement due to statement timeout"):
        await load(database, BOOL, "select pg_sleep(60) is null")
    await database.close()
    assert not admin.is_closed()


async def test_a_cancelled_query_ends_on_the_server(database: Database, admin: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    await admin.execute("select pg_advisory_lock(7)")
    task = asyncio.create_task(load(database, BOOL, "select pg_advisory_lock(7) is null"))
    waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted"
    await eventually(lambda: admin.fetchval(waiting))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: admin.fetchval(f"select not exists({waiting})"))
    await admin.execute("select pg_advisory_unlock(7)")
    assert await load(database, INT, "select 1") == 1


async def test_a_restarted_database_is_used_again_at_once(database: Database, server: Postgres) -> None:
    assert await asyncio.gather(*(load(database, INT, "select 1") for _ in range(4))) == [1] * 4
    server.stop()
    server.start()
    assert await asyncio.gather(*(load(database, INT, "select 1") for _ in range(4))) == [1] * 4


async def test_a_database_that_is_away_is_a_fault_without_its_password(server: Postgres) -> None:
    database = Database("main", server.url)
    assert await load(database, INT, "select 1") == 1
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(Away, match=r"^database main: ") as caught:
                await load(database, INT, "select 1")
            assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
        with pytest.raises(Away):
            await database.ping()
    finally:
        server.start()
    await database.ping()
    await database.close()
    wrong = Database("main", server.url.replace("postgres-secret", "wrong-secret"))
    with pytest.raises(Away, match="password authentication failed") as caught:
        await wrong.ping()
    assert "secret" not in str(caught.value)
    await wrong.close()


async def test_a_connection_that_breaks_twice_is_away(database: Database) -> None:
    with pytest.raises(Away, match=r"terminating connection|connection was closed|Connection"):
        await load(database, BOOL, "select pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(("payload", "topics"), [
    ("account:42", ["account:42"]), ('["a", "b"]', ["a", "b"]), ("[]", []), ('{"a": 1}', ['{"a": 1}']), ("", None),
    ("[1]", None), ('["a"', None),
])  # fmt: skip
def test_a_notification_is_a_topic_or_a_json_list_of_them(payload: str, topics: Sequence[str] | None) -> None:
    assert read(payload) == topics


class Ear:
    """Notes what a listener says."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[object] = asyncio.Queue()

    async def next(self) -> object:
        async with asyncio.timeout(20):
            return await self.said.get()


@pytest.fixture
async def listen(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Awaitable[Ear]]]:
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.01, 0.02))
    tasks = []

    async def begin() -> Ear:
        ear = Ear()
        listener = Database("main", server.url).listener("changes", frozenset(("it",)))
        assert isinstance(listener, Listener)
        tasks.append(asyncio.create_task(listener.run(ear.said.put_nowait, lambda: ear.said.put_nowait("missed"))))
        assert await ear.next() == "missed"
        return ear

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_listener_hears_topics(listen: Callable[[], Awaitable[Ear]], admin: Any) -> None:  # noqa: ANN401 - asyncpg has no types
    ear = await listen()
    await admin.execute("select pg_notify('changes', 'account:42'), pg_notify('other', 'x')")
    assert await ear.next() == ["account:42"]
    await admin.execute("""select pg_notify('changes', '["a", "b"]')""")
    assert await ear.next() == ["a", "b"]
    await admin.execute("notify changes")
    assert await ear.next() == "missed"


async def test_a_listener_that_was_cut_off_listens_again_and_says_that_it_missed(
    listen: Callable[[], Awaitable[Ear]], server: Postgres
) -> None:
    ear = await listen()
    for mode in ("fast", "immediate"):
        server.stop(mode=mode)
        server.start()
        assert await ear.next() == "missed"
    connection = await asyncpg.connect(server.url)
    await connection.execute("notify changes, 'x'")
    assert await ear.next() == ["x"]
    connection.terminate()


async def test_whatever_goes_wrong_it_listens_again(listen: Callable[[], Awaitable[Ear]], monkeypatch: pytest.MonkeyPatch) -> None:
    open_, opened = module.Postgres.listening, 0

    async def odd(postgres: module.Postgres) -> Any:  # noqa: ANN401 - asyncpg has no types
        nonlocal opened
        opened += 1
        if opened == 1:
            raise LookupError("nobody foresaw it")
        return await open_(postgres)

    monkeypatch.setattr(module.Postgres, "listening", odd)
    await listen()
    assert opened == 2


async def test_a_connection_that_only_listens_is_asked_whether_it_stands(
    listen: Callable[[], Awaitable[Ear]],
    admin: Any,  # noqa: ANN401 - asyncpg has no types
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.001)
    ear = await listen()
    asked = "select count(*) from pg_stat_activity where query = 'select 1' and application_name = 'centrigate'"
    await eventually(lambda: admin.fetchval(asked))
    await admin.execute("notify changes, 'x'")
    assert await ear.next() == ["x"]
