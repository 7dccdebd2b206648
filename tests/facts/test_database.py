import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import QueuePool, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from proxy.errors import Away, FactFault, SetupFault
from proxy.facts.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "people.db")
    connection.execute("create table accounts (id text)")
    connection.close()
    return tmp_path / "people.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database("main", f"sqlite:///{path}")
    yield database
    await database.close()


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
        await database.rows(text("select count(*) from accounts"), {}, 1)
    await database.close()


async def test_a_database_that_answers_passes_the_ping(database: Database) -> None:
    await database.ping()


class Mute(Database):
    """A database that never answers."""

    async def rows(self, query: TextClause, arguments: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Sequence[object]]]:
        await asyncio.Event().wait()
        return await super().rows(query, arguments, limit)


async def test_a_database_that_does_not_answer_fails_the_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.facts.database.PING_SECONDS", 0.01)
    with pytest.raises(FactFault, match=r"database main: no answer within 0\.01 s"):
        await Mute("main", "sqlite:///x").ping()


async def test_a_cancelled_query_is_interrupted_and_its_connection_serves_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.facts.database.WIDTH", 1)
    database = Database("main", f"sqlite:///{path}")
    await database.ping()
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await database.rows(text(endless), {}, 1)
    async with asyncio.timeout(5):
        assert (await database.rows(text("select 1"), {}, 1))[1] == [(1,)]
    await database.close()


@pytest.mark.parametrize("url", [
    "nonsense", "sqlite://", "sqlite+nothing:///x", "sqlite+pysqlite:///x", "oracle://u:secret@h/x", "postgresql://u:secret@h",
    "postgresql+psycopg://u:secret@h/x", "postgresql://u:secret@h/x?options=-csecret", "postgresql://u:secret@h:port/x",
])  # fmt: skip
def test_an_address_that_cannot_be_used_stops_the_start_and_is_not_repeated(url: str) -> None:
    with pytest.raises(SetupFault, match="the URL of the policy's database main cannot be used") as caught:
        Database("main", url)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["postgres://u:p%40@h:1/x?sslmode=require", "postgresql://u:p%40@h:1/x?ssl=require"])
def test_the_driver_of_postgresql_is_filled_in(url: str) -> None:
    kind = Database("main", url).kind
    assert kind.url.render_as_string(hide_password=False) == "postgresql+asyncpg://u:p%40@h:1/x?ssl=require"


def test_a_file_has_no_notifications() -> None:
    with pytest.raises(SetupFault, match="the policy's database main listens, which only PostgreSQL can"):
        Database("main", "sqlite:///x").listener("changes", frozenset())


class Slow(Database):
    """A database whose connections open when it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__("main", f"sqlite:///{path}")
        self.gate, self.opening = asyncio.Event(), asyncio.Event()

    async def _lend(self, lent: asyncio.Future[AsyncConnection]) -> None:
        self.opening.set()
        await self.gate.wait()
        await super()._lend(lent)


async def test_a_connection_that_is_opened_slowly_serves_the_next_who_asks(path: Path) -> None:
    database = Slow(path)
    early = asyncio.create_task(database.rows(text("select 1"), {}, 1))
    await database.opening.wait()
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early
    database.gate.set()
    await asyncio.gather(*database._tasks)
    assert cast("QueuePool", database._engine.pool).checkedin() == 1
    assert (await database.rows(text("select 1"), {}, 1))[1] == [(1,)]
    assert cast("QueuePool", database._engine.pool).checkedin() == 1
    await database.close()


async def test_who_gives_up_as_the_connection_comes_gives_it_back(path: Path) -> None:
    database = Database("main", f"sqlite:///{path}")
    lent: list[asyncio.Future[AsyncConnection]] = []
    lend = database._lend

    async def watched(future: asyncio.Future[AsyncConnection]) -> None:
        lent.append(future)
        await lend(future)
        task.cancel()

    database._lend = watched  # type: ignore[assignment, method-assign]  # to cancel at the very moment
    task = asyncio.create_task(database.rows(text("select 1"), {}, 1))
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.gather(*database._tasks)
    assert lent[0].result().closed
    assert cast("QueuePool", database._engine.pool).checkedin() == 1
    await database.close()


async def test_closing_waits_for_what_is_being_opened(path: Path) -> None:
    database = Slow(path)
    early = asyncio.create_task(database.rows(text("select 1"), {}, 1))
    await database.opening.wait()
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    database.gate.set()
    await closing
    assert cast("QueuePool", database._engine.pool).checkedin() == 0
    assert not database._tasks


async def test_closing_ends_what_is_opened_too_slowly(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.facts.database.CLOSE_SECONDS", 0.01)
    database = Slow(path)
    early = asyncio.create_task(database.rows(text("select 1"), {}, 1))
    await database.opening.wait()
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early
    await database.close()
    assert not database._tasks


async def unopenable(database: Slow, path: Path) -> asyncio.Task[object]:
    """One who asks, and whose connection cannot be opened once the gate is open."""
    asking = asyncio.create_task(database.rows(text("select 1"), {}, 1))
    await database.opening.wait()
    await asyncio.to_thread(path.unlink)
    await asyncio.to_thread(path.mkdir)
    return asking


async def test_a_file_that_cannot_be_opened_is_away(path: Path) -> None:
    database = Slow(path)
    asking = await unopenable(database, path)
    database.gate.set()
    with pytest.raises(Away, match="database main: unable to open database file"):
        await asking
    with pytest.raises(Away, match="database main: there is no file"):
        await database.ping()
    await database.close()


async def test_a_borrower_who_left_hears_of_no_failure(path: Path) -> None:
    database = Slow(path)
    asking = await unopenable(database, path)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    database.gate.set()
    await asyncio.gather(*database._tasks)
    await database.close()
