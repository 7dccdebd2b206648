import asyncio
from collections.abc import Sequence

import pytest

from proxy.errors import Away, FactFault
from proxy.facts import batch as module
from proxy.facts.batch import FLIGHTS, Batch
from proxy.facts.turns import FIRST


class Doubling:
    """Doubles numbers, notes what left together, and waits at its gate."""

    most = 4

    def __init__(self) -> None:
        self.left: list[list[object]] = []
        self.alone: list[object] = []
        self.error: Exception | None = None
        self.cancelled = 0
        self.probed = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, arguments: Sequence[object], /) -> object:
        self.alone.append(arguments[0])
        await self._wait()
        value = self._value(arguments)
        if isinstance(value, Exception):
            raise value
        return value

    async def many(self, keys: Sequence[Sequence[object]], /) -> Sequence[object]:
        self.left.append([key[0] for key in keys])
        await self._wait()
        if self.error:
            raise self.error
        return [self._value(key) for key in keys]

    async def probe(self) -> None:
        self.probed = True

    async def _wait(self) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def _value(self, key: Sequence[object]) -> object:
        return key[0] * 2 if isinstance(key[0], int) else FactFault(f"{key[0]}")


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def ask(batch: Batch, *keys: object) -> list[asyncio.Task[object]]:
    async def one(key: object) -> object:
        return await batch((key,))

    return [asyncio.create_task(one(key)) for key in keys]


async def test_what_is_asked_in_one_turn_leaves_together() -> None:
    query = Doubling()
    assert await asyncio.gather(*ask(Batch(query), 1, 2, 3)) == [2, 4, 6]
    assert query.left == [[1, 2, 3]]
    assert query.alone == []


async def test_one_key_leaves_as_without_a_batch() -> None:
    query = Doubling()
    assert await Batch(query)((5,)) == 10
    assert (query.left, query.alone) == ([], [5])


async def test_no_more_leave_together_than_one_query_takes() -> None:
    query = Doubling()
    assert await asyncio.gather(*ask(Batch(query), *range(10))) == [2 * n for n in range(10)]
    assert query.left == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_what_is_asked_while_queries_run_leaves_with_the_next() -> None:
    query = Doubling()
    batch = Batch(query)
    query.gate.clear()
    tasks = []
    for number in range(FLIGHTS + 4):
        tasks += ask(batch, number)
        await turns()
    assert query.alone == [*range(FLIGHTS)]
    query.gate.set()
    assert await asyncio.gather(*tasks) == [2 * n for n in range(FLIGHTS + 4)]
    assert query.left == [[*range(FLIGHTS, FLIGHTS + 4)]]


async def test_each_gets_its_own_failure() -> None:
    found = await asyncio.gather(*ask(Batch(Doubling()), 1, "odd", 3), return_exceptions=True)
    assert [str(each) for each in found] == ["2", "odd", "6"]
    assert isinstance(found[1], FactFault)


@pytest.mark.parametrize("error", [FactFault("one of them"), UnicodeError()])
async def test_where_one_key_fails_the_query_each_is_asked_alone(error: Exception) -> None:
    query = Doubling()
    query.error = error
    found = await asyncio.gather(*ask(Batch(query), 1, "odd", 3), return_exceptions=True)
    assert [str(each) for each in found] == ["2", "odd", "6"]
    assert query.alone == [1, "odd", 3]


async def test_where_the_source_is_away_nothing_is_asked_again() -> None:
    query = Doubling()
    query.error = Away("down")
    found = await asyncio.gather(*ask(Batch(query), 1, 2), return_exceptions=True)
    assert [str(each) for each in found] == ["down", "down"]
    assert query.alone == []


async def test_who_gave_up_before_it_left_is_not_asked_for() -> None:
    query = Doubling()
    batch = Batch(query)
    query.gate.clear()
    for number in range(FLIGHTS):
        ask(batch, number)
        await turns()
    waiting = ask(batch, 10, 11, 12)
    await turns()
    waiting[1].cancel()
    query.gate.set()
    assert await asyncio.gather(*waiting[::2]) == [20, 24]
    assert query.left == [[10, 12]]


async def test_who_gives_up_under_way_takes_nothing_from_the_others() -> None:
    query = Doubling()
    query.gate.clear()
    tasks = ask(Batch(query), 1, 2)
    await turns()
    tasks[0].cancel()
    await turns()
    query.gate.set()
    assert await tasks[1] == 4
    assert query.cancelled == 0


async def test_a_query_that_nobody_waits_for_is_cancelled_and_makes_room() -> None:
    query = Doubling()
    batch = Batch(query)
    query.gate.clear()
    tasks = ask(batch, *range(4 * FLIGHTS))
    await turns()
    for task in tasks:
        task.cancel()
    await turns()
    assert query.cancelled == FLIGHTS
    query.gate.set()
    assert await batch((7,)) == 14


async def test_a_full_queue_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    query = Doubling()
    query.gate.clear()
    batch = Batch(query)
    tasks = []
    for number in range(FLIGHTS + 2):
        tasks += ask(batch, number)
        await turns()
    with pytest.raises(FactFault, match="2 loads wait already"):
        await batch((9,))
    query.gate.set()
    assert await asyncio.gather(*tasks) == [2 * n for n in range(FLIGHTS + 2)]


async def test_everybody_may_give_up_before_anything_leaves() -> None:
    query = Doubling()
    (task,) = ask(Batch(query), 1)
    await asyncio.sleep(0)
    task.cancel()
    await turns()
    assert (query.left, query.alone) == ([], [])


async def test_a_probe_is_the_querys() -> None:
    query = Doubling()
    await Batch(query).probe()
    assert query.probed


async def test_renewals_leave_before_what_came_earlier() -> None:
    query = Doubling()
    batch = Batch(query)
    query.gate.clear()
    tasks = ask(batch, *range(4 * FLIGHTS))
    await turns()
    tasks += ask(batch, *range(10, 14))
    await turns()
    FIRST.set(True)
    tasks += ask(batch, 20, 21)
    await turns()
    query.gate.set()
    await asyncio.gather(*tasks)
    assert query.left[FLIGHTS:] == [[20, 21, 10, 11], [12, 13]]
