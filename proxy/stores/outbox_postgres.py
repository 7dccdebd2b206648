"""The outbox in PostgreSQL, shared by replicas: each accepts, one delivers, and the others take over when its lease ends.

Acceptances of all replicas take one lock for their transaction, so that ids become visible in their order: who has read up to an id has
missed none before it. Group commit keeps that cheap. The clock of the lease is the server's.
"""

import secrets
from collections.abc import Sequence
from typing import Final

import asyncpg

from proxy.stores.outbox import LETTERS, PAGE_BYTES, SCHEMA, Draft, Fate, Letter, Message, Numbers, Settlement, demand_known
from proxy.stores.outbox_pool import LOCK, Pool

LEASE_S: Final = 6.0
"""Seconds for which one replica delivers before it has to ask again; as long waits who follows one that died."""
FORGOTTEN_DAYS: Final = 7
"""How long a dead letter is kept."""

_TABLES: Final = """
create table if not exists centrigate_outbox_schema (version integer not null);
create table if not exists centrigate_outbox (
  id bigserial primary key, channel text not null, key bytea, body bytea not null,
  accepted_ms bigint not null, attempts integer not null default 0, reason text not null default '');
create unique index if not exists centrigate_outbox_key on centrigate_outbox (channel, key) where key is not null;
create index if not exists centrigate_outbox_channel on centrigate_outbox (channel, id);
create table if not exists centrigate_outbox_dead (
  id bigint primary key, channel text not null, body bytea not null,
  accepted_ms bigint not null, attempts integer not null, reason text not null, died_ms bigint not null);
create table if not exists centrigate_outbox_lead (one boolean primary key check (one), owner text not null, until timestamptz not null);
insert into centrigate_outbox_lead values (true, '', now()) on conflict do nothing;
create table if not exists centrigate_outbox_probe (one boolean primary key check (one), at_ms bigint not null);
"""
_MESSAGE: Final = "id, channel, body, accepted_ms"
_PAGE: Final = (
    f"select {_MESSAGE} from (select {_MESSAGE}, sum(length(body)) over (order by id) - length(body) as before"  # noqa: S608 - ours
    f" from (select {_MESSAGE} from centrigate_outbox where %s order by id limit $1) page) sized where before < {PAGE_BYTES} order by id"
)
_AFTER: Final = _PAGE % "id > $2"
_OF: Final = _PAGE % "channel = $2 and id > $3 and id <= $4"
_INSERT: Final = (
    "insert into centrigate_outbox (channel, key, body, accepted_ms)"
    " select channel, key, body, $4 from unnest($1::text[], $2::bytea[], $3::bytea[]) with ordinality as draft (channel, key, body, place)"
    " order by place on conflict do nothing"
)
_KEEP: Final = (
    "update centrigate_outbox set attempts = attempts + 1, reason = failed.reason"
    " from unnest($1::bigint[], $2::text[]) as failed (id, reason) where centrigate_outbox.id = failed.id"
)
_BURY: Final = (
    "insert into centrigate_outbox_dead select id, channel, body, accepted_ms, attempts + 1, failed.reason, $3"
    " from centrigate_outbox join unnest($1::bigint[], $2::text[]) as failed (id, reason) using (id) on conflict do nothing"
)
_DELETE: Final = "delete from centrigate_outbox where id = any($1::bigint[])"
_FORGET: Final = "delete from centrigate_outbox_dead where died_ms < $1"
_LEAD: Final = (
    "update centrigate_outbox_lead set owner = $1, until = clock_timestamp() + make_interval(secs => $2) where one in"
    " (select one from centrigate_outbox_lead where owner = $1 or until < clock_timestamp() for update skip locked)"
)
_RESIGN: Final = "update centrigate_outbox_lead set until = now() where owner = $1"
_PROBE: Final = "insert into centrigate_outbox_probe values (true, $1) on conflict (one) do update set at_ms = excluded.at_ms"
_NUMBERS: Final = (
    "select (select count(*) from centrigate_outbox), (select count(*) from centrigate_outbox_dead),"
    " (select accepted_ms from centrigate_outbox order by id limit 1)"
)
_LETTERS: Final = (
    "select id, channel, accepted_ms, died_ms, attempts, reason from centrigate_outbox_dead order by died_ms desc, id desc limit $1"
)
_RETRY: Final = (
    "with again as (delete from centrigate_outbox_dead where $1::bigint[] is null or id = any($1) returning id, channel, body), put as"
    " (insert into centrigate_outbox (channel, body, accepted_ms) select channel, body, $2 from again order by id)"
    " select id from again order by id"
)


