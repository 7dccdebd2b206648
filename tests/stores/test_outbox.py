"""What an outbox keeps, in a SQLite file and in a real PostgreSQL; and what is handed to Centrifugo, there and in a real Redis."""

import asyncio
import json
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis as Client

from proxy.errors import DeliveryFault, SetupFault
from proxy.stores import outbox_postgres
from proxy.stores.outbox import PAGE_BYTES, Draft, Fate, Letter, Message, Numbers, Settlement, Store
from proxy.stores.outbox_postgres import PostgresOutbox
from proxy.stores.outbox_sqlite import SqliteOutbox
from proxy.stores.outbox_stream import StreamOutbox
from proxy.stores.outbox_table import TableOutbox
from proxy.stores.outboxes import outbox
from tests.live.postgres import Postgres, postgres
from tests.live.redis import Redis, redis

DAY_MS = 86_400_000


def draft(channel: str, n: int = 0, key: bytes | None = None) -> Draft:
    return Draft(channel=channel, key=key, body=b'{"n":%d}' % n)


def settled(*ids: int, fate: Fate = Fate.delivered, reason: str = "") -> list[Settlement]:
    return [Settlement(id=each, fate=fate, reason=reason) for each in ids]


def told(messages: Sequence[Message]) -> list[tuple[str, bytes]]:
    return [(each.channel, each.body) for each in messages]


class Places:
    """A database, and as many outboxes in it as are asked for."""

    def __init__(self, make: Callable[[], Store]) -> None:
        self.make = make

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = self.make()
        await store.open()
        try:
            yield store
        finally:
            await store.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def broker() -> Iterator[Redis]:
    with redis() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
async def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "sqlite":
        return Places(lambda: outbox(f"sqlite:///{tmp_path}/new/outbox.db"))
    running: Postgres = request.getfixturevalue("server")
    name = f"outbox_{os.getpid()}_{abs(hash(tmp_path))}"
    connection = await asyncpg.connect(running.url)
    await connection.execute(f"create database {name}")
    await connection.close()
    return Places(lambda: outbox(running.url.removesuffix("postgres") + name))


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    async with places.opened() as opened:
        yield opened


async def test_what_was_written_is_read_in_order(store: Store) -> None:
    assert await store.write([draft("a", 1), draft("b", 2)], [], 1000) == 2
    assert await store.write([draft("a", 3)], [], 2000) == 1
    messages = await store.after(0, 10)
    assert told(messages) == [("a", b'{"n":1}'), ("b", b'{"n":2}'), ("a", b'{"n":3}')]
    assert [each.accepted_ms for each in messages] == [1000, 1000, 2000]
    assert sorted(each.id for each in messages) == [each.id for each in messages]


async def test_it_survives_the_end_of_who_wrote_it(places: Places) -> None:
    async with places.opened() as first:
        await first.write([draft("a", 1)], [], 0)
    async with places.opened() as second:
        assert told(await second.after(0, 10)) == [("a", b'{"n":1}')]


async def test_a_page_begins_behind_the_cursor_and_ends_at_the_limit(store: Store) -> None:
    await store.write([draft("a", n) for n in range(5)], [], 0)
    first, second = await store.after(0, 2)
    assert told(await store.after(second.id, 2)) == [("a", b'{"n":2}'), ("a", b'{"n":3}')]
    assert first.id < second.id


