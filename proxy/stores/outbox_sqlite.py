"""The outbox in a SQLite file: write-ahead log, synchronised at every commit, one thread.

Python's own driver in a thread of its own, because a layer above it costs more than the statements do. It lets go of the interpreter's
lock at each row, and while the event loop is busy it waits milliseconds to get that back; so many rows travel as one. Source of the
pragmas: https://www.sqlite.org/pragma.html; `synchronous = full` makes a commit survive the loss of power.
"""

import asyncio
import fcntl
import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import orjson

from proxy.errors import DeliveryFault
from proxy.stores.outbox import LETTERS, PAGE_BYTES, SCHEMA, Draft, Fate, Letter, Message, Numbers, Settlement, demand_known, refuse

LOCKED_S: Final = 2.0
"""Seconds that a write waits for another process to end its own."""
FORGOTTEN_MS: Final = 7 * 24 * 3600 * 1000
"""How long a dead letter is kept."""

_TABLES: Final = """
create table if not exists outbox_schema (version integer not null);
create table if not exists outbox_messages (
  id integer primary key autoincrement, channel text not null, key blob, body blob not null,
  accepted_ms integer not null, attempts integer not null default 0, reason text not null default '');
create unique index if not exists outbox_messages_key on outbox_messages (channel, key) where key is not null;
create index if not exists outbox_messages_channel on outbox_messages (channel, id);
create table if not exists outbox_dead (
  id integer primary key, channel text not null, body blob not null,
  accepted_ms integer not null, attempts integer not null, reason text not null, died_ms integer not null);
create table if not exists outbox_probe (id integer primary key check (id = 1), at_ms integer not null);
"""
_PRAGMAS: Final = ("journal_mode = wal", "synchronous = full")
_MESSAGE: Final = "id, channel, body, accepted_ms"
_PAGE: Final = (
    "select json_group_array(json_array(id, channel, cast(body as text), accepted_ms)) from"  # noqa: S608 - ours
    f" (select {_MESSAGE}, sum(length(body)) over (order by id) - length(body) as before"
    f" from (select {_MESSAGE} from outbox_messages where %s order by id limit ?)) where before < {PAGE_BYTES}"
)
_AFTER: Final = _PAGE % "id > ?"
_OF: Final = _PAGE % "channel = ? and id > ? and id <= ?"
_INSERT: Final = "insert into outbox_messages (channel, key, body, accepted_ms) values %s on conflict do nothing"
_INSERTS: Final = {rows: _INSERT % ", ".join(["(?, ?, ?, ?)"] * rows) for rows in (256, 16, 1)}
"""By how many messages each of them inserts, the most first."""

_Given = TypeVar("_Given")


