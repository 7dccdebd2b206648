"""What stands in an outbox, whichever database holds it.

A message is one publication to one channel. It waits until Centrifugo has taken it, and is deleted then; what Centrifugo refuses for good
becomes a dead letter. The order of a channel is that of the ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, Protocol

from proxy.errors import SetupFault

SCHEMA: Final = 1
"""Version of the tables; a database with a higher one was written by a newer version of this program."""
LETTERS: Final = 100
"""Dead letters that are listed."""
PAGE_BYTES: Final = 8 << 20
"""Bytes of bodies after which a page of messages ends; its first message is in it whatever its length."""


class Fate(StrEnum):
    """What became of an attempt to deliver."""

    delivered = "delivered"
    kept = "kept"
    """It is tried again."""
    dead = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message before it has a place; `key` is the caller's own idempotency key (UTF-8), `body` the command's parameters as JSON."""

    channel: str
    key: bytes | None
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that waits; accepted at epoch milliseconds."""

    id: int
    channel: str
    body: bytes
    accepted_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of an attempt to deliver the message with this id, and why, unless it was delivered."""

    id: int
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, without its payload; it died at epoch milliseconds."""

    id: int
    channel: str
    accepted_ms: int
    died_ms: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How much stands in an outbox; `oldest_ms` is when the oldest waiting message was accepted (epoch milliseconds)."""

    waiting: int
    dead: int
    oldest_ms: int | None


class Store(Protocol):
    """The database of an outbox; what fails raises `DeliveryFault`."""

    async def open(self) -> None:
        """Create what is missing; raises `SetupFault` for a database that cannot be used."""

    async def close(self) -> None:
        """Give up the lead and every connection."""

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
        """Do both in one transaction, on disk when this returns; gives how many drafts were new.

        A draft with the key of a message that waits in the same channel is that message. With neither, something is written all the
        same, to see whether it can be.
        """

    async def after(self, cursor: int, limit: int) -> Sequence[Message]:
        """Give waiting messages with a higher id, in order, at most so many and about `PAGE_BYTES`.

        Whatever gets an id later gets a higher one than is seen here.
        """

    async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:
        """Give the waiting messages of one channel whose ids are in this range, its end included, as `after` does."""

    async def lead(self) -> float:
        """Take or keep the right to deliver, which one process has at a time; for so many seconds from before this call, 0 is not."""

    async def numbers(self) -> Numbers:
        """Count."""

    async def letters(self) -> Sequence[Letter]:
        """List the latest dead letters, `LETTERS` at most."""

    async def retry(self, ids: Sequence[int] | None, now_ms: int) -> Sequence[int]:
        """Put dead letters, all of them for None, behind what waits in their channels; gives the ids of those that were there."""


def demand_known(schema: int) -> None:
    """Refuse a database of a newer schema."""
    if schema > SCHEMA:
        refuse(f"was written by a newer version (schema {schema}, this one knows {SCHEMA}): run that one, or set another store")


def refuse(why: str, setting: str = "CENTRIGATE_STORE_URL") -> NoReturn:
    """Raise `SetupFault` about the store that a setting names; its address is not told, since it may hold a password."""
    raise SetupFault(f"the store of {setting} {why}")
