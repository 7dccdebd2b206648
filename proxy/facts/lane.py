"""The way of one fact to its source: how many go at once, how many wait, and when nobody goes because it is out of order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.errors import Away, FactFault
from proxy.facts.turns import Turns

WIDTH = 8
"""Loads that run at once on one source; more wait for their turn, within the timeout of their fact."""

SHARE = 6
"""Loads of one fact among them, so that a slow one leaves room for the other facts of its source."""

WAITING = 4096
"""Loads of one fact that wait for their turn at most; more fail at once."""

FAILURES = 5
"""So many failures in a row, and a fact is out of order."""

PAUSE_SECONDS = 1.0
"""How long a fact that is out of order is not asked for; then one load goes first, and its success lets all others follow."""

T = TypeVar("T")


class Lane:
    """One fact's own bounds, so that a fact that is slow or dead holds up nobody who asks for another.

    A failure is `Away` or a load that was cancelled, which is what happens to a late one; but not when it spent most of its time waiting
    for its turn: then it is others who were in its way. Whatever else is raised was an answer: a value that no query can take must not
    put the fact out of order for everybody.

    `source` holds the turns that facts of the same source share. `now` gives seconds on a clock that only goes forward.
    """

    def __init__(
        self, name: str, width: int = WIDTH, source: asyncio.Semaphore | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._now = now
        self._turns = Turns(width)
        self._source = source or asyncio.Semaphore(width)
        self._failures = 0
        self._until = 0.0
        self._tried = False

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, when it is its turn; raises `Away` at once where the fact is out of order, `FactFault` above `WAITING`."""
        self._demand_order()
        if len(self._turns) >= WAITING:
            raise FactFault(f"fact {self.name}: {WAITING} loads wait already")
        asked = self._now()
        await self._turns.acquire()
        try:
            async with self._source:
                return await self._judged(work, self._now() - asked)
        finally:
            self._turns.release()

    async def _judged(self, work: Callable[[], Awaitable[T]], waited: float) -> T:
        self._demand_order()
        began, first = self._now(), self._failures >= FAILURES
        self._tried = first
        try:
            result = await work()
        except Away:
            self._fail()
            raise
        except asyncio.CancelledError:
            if self._now() - began >= waited:
                self._fail()
            raise
        except Exception:
            self._failures = 0
            raise
        else:
            self._failures = 0
            return result
        finally:
            if first:
                self._tried = False

    def _fail(self) -> None:
        self._failures += 1
        self._until = self._now() + PAUSE_SECONDS

    def _demand_order(self) -> None:
        if self._failures >= FAILURES and (self._tried or self._now() < self._until):
            raise Away(f"fact {self.name}: out of order")
