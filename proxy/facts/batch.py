"""Many keys of one fact in one query, without a timer: what is asked while a query runs leaves with the next one."""

import asyncio
from collections.abc import Sequence
from operator import itemgetter
from typing import Protocol

from proxy.errors import Away, FactFault
from proxy.facts.lane import WAITING
from proxy.facts.turns import FIRST

FLIGHTS = 2
"""Queries of one fact that are under way at once; while there are fewer, nothing waits."""

Arguments = Sequence[object]


class Many(Protocol):
    """Loads one fact, a key at a time or some at once."""

    @property
    def most(self) -> int:
        """How many keys one query takes."""

    async def __call__(self, arguments: Arguments, /) -> object:
        """The value of one key."""

    async def many(self, keys: Sequence[Arguments], /) -> Sequence[object]:
        """The value of each key, or the exception that its value is; raises where the query failed as a whole."""

    async def probe(self) -> None:
        """Returns when both ways can be understood."""


class Batch:
    """A loader that lets keys leave together; each gets what it would have got alone.

    One key that a query cannot take fails the query, so then each is asked alone; where the source is away, nothing is asked again.
    Renewals leave first. Who gives up leaves its place, and a query that nobody waits for any more is cancelled.
    """

    def __init__(self, query: Many) -> None:
        self._query = query
        self._asked: list[tuple[bool, Arguments, asyncio.Future[object]]] = []
        self._flights: set[asyncio.Task[None]] = set()

    async def __call__(self, arguments: Arguments, /) -> object:
        """The value of one key, not yet fitted to its type; raises `FactFault` where `WAITING` others wait for a query."""
        if len(self._asked) >= WAITING:
            raise FactFault(f"{WAITING} loads wait already")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[object] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._depart)  # not now: who asks in the same turn comes along
        self._asked.append((not FIRST.get(), arguments, answer))
        return await answer

    async def probe(self) -> None:
        """Returns when the source understands the query, for one key and for many; raises `FactFault`."""
        await self._query.probe()

    def _depart(self) -> None:
        self._asked = sorted((each for each in self._asked if not each[2].done()), key=itemgetter(0))
        while self._asked and len(self._flights) < FLIGHTS:
            leaving, self._asked = self._asked[: self._query.most], self._asked[self._query.most :]
            self._launch([arguments for _, arguments, _ in leaving], [answer for *_, answer in leaving])

    def _launch(self, keys: Sequence[Arguments], answers: Sequence[asyncio.Future[object]]) -> None:
        flight = asyncio.create_task(self._fly(keys, answers))
        self._flights.add(flight)
        waiting = len(answers)

        def answered(_answer: object) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                flight.cancel()

        def landed(_flight: object) -> None:
            self._flights.discard(flight)
            self._depart()

        for answer in answers:
            answer.add_done_callback(answered)
        flight.add_done_callback(landed)

    async def _fly(self, keys: Sequence[Arguments], answers: Sequence[asyncio.Future[object]]) -> None:
        found = await self._found(keys)
        for answer, value in zip(answers, found, strict=True):
            if answer.done():
                continue
            if isinstance(value, BaseException):
                answer.set_exception(value)
            else:
                answer.set_result(value)

    async def _found(self, keys: Sequence[Arguments]) -> Sequence[object]:
        if len(keys) > 1:
            try:
                return await self._query.many(keys)
            except Away as away:
                return [away] * len(keys)
            except Exception:  # noqa: BLE001, S110 - whatever it is, it may be about one of the keys: each says it for itself below
                pass
        return await asyncio.gather(*(self._query(key) for key in keys), return_exceptions=True)
