"""What is particular to PostgreSQL: sessions that read only, timeouts on the server, notifications."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson
from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from proxy.facts.rows import Row

CONNECT_SECONDS = 2.0
"""How long it may take to open a connection, whatever the fact's timeout is: who gives up earlier leaves it to the next one."""

HEARTBEAT_SECONDS = 15.0
"""How often a connection that only listens is asked whether it still stands."""

BACKOFF_SECONDS = (0.1, 5.0)
"""The shortest and the longest pause before listening is tried again."""

DRIVERS = frozenset(("postgres", "postgresql", "postgresql+asyncpg"))
OPTIONS = frozenset(("host", "port", "ssl", "sslmode"))
"""What may stand behind the `?` of an address."""

AWAY = ("53", "57")
"""Classes of SQLSTATE that are about the server: it is full, shuts down, or ended a query that took too long."""

TELLING = ("25", "28", "3D", "42", "53", "57")
"""Classes of SQLSTATE whose texts are about the query or the server, and never hold an argument."""

_LOG = logging.getLogger("centrigate")


class Postgres:
    """A PostgreSQL database, read only; a query that takes longer than `timeout_ms` ends on the server, too.

    Raises `ValueError` for an address that cannot be used.
    """

    def __init__(self, address: URL, timeout_ms: int) -> None:
        if address.drivername not in DRIVERS or not address.database or not set(address.query) <= OPTIONS:
            raise ValueError("PostgreSQL needs asyncpg, the name of a database, and no options but ssl")
        query = {"ssl" if name == "sslmode" else name: value for name, value in address.query.items()}
        self.url = address.set(drivername="postgresql+asyncpg", query=query)
        session = {"application_name": "centrigate", "default_transaction_read_only": "on", "statement_timeout": str(timeout_ms)}
        self._connect = {"timeout": CONNECT_SECONDS, "server_settings": session}
        self.options: Mapping[str, object] = {"connect_args": self._connect, "json_deserializer": orjson.loads}

    def demand(self) -> None:
        """Nothing."""

    def prepare(self, _connection: DBAPIConnection, _record: object) -> None:
        """Nothing: the session was opened as it shall be."""

    def bounded(self, query: str, rows: int) -> str:
        """The query with a limit: the driver would read every row."""
        return f"select * from (\n{query}\n) as found limit {rows}"  # noqa: S608 - the policy's text; what callers send is bound

    async def fetch(
        self, connection: AsyncConnection, query: TextClause, arguments: Mapping[str, object], limit: int
    ) -> tuple[list[str], Sequence[Row]]:
        """The names of the columns and at most `limit` rows."""
        result = await connection.execute(query, arguments)
        return list(result.keys()), result.fetchmany(limit)

    def told(self, error: object) -> str:
        """What an error of the driver says, or only its kind where the text may hold an argument."""
        cause = getattr(error, "__cause__", None) or error
        return str(cause) if _state(cause) in TELLING else type(cause).__name__

    def away(self, error: object) -> bool:
        """Whether an error of the driver is about the server, whatever it was asked for."""
        return _state(error) in AWAY

    async def listening(self) -> Any:  # noqa: ANN401 - asyncpg has no types
        """A new connection outside the pool; raises what the driver raises."""
        arguments = PGDialect_asyncpg().create_connect_args(self.url)[1]  # type: ignore[no-untyped-call]  # SQLAlchemy's
        return await asyncpg.connect(**arguments, **self._connect, command_timeout=CONNECT_SECONDS)


def _state(error: object) -> str:
    return str(getattr(error, "sqlstate", None) or "")[:2]


class Listener:
    """Hears the notifications of one channel and keeps on listening: a connection that broke is opened again.

    What is sent while nobody listens is lost for good, so `missed` is called each time that listening begins. `facts` are those of
    the database, by name.
    """

    def __init__(self, name: str, postgres: Postgres, channel: str, facts: frozenset[str]) -> None:
        self._name, self._postgres, self._channel = name, postgres, channel
        self.facts = facts

    async def run(self, heard: Callable[[Sequence[str]], object], missed: Callable[[], object]) -> None:
        """Runs until it is cancelled; `heard` gets the topics of each notification."""
        shortest, longest = BACKOFF_SECONDS
        pause = shortest

        def begun() -> None:
            nonlocal pause
            pause = shortest
            missed()

        while True:
            try:
                await self._listen(heard, begun)
            except Exception as error:  # noqa: BLE001 - whatever it is: who stops listening serves what is no longer true
                _LOG.warning("database %s: notifications are not heard: %s", self._name, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _listen(self, heard: Callable[[Sequence[str]], object], begun: Callable[[], object]) -> None:
        connection = await self._postgres.listening()
        lost = asyncio.Event()

        def notified(_connection: object, _pid: int, _channel: str, payload: object) -> None:
            topics = read(str(payload))
            if topics is None:
                _LOG.warning("database %s: a notification is no topic and no JSON list of topics", self._name)
                begun()
            else:
                heard(topics)

        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._channel, notified)
            begun()
            while not lost.is_set():
                try:
                    await asyncio.wait_for(lost.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    await connection.execute("select 1", timeout=CONNECT_SECONDS)
            raise ConnectionError("the connection was lost")
        finally:
            connection.terminate()


def read(payload: str) -> Sequence[str] | None:
    """The topics of a notification: one as it stands, or a JSON list of them; None for what is neither."""
    if not payload.startswith("["):
        return [payload] if payload else None
    try:
        topics = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return topics if all(isinstance(topic, str) for topic in topics) else None