async def test_a_page_ends_when_its_bodies_are_long_but_has_one_message_at_least(store: Store) -> None:
    long = Draft(channel="a", key=None, body=b"x" * (PAGE_BYTES // 2 + 1))
    await store.write([long, long, long], [], 0)
    assert len(await store.after(0, 10)) == 2
    await store.write([Draft(channel="b", key=None, body=b"x" * (PAGE_BYTES + 1)), draft("b")], [], 0)
    assert len(await store.of("b", 0, 10**9, 10)) == 1


async def test_a_channel_is_read_within_a_range(store: Store) -> None:
    await store.write([draft("a", 1), draft("b", 2), draft("a", 3), draft("a", 4), draft("a", 5)], [], 0)
    ids = [each.id for each in await store.after(0, 10)]
    assert told(await store.of("a", ids[0], ids[3], 10)) == [("a", b'{"n":3}'), ("a", b'{"n":4}')]
    assert told(await store.of("a", 0, ids[4], 1)) == [("a", b'{"n":1}')]


async def test_what_was_delivered_is_gone(store: Store) -> None:
    await store.write([draft("a", 1), draft("a", 2)], [], 0)
    first, second = await store.after(0, 10)
    await store.write([], settled(first.id), 0)
    assert [each.id for each in await store.after(0, 10)] == [second.id]


async def test_an_id_is_not_given_twice(store: Store) -> None:
    await store.write([draft("a", 1)], [], 0)
    (first,) = await store.after(0, 10)
    await store.write([], settled(first.id), 0)
    await store.write([draft("a", 2)], [], 0)
    assert told(await store.after(first.id, 10)) == [("a", b'{"n":2}')]


async def test_a_key_that_waits_in_its_channel_is_not_accepted_again(store: Store) -> None:
    assert await store.write([draft("a", 1, b"k"), draft("a", 2, b"k"), draft("b", 3, b"k")], [], 0) == 2
    assert await store.write([draft("a", 4, b"k"), draft("a", 5), draft("a", 6)], [], 0) == 2
    assert [each.body for each in await store.after(0, 10)] == [b'{"n":1}', b'{"n":3}', b'{"n":5}', b'{"n":6}']


async def test_a_key_may_hold_any_byte(store: Store) -> None:
    assert await store.write([draft("a", 1, b"\0"), draft("a", 1, b"\xff")], [], 0) == 2


async def test_a_key_may_come_again_when_its_message_is_gone(store: Store) -> None:
    await store.write([draft("a", 1, b"k"), draft("b", 1, b"k")], [], 0)
    first, second = await store.after(0, 10)
    await store.write([], [*settled(first.id), *settled(second.id, fate=Fate.dead)], 0)
    assert await store.write([draft("a", 2, b"k"), draft("b", 2, b"k")], [], 0) == 2


async def test_the_numbers_are_counted(store: Store) -> None:
    assert await store.numbers() == Numbers(waiting=0, dead=0, oldest_ms=None)
    await store.write([draft("a", 1)], [], 1000)
    await store.write([draft("a", 2), draft("a", 3)], [], 2000)
    first, second, _ = await store.after(0, 10)
    await store.write([], [*settled(first.id, fate=Fate.dead), *settled(second.id)], 3000)
    assert await store.numbers() == Numbers(waiting=1, dead=1, oldest_ms=2000)


async def test_a_message_that_is_kept_counts_its_attempts_until_it_dies(store: Store) -> None:
    await store.write([draft("a", 1)], [], 1000)
    (message,) = await store.after(0, 10)
    await store.write([], settled(message.id, fate=Fate.kept, reason="away"), 2000)
    assert await store.after(0, 10) == [message]
    await store.write([], settled(message.id, fate=Fate.dead, reason="error 102: unknown channel"), 3000)
    assert await store.after(0, 10) == []
    letter = Letter(id=message.id, channel="a", accepted_ms=1000, died_ms=3000, attempts=2, reason="error 102: unknown channel")
    assert [*await store.letters()] == [letter]


async def test_a_message_that_dies_twice_is_one_dead_letter(store: Store) -> None:
    await store.write([draft("a", 1)], [], 1000)
    (message,) = await store.after(0, 10)
    await store.write([], settled(message.id, message.id, fate=Fate.dead, reason="no"), 2000)
    assert [(each.id, each.attempts) for each in await store.letters()] == [(message.id, 1)]
    assert (await store.numbers()).waiting == 0


async def test_dead_letters_are_listed_from_the_latest_on(store: Store) -> None:
    await store.write([draft("a", 1), draft("b", 2), draft("c", 3)], [], 0)
    first, second, third = await store.after(0, 10)
    await store.write([], settled(second.id, fate=Fate.dead), 1)
    await store.write([], settled(first.id, third.id, fate=Fate.dead), 2)
    assert [each.channel for each in await store.letters()] == ["c", "a", "b"]


async def test_a_dead_letter_is_forgotten_after_a_week(store: Store) -> None:
    await store.write([draft("a", 1), draft("b", 2), draft("c", 3)], [], 0)
    first, second, third = await store.after(0, 10)
    await store.write([], settled(first.id, fate=Fate.dead), 0)
    await store.write([], settled(second.id, fate=Fate.dead), 7 * DAY_MS)
    assert len(await store.letters()) == 2
    await store.write([], settled(third.id, fate=Fate.dead), 7 * DAY_MS + 1)
    assert [each.channel for each in await store.letters()] == ["c", "b"]


async def test_a_retried_letter_is_last_in_its_channel_and_new(store: Store) -> None:
    await store.write([draft("a", n) for n in range(3)], [], 0)
    first, second, third = await store.after(0, 10)
    await store.write([], settled(first.id, second.id, fate=Fate.dead), 0)
    assert await store.retry([second.id, 10**9], 5000) == [second.id]
    assert told(await store.after(0, 10)) == [("a", b'{"n":2}'), ("a", b'{"n":1}')]
    assert (await store.after(third.id, 10))[0].accepted_ms == 5000
    assert await store.retry(None, 6000) == [first.id]
    assert await store.numbers() == Numbers(waiting=3, dead=0, oldest_ms=0)
    assert await store.retry(None, 7000) == []


async def test_nothing_of_a_group_is_written_if_a_part_cannot_be(store: Store) -> None:
    await store.write([draft("a", 1)], [], 0)
    (message,) = await store.after(0, 10)
    with pytest.raises(DeliveryFault):
        await store.write([draft("a", 2), Draft(channel=None, key=None, body=b"")], settled(message.id), 0)  # type: ignore[arg-type]
    assert await store.after(0, 10) == [message]


async def test_one_leads_until_it_ends(places: Places) -> None:
    async with places.opened() as second:
        async with places.opened() as first:
            assert await first.lead() > 1
            assert await first.lead() > 1
            assert await second.lead() == 0
        assert await second.lead() > 1


async def test_it_says_whether_it_can_be_written(store: Store) -> None:
    assert await store.write((), (), 1) == 0
    assert await store.write((), (), 2) == 0


async def test_two_open_it_at_once(places: Places) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(_visit(places))


async def _visit(places: Places) -> None:
    async with places.opened() as store:
        await store.write([draft("a")], [], 0)


async def test_a_newer_schema_is_refused(places: Places, tmp_path: Path) -> None:
    async with places.opened() as store:
        if isinstance(store, PostgresOutbox):
            async with store._pool.connection() as connection:
                await connection.execute("update centrigate_outbox_schema set version = 2")
    if isinstance(places.make(), SqliteOutbox):
        with sqlite3.connect(tmp_path / "new" / "outbox.db") as db:
            db.execute("update outbox_schema set version = 2")
        db.close()
    refused = places.make()
    with pytest.raises(SetupFault, match=r"written by a newer version \(schema 2, this one knows 1\)"):
        await refused.open()
    await refused.close()


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


class TestSqlite:
    async def test_a_file_that_is_no_database_is_refused_and_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "notes.txt"
        file.write_text("not a database, but long enough to be taken for one" * 20)
        store = SqliteOutbox(file)
        with pytest.raises(SetupFault, match="not a database"):
            await store.open()
        await store.close()
        assert file.read_text().startswith("not a database")

    async def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        store = SqliteOutbox(tmp_path / "file" / "outbox.db")
        with pytest.raises(SetupFault, match="CENTRIGATE_STORE_URL cannot be opened"):
            await store.open()
        await store.close()

    async def test_nobody_else_may_read_the_files(self, tmp_path: Path) -> None:
        async with Places(lambda: SqliteOutbox(tmp_path / "outbox.db")).opened() as store:
            await store.write([draft("a")], [], 0)
            assert modes(tmp_path) == dict.fromkeys(("outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db.lead"), 0o600)

    async def test_every_commit_is_synchronised(self, tmp_path: Path) -> None:
        store = SqliteOutbox(tmp_path / "outbox.db")
        await store.open()
        modes = await store._run(lambda: [store._db.execute(f"pragma {each}").fetchone()[0] for each in ("journal_mode", "synchronous")])
        assert modes == ["wal", 2]
        await store.close()

    async def test_a_full_disk_is_a_fault_and_room_lets_it_go_on(self, tmp_path: Path) -> None:
        store = SqliteOutbox(tmp_path / "outbox.db")
        await store.open()
        await store._run(lambda: store._db.execute("pragma max_page_count = 30"))
        bulky = Draft(channel="a", key=None, body=b"x" * 40_000)
        await store.write([bulky], [], 0)
        with pytest.raises(DeliveryFault, match="full"):
            await store.write([bulky, bulky], [], 0)
        (message,) = await store.after(0, 10)
        await store.write([], settled(message.id), 0)
        assert await store.write([bulky], [], 0) == 1
        await store.close()

    async def test_a_file_that_cannot_grow_is_a_fault(self, tmp_path: Path) -> None:
        store = SqliteOutbox(tmp_path / "outbox.db")
        await store.open()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(DeliveryFault, match="cannot be used"):
                await store.write([Draft(channel="a", key=None, body=b"x" * 200_000)], [], 0)
            with pytest.raises(DeliveryFault):
                await store.write([Draft(channel="a", key=None, body=b"x" * 200_000)], [], 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert await store.write([draft("a")], [], 0) == 1
        await store.close()

    async def test_a_file_that_somebody_holds_is_a_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.stores.outbox_sqlite.LOCKED_S", 0.01)
        async with Places(lambda: SqliteOutbox(tmp_path / "outbox.db")).opened() as store:
            holder = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
            holder.execute("begin immediate")
            with pytest.raises(DeliveryFault, match="locked"):
                await store.write([draft("a")], [], 0)
            holder.execute("rollback")
            holder.close()
            assert await store.write([draft("a")], [], 0) == 1


class TestTable:
    @pytest.fixture
    async def table(self, server: Postgres) -> AsyncIterator[tuple[Store, str]]:
        name = f"handed_{os.urandom(6).hex()}"
        store = outbox(f"{server.url}?table={name}&partitions=3")
        assert isinstance(store, TableOutbox)
        await store.open()
        yield store, name
        await store.close()

    async def test_what_is_handed_over_stands_there_in_order_for_centrifugo_alone(self, table: tuple[Store, str], server: Postgres) -> None:
        store, name = table
        assert await store.numbers() == Numbers(waiting=0, dead=0, oldest_ms=None)
        assert await store.write([draft("a", 1), draft("b", 2, b"k"), draft("a", 3)], [], 0) == 3
        connection = await asyncpg.connect(server.url)
        rows = await connection.fetch(f"select * from {name} order by id")  # noqa: S608 - ours
        oldest = min(row["created_at"] for row in rows)
        await connection.close()
        assert [(row["method"], row["payload"]) for row in rows] == [("publish", f'{{"n":{n}}}') for n in (1, 2, 3)]
        assert rows[0]["partition"] == rows[2]["partition"]
        assert {row["partition"] for row in rows} <= {0, 1, 2}
        found = await store.numbers()
        assert (found.waiting, found.dead) == (3, 0)
        assert found.oldest_ms == pytest.approx(oldest.timestamp() * 1000, abs=1)
        await nothing_is_ours(store)

    async def test_partitions_are_used_and_a_channel_stays_in_its_own(self, table: tuple[Store, str], server: Postgres) -> None:
        store, name = table
        await store.write([draft(f"c{n % 20}", n) for n in range(60)], [], 0)
        connection = await asyncpg.connect(server.url)
        rows = await connection.fetch(f"select * from {name}")  # noqa: S608 - ours
        await connection.close()
        used: dict[int, set[int]] = {}
        for row in rows:
            used.setdefault(json.loads(row["payload"])["n"] % 20, set()).add(row["partition"])
        assert {len(each) for each in used.values()} == {1}
        assert set.union(*used.values()) == {0, 1, 2}

    async def test_a_payload_that_the_database_would_change_is_refused(self, server: Postgres) -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute("create table changed (id bigserial primary key, method text, payload jsonb, partition integer)")
        await connection.close()
        store = outbox(f"{server.url}?table=changed&partitions=1")
        with pytest.raises(SetupFault, match="CENTRIGATE_HAND_OVER has a table changed whose payload is not json"):
            await store.open()
        await store.close()

    async def test_a_table_that_is_gone_is_a_fault(self, table: tuple[Store, str], server: Postgres) -> None:
        store, name = table
        await store.write((), (), 0)
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"drop table {name}")
        await connection.close()
        with pytest.raises(DeliveryFault, match="cannot be used"):
            await store.write((), (), 0)

    async def test_a_server_that_is_away_is_refused(self) -> None:
        store = outbox("postgresql://somebody:wonderland@127.0.0.1:1/db?table=t&partitions=1")
        with pytest.raises(SetupFault, match="the store of CENTRIGATE_HAND_OVER cannot be opened"):
            await store.open()
        await store.close()


class TestStream:
    @pytest.fixture
    async def stream(self, broker: Redis) -> AsyncIterator[tuple[Store, Client, str]]:
        name = f"handed-{os.urandom(6).hex()}"
        store = outbox(f"{broker.url}?stream={name}&group=g")
        assert isinstance(store, StreamOutbox)
        await store.open()
        client = Client.from_url(broker.url)
        yield store, client, name
        await client.aclose()
        await store.close()

    async def test_what_is_handed_over_is_read_from_the_first_on(self, stream: tuple[Store, Client, str]) -> None:
        store, client, name = stream
        assert await store.write([draft("a", 1), draft("b", 2)], [], 0) == 2
        await store.open()
        read: Any = await client.xreadgroup("g", "c", {name: ">"})
        assert [fields for _, fields in read[0][1]] == [{b"method": b"publish", b"payload": b'{"n":%d}' % n} for n in (1, 2)]
        await nothing_is_ours(store)

    async def test_what_is_done_is_counted_no_more_and_trimmed(self, stream: tuple[Store, Client, str]) -> None:
        store, client, name = stream
        assert await store.numbers() == Numbers(waiting=0, dead=0, oldest_ms=None)
        await store.write([draft("a", n) for n in range(500)], [], 0)
        found: Any = await client.xrange(name)
        ids: list[bytes] = [entry for entry, _ in found]

        async def numbers() -> tuple[int, int | None]:
            counted = await store.numbers()
            return counted.waiting, counted.oldest_ms

        assert await numbers() == (500, ms(ids[0]))
        await client.xreadgroup("g", "c", {name: ">"}, count=400)
        assert await numbers() == (500, ms(ids[0]))
        await client.xack(name, "g", *ids[:399])
        assert await numbers() == (101, ms(ids[399]))
        assert 101 <= await client.xlen(name) < 300
        await client.xack(name, "g", ids[399])
        assert await numbers() == (100, ms(ids[400]))
        await client.xreadgroup("g", "c", {name: ">"})
        await client.xack(name, "g", *ids)
        assert await numbers() == (0, None)

    async def test_what_redis_refuses_is_a_fault(self, stream: tuple[Store, Client, str]) -> None:
        store, client, name = stream
        await store.write((), (), 0)
        await client.xgroup_destroy(name, "g")
        with pytest.raises(DeliveryFault, match="KeyError"):
            await store.numbers()
        await client.set(name, "no stream")
        with pytest.raises(DeliveryFault, match="WRONGTYPE"):
            await store.write([draft("a")], [], 0)
        with pytest.raises(SetupFault, match=r"CENTRIGATE_HAND_OVER cannot be opened.*WRONGTYPE"):
            await store.open()

    async def test_a_redis_that_is_away_is_refused(self) -> None:
        store = outbox("redis://:wonderland@127.0.0.1:1/0?stream=s&group=g")
        with pytest.raises(SetupFault, match="cannot be opened") as caught:
            await store.open()
        assert "wonderland" not in str(caught.value)
        await store.close()


async def nothing_is_ours(store: Store) -> None:
    assert await store.lead() == 0
    for nothing in (await store.after(0, 9), await store.of("a", 0, 9, 9), await store.letters(), await store.retry(None, 0)):
        assert not nothing


def ms(entry: bytes) -> int:
    return int(entry.partition(b"-")[0])


class TestPostgres:
    async def test_a_server_that_is_away_is_refused_and_the_password_not_told(self) -> None:
        store = PostgresOutbox("postgresql://somebody:wonderland@127.0.0.1:1/db")
        with pytest.raises(SetupFault, match="cannot be opened") as caught:
            await store.open()
        assert "wonderland" not in str(caught.value)
        await store.close()
        with pytest.raises(DeliveryFault, match="closed"):
            await store.numbers()

    async def test_an_outage_is_a_fault_and_the_end_of_it_ends_it(self) -> None:
        with postgres() as own:
            store = PostgresOutbox(own.url)
            await store.open()
            await store.write([draft("a", 1)], [], 0)
            await asyncio.to_thread(own.stop, mode="immediate")
            with pytest.raises(DeliveryFault, match="cannot be used"):
                await store.write([draft("a", 2)], [], 0)
            await asyncio.to_thread(own.start)
            assert told(await store.after(0, 10)) == [("a", b'{"n":1}')]
            await asyncio.to_thread(own.stop, mode="immediate")
            await store.close()
            await asyncio.to_thread(own.start)

    async def test_a_lease_that_nobody_renews_ends(self, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_postgres, "LEASE_S", 0.001)
        places = Places(lambda: PostgresOutbox(server.url))
        async with places.opened() as first, places.opened() as second:
            assert await first.lead() > 0
            while not await second.lead():  # the clock is the server's
                await first.numbers()
            assert isinstance(second, PostgresOutbox)

    async def test_ids_become_visible_in_their_order(self, server: Postgres) -> None:
        places = Places(lambda: PostgresOutbox(server.url))
        async with places.opened() as first, places.opened() as second, places.opened() as third:
            writing = asyncio.gather(*(_many(store) for store in (first, second)))
            seen: list[int] = []
            while not writing.done():
                seen += [each.id for each in await third.after(seen[-1] if seen else 0, 1000)]
            await writing
            seen += [each.id for each in await third.after(seen[-1] if seen else 0, 1000)]
            assert seen == [each.id for each in await third.after(0, 1000)]
            assert len(seen) == 400


async def _many(store: Store) -> None:
    for n in range(100):
        await store.write([draft("order", n), draft("order", n)], [], 0)
