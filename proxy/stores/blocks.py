"""Where blocked users outlive the process: a table in the service's own database, SQLite or PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import BigInteger, Column, MetaData, String, Table, delete, func, insert, make_url, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import CreateTable

from proxy.errors import StoreFault

PATIENCE_S: Final = 3.0
"""Seconds that a call may take, connecting included."""

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_LOCK: Final = 0x626C6F63
_TABLE: Final = Table(
    "centrigate_blocks",
    MetaData(),
    Column("user", String, primary_key=True),
    Column("since_s", BigInteger, nullable=False),
    Column("until_s", BigInteger),
)
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A blocked user: since and until when, in epoch seconds; without an end it lasts until it is taken back."""

    user: str
    since_s: int
    until_s: int | None


class BlockTable:
    """Blocks at an address as `Settings.store_url` has it; nothing is made before it is needed. Every call raises `StoreFault`."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        self._file = Path(address.database or "") if address.drivername == "sqlite" else None
        self._engine = create_async_engine(address.set(drivername=_DRIVERS[address.drivername]), pool_pre_ping=True)
        self._made = False

    async def blocks(self) -> Iterable[Block]:
        """Give every block; a SQLite file that is not there has none."""
        if self._file and not self._file.exists():
            return ()
        return await self._within(self._rows())

    async def block(self, block: Block) -> None:
        """Keep a block in place of an earlier one of its user."""
        await self._within(self._put(block))

    async def unblock(self, user: str) -> None:
        """Forget a block."""
        await self._within(self._drop(user))

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    async def _rows(self) -> Iterable[Block]:
        async with self._engine.begin() as connection:
            await self._make(connection)
            rows = await connection.execute(select(_TABLE))
            return [Block(user=row.user, since_s=row.since_s, until_s=row.until_s) for row in rows]

    async def _put(self, block: Block) -> None:
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        async with self._engine.begin() as connection:
            await self._make(connection)
            await connection.execute(delete(_TABLE).where(_TABLE.c.user == block.user))
            await connection.execute(insert(_TABLE).values(asdict(block)))

    async def _drop(self, user: str) -> None:
        async with self._engine.begin() as connection:
            await self._make(connection)
            await connection.execute(delete(_TABLE).where(_TABLE.c.user == user))

    async def _make(self, connection: AsyncConnection) -> None:
        if self._made:
            return
        if self._file is None:
            # Two that create the same table at once would fail, though it may be there.
            await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        await connection.execute(CreateTable(_TABLE, if_not_exists=True))
        self._made = True

    async def _within(self, work: Awaitable[_Value]) -> _Value:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await work
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise StoreFault(f"the store of blocked users: {type(error).__name__}") from None