class SqliteOutbox:
    """An outbox in this file, which is created if need be; see `proxy.stores.outbox.Store`.

    Several processes may use it: one of them delivers, which the kernel's lock on a file beside it decides, so that the death of that
    process frees it at once.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._opened = ExitStack()
        self._leads = False

    async def open(self) -> None:
        """Create the file and its tables; raises `SetupFault`."""
        await self._run(self._open)

    async def close(self) -> None:
        """Close the file, opened or not; the thread ends."""
        await self._run(self._opened.close)
        self._thread.shutdown(wait=False)

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
        """Write in one transaction; gives how many drafts were new."""
        return await self._run(lambda: self._write(drafts, settled, now_ms))

    async def after(self, cursor: int, limit: int) -> Sequence[Message]:
        """Give the messages behind the cursor."""
        return await self._run(lambda: self._messages(_AFTER, (cursor, limit)))

    async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:
        """Give messages of one channel."""
        return await self._run(lambda: self._messages(_OF, (channel, after, until, limit)))

    async def lead(self) -> float:
        """Try to lock the file beside the database; who has the lock keeps it for good."""
        return await self._run(self._lead)

    async def numbers(self) -> Numbers:
        """Count."""
        return await self._run(self._numbers)

    async def letters(self) -> Sequence[Letter]:
        """List dead letters, the latest first."""
        return await self._run(self._letters)

    async def retry(self, ids: Sequence[int] | None, now_ms: int) -> Sequence[int]:
        """Give dead letters another turn."""
        return await self._run(lambda: self._retry(ids, now_ms))

    async def _run(self, work: Callable[[], _Given]) -> _Given:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Messages are nobody else's business; the files that SQLite puts beside take over its mode.
            os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = self._opened.enter_context(closing(sqlite3.connect(self._file, timeout=LOCKED_S, isolation_level=None)))
            self._lock = os.open(f"{self._file}.lead", os.O_CREAT | os.O_RDWR, 0o600)
            self._opened.callback(os.close, self._lock)
            self._create()
        except OSError as error:
            refuse(f"cannot be opened ({error.strerror}): give a file that can be written, or set another one")
        except sqlite3.Error as error:
            refuse(f"cannot be opened ({error}): give a file that can be written, or set another one")

    def _create(self) -> None:
        for pragma in _PRAGMAS:
            self._db.execute(f"pragma {pragma}")
        with self._transaction():
            for statement in _TABLES.split(";\n"):
                self._db.execute(statement)
            found = self._db.execute("select max(version) from outbox_schema").fetchone()[0]
            demand_known(found or SCHEMA)
            if found is None:
                self._db.execute("insert into outbox_schema values (?)", (SCHEMA,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        finally:
            # A failed commit has left it open, or not: a full disk does, in part.
            if self._db.in_transaction:
                self._db.execute("rollback")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DeliveryFault(f"the outbox cannot be used: {error}") from None

    def _write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
        with self._faults(), self._transaction():
            if not drafts and not settled:
                self._db.execute("insert into outbox_probe values (1, ?) on conflict do update set at_ms = excluded.at_ms", (now_ms,))
            self._settle(settled, now_ms)
            return self._insert([column for draft in drafts for column in (draft.channel, draft.key, draft.body, now_ms)])

    def _insert(self, columns: Sequence[object]) -> int:
        new = done = 0
        for rows, statement in _INSERTS.items():
            while len(columns) - done >= 4 * rows:
                new += self._db.execute(statement, columns[done : done + 4 * rows]).rowcount
                done += 4 * rows
        return new

    def _settle(self, settled: Sequence[Settlement], now_ms: int) -> None:
        kept = [(each.reason, each.id) for each in settled if each.fate is Fate.kept]
        self._db.executemany("update outbox_messages set attempts = attempts + 1, reason = ? where id = ?", kept)
        dead = [(each.reason, now_ms, each.id) for each in settled if each.fate is Fate.dead]
        # Somebody may die twice in one group: read again when the lead came back, before the first time was written.
        bury = "insert or ignore into outbox_dead select id, channel, body, accepted_ms, attempts + 1, ?, ?"
        self._db.executemany(f"{bury} from outbox_messages where id = ?", dead)
        if dead:
            self._db.execute("delete from outbox_dead where died_ms < ?", (now_ms - FORGOTTEN_MS,))
        gone = json.dumps([each.id for each in settled if each.fate is not Fate.kept])
        self._db.execute("delete from outbox_messages where id in (select value from json_each(?))", (gone,))

    def _messages(self, query: str, arguments: tuple[object, ...]) -> list[Message]:
        with self._faults():
            (page,) = self._db.execute(query, arguments).fetchone()
        rows = sorted(orjson.loads(page))
        return [Message(id=row[0], channel=row[1], body=row[2].encode(), accepted_ms=row[3]) for row in rows]

    def _lead(self) -> float:
        if not self._leads:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return 0.0
            self._leads = True
        return math.inf

    def _numbers(self) -> Numbers:
        with self._faults():
            waiting, dead, oldest_ms = self._db.execute(
                "select (select count(*) from outbox_messages), (select count(*) from outbox_dead),"
                " (select accepted_ms from outbox_messages order by id limit 1)"
            ).fetchone()
        return Numbers(waiting=waiting, dead=dead, oldest_ms=oldest_ms)

    def _letters(self) -> list[Letter]:
        listed = "select id, channel, accepted_ms, died_ms, attempts, reason from outbox_dead order by died_ms desc, id desc limit ?"
        with self._faults():
            rows = self._db.execute(listed, (LETTERS,)).fetchall()
        return [Letter(id=row[0], channel=row[1], accepted_ms=row[2], died_ms=row[3], attempts=row[4], reason=row[5]) for row in rows]

    def _retry(self, ids: Sequence[int] | None, now_ms: int) -> list[int]:
        again = "insert into outbox_messages (channel, body, accepted_ms) select channel, body, ? from outbox_dead where id = ?"
        with self._faults(), self._transaction():
            there = [row[0] for row in self._db.execute("select id from outbox_dead order by id")]
            chosen = [each for each in there if ids is None or each in set(ids)]
            self._db.executemany(again, [(now_ms, each) for each in chosen])
            self._db.executemany("delete from outbox_dead where id = ?", [(each,) for each in chosen])
        return chosen
