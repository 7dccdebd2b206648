"""What is particular to SQLite: files that must exist, reading only, queries in a thread that must be interrupted."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from proxy.errors import Away
from proxy.facts.rows import Row

INTERRUPT_SECONDS = 0.05
"""A cancelled query is interrupted again after this time, as it may not have begun the first time."""


class Sqlite:
    """A SQLite file, read only. Raises `ValueError` for an address without one."""

    options: Mapping[str, object] = {}

    def __init__(self, address: URL) -> None:
        if not address.database or address.drivername not in {"sqlite", "sqlite+aiosqlite"}:
            raise ValueError("SQLite needs a file and aiosqlite")
        self._file = Path(address.database)
        self.url = address.set(drivername="sqlite+aiosqlite")

    def demand(self) -> None:
        """Raises `Away` where there is no such file: SQLite would create it."""
        if not (self._file.is_file() and os.access(self._file, os.R_OK)):
            raise Away(f"there is no file {self._file} that can be read")

    def prepare(self, connection: DBAPIConnection, _record: object) -> None:
        """Makes a new connection unable to write."""
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA query_only=ON")

    def bounded(self, query: str, _rows: int) -> str:
        """The query as it is: rows beyond the limit are never read."""
        return query

    async def fetch(
        self, connection: AsyncConnection, query: TextClause, arguments: Mapping[str, object], limit: int
    ) -> tuple[list[str], Sequence[Row]]:
        """The names of the columns and at most `limit` rows; when it is cancelled, the query ends first."""
        driver = (await connection.get_raw_connection()).driver_connection
        work = asyncio.create_task(_stream(connection, query, arguments, limit))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # SQLite's thread knows nothing of a cancellation: a slow query would hold its connection to the end
            while not work.done():
                await driver.interrupt()  # type: ignore[union-attr]  # aiosqlite's
                await asyncio.wait({work}, timeout=INTERRUPT_SECONDS)
            work.exception()  # of the interruption; one that nobody looks at is logged
            raise

    def told(self, error: object) -> str:
        """What an error of the driver says."""
        return str(error)

    def away(self, _error: object) -> bool:
        """Whether an error of the driver is about the file: that shows when it is opened, and never later."""
        return False


async def _stream(
    connection: AsyncConnection, query: TextClause, arguments: Mapping[str, object], limit: int
) -> tuple[list[str], Sequence[Row]]:
    async with connection.stream(query, arguments) as result:  # a stream, so that rows beyond the limit are never read
        return list(result.keys()), await result.fetchmany(limit)
