"""Facts from SQL databases: one prepared query a fact, bound parameters only, rows shaped by the declared type."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.elements import TextClause

from proxy.errors import FactFault, SetupFault
from proxy.policy.declared import Fact
from proxy.policy.types import ANY, BOOL, ListOf, MapOf, Misfit, Nullable, Record, Type, describe

MAX_ROWS = 1000
"""Rows of a fact whose type is a list."""

CONNECTIONS = 8
"""Queries that run at once on one database; more wait for their turn, within the timeout of their fact."""

PING_SECONDS = 2.0

INTERRUPT_SECONDS = 0.05
"""A cancelled query is interrupted again after this time, as it may not have begun the first time."""

Row = Sequence[object]


class Database:
    """One database of a policy, read only; connections are opened when they are first needed.

    `url` is a SQLAlchemy URL; one without a driver gets the asynchronous driver. A SQLite file that does not exist is a failure and is
    not created. Raises `SetupFault` for a URL that cannot be used; its text does not hold the URL, which may hold a password.
    """

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        try:
            address = make_url(url)
            self._file = address.database or ""
            self._engine = create_async_engine(
                _address(address),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_reset_on_return=None,  # nothing to roll back: each query is its own transaction
                isolation_level="AUTOCOMMIT",
                hide_parameters=True,
            )
        except (SQLAlchemyError, TypeError, ValueError):
            raise SetupFault(f"the URL of the policy's database {name} cannot be used: write it like sqlite:///path/to/file") from None
        event.listen(self._engine.sync_engine, "connect", _forbid_writing)

    async def rows(self, query: TextClause, arguments: Mapping[str, object], limit: int) -> tuple[list[str], Sequence[Row]]:
        """The names of the columns and at most `limit` rows; raises `FactFault`."""
        if not Path(self._file).exists():  # noqa: ASYNC240 - it takes microseconds, and SQLite would create the file
            raise FactFault(f"database {self.name}: there is no file {self._file}")
        try:
            async with self._engine.connect() as connection:
                return await _interruptible(connection, query, arguments, limit)
        except SQLAlchemyError as error:
            raise FactFault(f"database {self.name}: {getattr(error, 'orig', None) or type(error).__name__}") from error

    async def ping(self) -> None:
        """Returns when the database answers; raises `FactFault` when it does not within `PING_SECONDS`."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.rows(text("select 1"), {}, 1)
        except TimeoutError:
            raise FactFault(f"database {self.name}: no answer within {PING_SECONDS:g} s") from None

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.dispose()


class Query:
    """Loads one fact: a record takes one row, a list up to `MAX_ROWS`, anything else one column of one row; no row is None.

    Raises `SetupFault` where the query's `:names` are not the fact's parameters, on loading `FactFault` or `Misfit`.
    """

    def __init__(self, fact: Fact, query: str, database: Database) -> None:
        self._text = text(query)
        self._parameters = fact.parameters
        self._database = database
        wanted = _present(fact.type)
        self._many = isinstance(wanted, ListOf)
        self._shape = _shaper(wanted.of if isinstance(wanted, ListOf) else wanted)
        if odd := set(self._text.compile().params) ^ set(fact.parameters):
            raise SetupFault(f"the query of the policy's fact {fact.name} and its parameters differ in {', '.join(sorted(odd))}")

    async def __call__(self, arguments: Sequence[object]) -> object:
        """The value as the database has it, not yet fitted to its type."""
        limit = MAX_ROWS if self._many else 1
        bound = dict(zip(self._parameters, arguments, strict=True))
        columns, rows = await self._database.rows(self._text, bound, limit + 1)
        if len(rows) > limit:
            raise FactFault(f"more than {limit} row{'s' if self._many else ''}")
        values = [self._shape(columns, row) for row in rows]
        if self._many:
            return values
        return values[0] if values else None


def _address(url: URL) -> URL:
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ValueError("only files of SQLite are supported yet")
    return url.set(drivername="sqlite+aiosqlite") if url.drivername == "sqlite" else url


def _forbid_writing(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.close()


async def _interruptible(
    connection: AsyncConnection, query: TextClause, arguments: Mapping[str, object], limit: int
) -> tuple[list[str], Sequence[Row]]:
    driver = (await connection.get_raw_connection()).driver_connection
    work = asyncio.create_task(_fetch(connection, query, arguments, limit))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        # SQLite's thread knows nothing of a cancellation: a slow query would hold its connection to the end
        while not work.done():
            await driver.interrupt()  # type: ignore[union-attr]  # aiosqlite's
            await asyncio.wait({work}, timeout=INTERRUPT_SECONDS)
        raise


async def _fetch(
    connection: AsyncConnection, query: TextClause, arguments: Mapping[str, object], limit: int
) -> tuple[list[str], Sequence[Row]]:
    async with connection.stream(query, arguments) as result:  # a stream, so that rows beyond the limit are never read
        return list(result.keys()), await result.fetchmany(limit)


def _present(wanted: Type) -> Type:
    return wanted.of if isinstance(wanted, Nullable) else wanted


def _shaper(wanted: Type) -> Callable[[Sequence[str], Row], object]:
    if isinstance(wanted, Record):
        readers = {name: _reader(member.type) for name, member in wanted.fields.items()}
        return lambda columns, row: _record(readers, columns, row)
    reader = _reader(wanted)
    return lambda columns, row: _single(reader, columns, row)


def _record(readers: Mapping[str, Callable[[object], object]], columns: Sequence[str], row: Row) -> dict[str, object]:
    if len(set(columns)) < len(columns):
        raise FactFault("two columns of one name")
    return {name: readers[name](value) for name, value in zip(columns, row, strict=True) if name in readers}


def _single(reader: Callable[[object], object], columns: Sequence[str], row: Row) -> object:
    if len(columns) != 1:
        raise FactFault(f"expected one column, found {len(columns)}")
    return reader(row[0])


def _reader(wanted: Type) -> Callable[[object], object]:
    wanted = _present(wanted)
    if wanted == BOOL:
        return _bool
    if wanted == ANY:
        return _any
    return _json if isinstance(wanted, ListOf | MapOf | Record) else _same


def _same(value: object) -> object:
    return value


def _bool(value: object) -> object:
    return {0: False, 1: True}.get(value, value) if type(value) is int else value


def _any(value: object) -> object:
    if not isinstance(value, bool | int | float | str | list | dict | None):
        raise Misfit(f"expected a JSON value, found {describe(value)}")
    return value


def _json(value: object) -> object:
    if not isinstance(value, str | bytes):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Misfit("expected JSON, found other text") from None
