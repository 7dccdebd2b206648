"""Publications in a table of PostgreSQL that Centrifugo's consumer empties, in the order of ids within each partition."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit
from zlib import crc32

import asyncpg

from proxy.stores.outbox import Draft, Numbers, Settlement, refuse
from proxy.stores.outbox_handed import METHOD, SETTING, Handed
from proxy.stores.outbox_pool import LOCK, Pool

# The payload as text, where `jsonb` would sort its members, round its numbers and refuse \u0000.
_CREATE: Final = (
    "create table if not exists {} (id bigserial primary key, method text not null, payload json not null,"
    " partition integer not null default 0, created_at timestamptz not null default now())"
)
_KIND: Final = (
    "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = $1::regclass and attname = 'payload' and not attisdropped"
)
_INSERT: Final = (
    "insert into {} (method, payload, partition)"
    " select $3, body::json, place from unnest($1::text[], $2::integer[]) with ordinality as draft (body, place, number) order by number"
)
_NUMBERS: Final = "select count(*), (extract(epoch from min(created_at)) * 1000)::bigint from {}"


class TableOutbox(Handed):
    """The table at `postgresql://…?table=NAME&partitions=N`, which are `outbox_table_name` and `num_partitions` of the consumer."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        asked = parse_qs(parts.query)
        self._table = asked["table"][0]
        self._partitions = int(asked["partitions"][0])
        self._pool = Pool(urlunsplit(parts._replace(query="")), SETTING)

    async def open(self) -> None:
        """Connect and create the table if need be; raises `SetupFault`."""
        await self._pool.open(self._create)

    async def close(self) -> None:
        """Disconnect."""
        await self._pool.close()

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:  # noqa: ARG002 - none is settled here
        """Insert the drafts in one transaction; without any, try the insertion of none."""
        places = [crc32(draft.channel.encode()) % self._partitions for draft in drafts]
        async with self._pool.connection() as connection, connection.transaction():
            # Ids must become visible in their order: Centrifugo takes what it sees.
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(_INSERT.format(self._table), [draft.body.decode() for draft in drafts], places, METHOD)
        return len(drafts)

    async def numbers(self) -> Numbers:
        """Count what Centrifugo has not taken."""
        async with self._pool.connection() as connection:
            waiting, oldest_ms = await connection.fetchrow(_NUMBERS.format(self._table))
        return Numbers(waiting=waiting, dead=0, oldest_ms=oldest_ms)

    async def _create(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        await connection.execute(_CREATE.format(self._table))
        kind = await connection.fetchval(_KIND, self._table)
        if kind != "json":
            refuse(f"has a table {self._table} whose payload is not json: jsonb would change payloads", SETTING)
