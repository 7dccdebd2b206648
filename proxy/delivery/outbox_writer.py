"""Group commit: whatever collects while one transaction is written is written by the next.

No timer holds an acceptance back. Settlements wait a little for one to travel with: until they are on disk, the only harm of a crash is
that a message is sent once more, with the same idempotency key.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy.errors import DeliveryFault, Overload
from proxy.stores.outbox import Draft, Fate, Settlement

QUEUE: Final = 16_384
"""Messages that wait to be written; whoever comes then is sent away."""
QUEUE_BYTES: Final = 64 << 20
"""Their bytes; the acceptance that reaches it is the last."""
SETTLE_S: Final = 0.05
"""Seconds that settlements wait for company."""
SETTLED: Final = 256
"""Settlements that need none."""
PATIENCE_S: Final = 10.0
"""Seconds after which those who wait for a write are told that it is unknown what becomes of it; a disk may hang."""
PAUSE_S: Final = 0.25
"""Seconds after which settlements that could not be written are tried again."""

_LOG: Final = logging.getLogger(__name__)


class Pen(Protocol):
    """The half of a store that writes."""

    async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
        """Do both in one transaction; gives how many drafts were new, raises `DeliveryFault`."""
        ...


class Writer:
    """The only one that writes, for all callers; `clock` gives epoch milliseconds."""

    def __init__(self, store: Pen, clock: Callable[[], int], most: int) -> None:
        """At most `most` messages wait in the store, dead letters included."""
        self.length = 0
        """Messages in the store, dead letters included, as far as is known here."""
        self._store = store
        self._clock = clock
        self._most = most
        self._entries: list[_Entry] = []
        self._queued = self._bytes = 0
        self._settled: list[Settlement] = []
        self._wake = asyncio.Event()
        self._answers: set[asyncio.Future[None]] = set()
        self._failing = self._closed = self._ended = False

    @property
    def unsettled(self) -> int:
        """Messages that were delivered or given up, and still stand in the store."""
        return len(self._settled)

    async def add(self, drafts: Sequence[Draft]) -> None:
        """Return when the messages are on disk; raises `Overload` when there is no room, `DeliveryFault` when they may not be there.

        A caller that is cancelled does not take them back.
        """
        if self._closed:
            raise Overload("the service is stopping: send the command again")
        if self.length + self._queued + len(drafts) > self._most:
            raise Overload(f"the outbox is full: {self._most} messages wait in it, dead letters included")
        if self._queued + len(drafts) > QUEUE or self._bytes >= QUEUE_BYTES:
            raise Overload("too much waits for the outbox to be written")
        entry = _Entry(drafts)
        self._entries.append(entry)
        self._answers.add(entry.answer)
        self._queued += len(drafts)
        self._bytes += entry.size
        self._wake.set()
        await entry.answer

    def settle(self, settlement: Settlement) -> None:
        """Have it written soon."""
        self._settled.append(settlement)
        if len(self._settled) >= SETTLED:
            self._wake.set()
        elif len(self._settled) == 1:
            self._wake_in(SETTLE_S)

    async def run(self) -> None:
        """Write until `end`."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            await self._turn()
        await self._turn()

    async def close(self) -> None:
        """Refuse more and wait until everybody who waits has an answer; settlements go on."""
        self._closed = True
        if self._answers:
            await asyncio.wait(self._answers)

    def end(self) -> None:
        """Let `run` write the last settlements and end."""
        self._ended = True
        self._wake.set()

    async def _turn(self) -> None:
        entries, self._entries = self._entries, []
        settled, self._settled = self._settled, []
        if self._failing and entries and settled:
            # Room may be what is missing: settlements make some, and must not fail for company.
            await self._write([], settled)
            settled = []
        if entries or settled:
            await self._write(entries, settled)

    async def _write(self, entries: Sequence["_Entry"], settled: Sequence[Settlement]) -> None:
        drafts = [draft for entry in entries for draft in entry.drafts]
        patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._give_up)
        try:
            new = await self._store.write(drafts, settled, self._clock())
        except Exception as error:  # noqa: BLE001 - callers wait for an answer, whatever it is
            fault = str(error) if isinstance(error, DeliveryFault) else f"the outbox cannot be written: {type(error).__name__}"
            if not self._failing:
                _LOG.warning("%s", fault)
            self._failing = True
            self._settled[:0] = settled
            self._wake_in(PAUSE_S)
            self._answer(entries, fault)
            return
        finally:
            patience.cancel()
        self._failing = False
        self.length += new - sum(each.fate is Fate.delivered for each in settled)
        self._answer(entries, None)

    def _answer(self, entries: Sequence["_Entry"], fault: str | None) -> None:
        for entry in entries:
            self._queued -= len(entry.drafts)
            self._bytes -= entry.size
            self._answers.discard(entry.answer)
            if entry.answer.done():
                continue
            if fault is None:
                entry.answer.set_result(None)
            else:
                entry.answer.set_exception(DeliveryFault(fault))

    def _give_up(self) -> None:
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(DeliveryFault(f"the outbox was not written within {PATIENCE_S:g} s"))

    def _wake_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._wake.set)


class _Entry:
    """The messages of one call."""

    __slots__ = ("answer", "drafts", "size")

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.size = sum(len(draft.body) for draft in drafts)
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
