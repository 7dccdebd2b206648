"""The databases of a policy: read only, a few connections each."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.elements import TextClause

from proxy.errors import Away, FactFault, SetupFault
from proxy.facts.lane import WIDTH
from proxy.facts.postgres import Listener, Postgres
from proxy.facts.rows import Row
from proxy.facts.sqlite import Sqlite

PING_SECONDS = 2.0
CLOSE_SECONDS = 2.5
TIMEOUT_MS = 5000


class Database:
    """One database of a policy, read only; connections are opened when they are first needed. `turns` are for who asks it to share.

    `url` is a SQLAlchemy URL; one without a driver gets the asynchronous driver. A SQLite file that does not exist is a failure and is
    not created. A query of PostgreSQL ends on the server after `timeout_ms`. Raises `SetupFault` for a URL that cannot be used; no text
    holds the URL, which may hold a password.
    """

    def __init__(self, name: str, url: str, timeout_ms: int = TIMEOUT_MS) -> None:
        self.name = name
        self.turns = asyncio.Semaphore(WIDTH)
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            self.kind = _kind(make_url(url), timeout_ms)
            self._engine = create_async_engine(
                self.kind.url,
                pool_size=WIDTH,
                max_overflow=1,  # for the ping, which waits for nobody
                pool_reset_on_return=None,  # nothing to roll back: each query is its own transaction
                isolation_level="AUTOCOMMIT",
                hide_parameters=True,
                **self.kind.options,
            )
        except (SQLAlchemyError, TypeError, ValueError):
            example = "sqlite:///path/to/file or postgresql://user:password@host/name"
            raise SetupFault(f"the URL of the policy's database {name} cannot be used: write it like {example}") from None
        event.listen(self._engine.sync_engine, "connect", self.kind.prepare)

    def listener(self, channel: str, facts: frozenset[str]) -> Listener:
        """What hears the notifications of a channel about the database's facts; raises `SetupFault` for a database that has none."""
        if isinstance(self.kind, Sqlite):
            raise SetupFault(f"the policy's database {self.name} listens, which only PostgreSQL can: leave listen out")
        return Listener(self.name, self.kind, channel, facts)

    async def rows(self, query: TextClause, arguments: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Row]]:
        """The names of the columns and at most `limit` rows; raises `FactFault`."""
        found = await self._attempt(query, arguments, limit)
        if isinstance(found, DBAPIError) and found.connection_invalidated:
            # what was lost while it was idle says so only when it is used; now every connection is a new one
            found = await self._attempt(query, arguments, limit)
        return self._settled(found)

    async def ping(self) -> None:
        """Returns when the database answers; raises `FactFault` when it does not within `PING_SECONDS`."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.rows(text("select 1"), {}, 1)
        except TimeoutError:
            raise Away(f"database {self.name}: no answer within {PING_SECONDS:g} s") from None

    async def close(self) -> None:
        """Closes the connections; those that are just being opened get `CLOSE_SECONDS` for it."""
        if self._tasks:  # what is cut off while it opens a file would go on in its thread, when the loop is gone
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.dispose()

    def _settled(self, found: tuple[list[str], Sequence[Row]] | SQLAlchemyError) -> tuple[list[str], Sequence[Row]]:
        if isinstance(found, SQLAlchemyError):
            raise self._failure(found) from found
        return found

    def _failure(self, error: SQLAlchemyError) -> FactFault:
        said = getattr(error, "orig", None)
        lost = isinstance(error, DBAPIError) and (error.connection_invalidated or self.kind.away(said))
        return (Away if lost else FactFault)(f"database {self.name}: {self.kind.told(said) if said else type(error).__name__}")

    async def _attempt(
        self, query: TextClause, arguments: Mapping[str, object], limit: int
    ) -> tuple[list[str], Sequence[Row]] | SQLAlchemyError:
        try:
            return await self._fetched(query, arguments, limit)
        except SQLAlchemyError as error:
            return error

    async def _fetched(self, query: TextClause, arguments: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Row]]:
        try:
            self.kind.demand()
            connection = await self._connected()
        except (OSError, SQLAlchemyError, FactFault) as error:
            said = getattr(error, "orig", None)
            raise Away(f"database {self.name}: {self.kind.told(said) if said else error}") from error
        try:
            return await self.kind.fetch(connection, query, arguments, limit)
        finally:
            await connection.close()

    async def _connected(self) -> AsyncConnection:
        """A connection of the pool; one that is being opened outlives an impatient borrower, else a short timeout might never see one."""
        lent: asyncio.Future[AsyncConnection] = asyncio.get_running_loop().create_future()
        self._own(self._lend(lent))
        try:
            return await asyncio.shield(lent)
        except asyncio.CancelledError:
            if lent.done() and not lent.exception():
                self._own(lent.result().close())
            lent.cancel()
            raise

    async def _lend(self, lent: asyncio.Future[AsyncConnection]) -> None:
        try:
            connection = await self._engine.connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the borrower's
            if not lent.done():
                lent.set_exception(error)
            return
        if lent.done():
            await connection.close()
        else:
            lent.set_result(connection)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _kind(address: URL, timeout_ms: int) -> Sqlite | Postgres:
    return Sqlite(address) if address.get_backend_name() == "sqlite" else Postgres(address, timeout_ms)