class PostgresOutbox:
    """An outbox in the database at this address; see `proxy.stores.outbox.Store`."""

    def __init__(self, address: str) -> None:
        self._pool = Pool(address)
        self._owner = secrets.token_hex(8)

    async def open(self) -> None:
        """Connect and create the tables; raises `SetupFault`."""
        await self._pool.open(_create)

    async def close(self) -> None:
        """Let another replica deliver at once, and disconnect."""
        await self._pool.close(_RESIGN, self._owner)

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
        """Write in one transaction; gives how many drafts were new."""
        async with self._pool.connection() as connection, connection.transaction():
            if not drafts and not settled:
                await connection.execute(_PROBE, now_ms)
            if settled:
                await self._settle(connection, settled, now_ms)
            if not drafts:
                return 0
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
            columns = zip(*((draft.channel, draft.key, draft.body) for draft in drafts), strict=True)
            return int(str(await connection.execute(_INSERT, *columns, now_ms)).split()[-1])

    async def after(self, cursor: int, limit: int) -> Sequence[Message]:
        """Give the messages behind the cursor."""
        return await self._messages(_AFTER, limit, cursor)

    async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:
        """Give messages of one channel."""
        return await self._messages(_OF, limit, channel, after, until)

    async def lead(self) -> float:
        """Take or prolong the lease, if nobody else has it."""
        async with self._pool.connection() as connection:
            return LEASE_S if await connection.execute(_LEAD, self._owner, LEASE_S) == "UPDATE 1" else 0.0

    async def numbers(self) -> Numbers:
        """Count."""
        async with self._pool.connection() as connection:
            waiting, dead, oldest_ms = await connection.fetchrow(_NUMBERS)
        return Numbers(waiting=waiting, dead=dead, oldest_ms=oldest_ms)

    async def letters(self) -> Sequence[Letter]:
        """List dead letters, the latest first."""
        async with self._pool.connection() as connection:
            return [Letter(**row) for row in await connection.fetch(_LETTERS, LETTERS)]

    async def retry(self, ids: Sequence[int] | None, now_ms: int) -> Sequence[int]:
        """Give dead letters another turn."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", LOCK)
            return [row["id"] for row in await connection.fetch(_RETRY, ids, now_ms)]

    async def _settle(self, connection: asyncpg.pool.PoolConnectionProxy, settled: Sequence[Settlement], now_ms: int) -> None:
        kept = [(each.id, each.reason) for each in settled if each.fate is Fate.kept]
        dead = [(each.id, each.reason) for each in settled if each.fate is Fate.dead]
        if kept:
            await connection.execute(_KEEP, *zip(*kept, strict=True))
        if dead:
            await connection.execute(_BURY, *zip(*dead, strict=True), now_ms)
            await connection.execute(_FORGET, now_ms - FORGOTTEN_DAYS * 86_400_000)
        await connection.execute(_DELETE, [each.id for each in settled if each.fate is not Fate.kept])

    async def _messages(self, query: str, *arguments: object) -> list[Message]:
        async with self._pool.connection() as connection:
            return [Message(**row) for row in await connection.fetch(query, *arguments)]


async def _create(connection: asyncpg.pool.PoolConnectionProxy) -> None:
    await connection.execute(_TABLES)
    found = await connection.fetchval("select max(version) from centrigate_outbox_schema")
    demand_known(found or SCHEMA)
    if found is None:
        await connection.execute("insert into centrigate_outbox_schema values ($1)", SCHEMA)
