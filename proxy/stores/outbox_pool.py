"""Connections to a PostgreSQL in which publications are kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from proxy.errors import DeliveryFault
from proxy.stores.outbox import refuse

TIMEOUT_S: Final = 3.0
"""Seconds that a statement may take."""
CONNECTIONS: Final = 3
"""Connections of one replica: one writes, one reads, one for the rest."""
LOCK: Final = 0x63656E74
"""The advisory lock of acceptances and of the creation of tables."""


class Pool:
    """Connections to the database at this address, which a setting names, while it is open."""

    def __init__(self, address: str, setting: str = "CENTRIGATE_STORE_URL") -> None:
        self._address = address
        self._setting = setting
        self._pool: asyncpg.Pool | None = None

    async def open(self, create: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[None]]) -> None:
        """Connect and, within one transaction of all replicas at a time, create what is missing; raises `SetupFault`."""
        try:
            self._pool = await asyncpg.create_pool(
                self._address, min_size=1, max_size=CONNECTIONS, command_timeout=TIMEOUT_S, timeout=TIMEOUT_S
            )
            async with self.connection() as connection, connection.transaction():
                # Two that create the same table at once would fail.
                await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
                await create(connection)
        except (OSError, TimeoutError, ValueError, DeliveryFault, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # The text of a failed connection may quote the address.
            why = f"cannot be opened ({type(error).__name__}): is the database there, and may its user create tables?"
            refuse(why, self._setting)

    async def close(self, last: str = "select", *arguments: object) -> None:
        """Run a last statement and disconnect."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await pool.execute(last, *arguments)
                await pool.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """Lend a connection; raises `DeliveryFault` for whatever fails meanwhile."""
        if self._pool is None:
            raise DeliveryFault("the outbox is closed")
        try:
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DeliveryFault(f"the outbox cannot be used: {type(error).__name__}") from None
