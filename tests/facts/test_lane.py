import asyncio

import pytest

from proxy.errors import Away, FactFault
from proxy.facts import lane
from proxy.facts.lane import FAILURES, PAUSE_SECONDS, WIDTH, Lane


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source that does what it is told, counts, and waits at its gate."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.asked = self.running = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.error:
            raise self.error
        return 1


async def turns() -> None:
    """Lets everybody go on who can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def broken(lane: Lane, source: Source, error: BaseException | None = None, times: int = FAILURES) -> None:
    source.error = error or Away("down")
    for _ in range(times):
        with pytest.raises(type(source.error)):
            await lane.run(source)
    source.error = None


async def test_what_the_source_gives_is_what_comes_back() -> None:
    assert await Lane("it").run(Source()) == 1


async def test_no_more_run_at_once_than_the_lane_is_wide() -> None:
    lane, source = Lane("it", width=2), Source()
    source.gate.clear()
    tasks = [asyncio.create_task(lane.run(source)) for _ in range(5)]
    await turns()
    assert source.running == 2
    source.gate.set()
    assert await asyncio.gather(*tasks) == [1] * 5
    assert source.most == 2


async def test_a_lane_is_eight_wide_unless_it_is_said() -> None:
    lane, source = Lane("it"), Source()
    source.gate.clear()
    tasks = [asyncio.create_task(lane.run(source)) for _ in range(WIDTH + 1)]
    await turns()
    assert source.running == WIDTH == 8
    source.gate.set()
    await asyncio.gather(*tasks)


async def test_a_full_queue_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "WAITING", 2)
    narrow, source = Lane("it", width=1), Source()
    source.gate.clear()
    tasks = [asyncio.create_task(narrow.run(source)) for _ in range(3)]
    await turns()
    with pytest.raises(FactFault, match=r"^fact it: 2 loads wait already$") as caught:
        await narrow.run(source)
    assert not isinstance(caught.value, Away)
    tasks[2].cancel()
    await turns()
    tasks.append(asyncio.create_task(narrow.run(source)))
    source.gate.set()
    assert await asyncio.gather(*tasks[:2], tasks[3]) == [1, 1, 1]


async def test_a_slow_fact_leaves_room_for_another_of_its_source() -> None:
    turns_of_source = asyncio.Semaphore(2)
    slow, source = Lane("slow", 1, turns_of_source), Source()
    source.gate.clear()
    tasks = [asyncio.create_task(slow.run(source)) for _ in range(3)]
    await turns()
    assert await Lane("quick", 1, turns_of_source).run(Source()) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_facts_of_one_source_take_turns_and_waiting_for_others_is_no_failure() -> None:
    turns_of_source = asyncio.Semaphore(1)
    first, second, slow = Lane("first", 1, turns_of_source), Lane("second", 1, turns_of_source), Source()
    slow.gate.clear()
    holding = asyncio.create_task(first.run(slow))
    await turns()
    for _ in range(FAILURES):
        waiting = asyncio.create_task(second.run(Source()))
        await turns()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    following = asyncio.create_task(second.run(Source()))
    await turns()
    assert not following.done()
    slow.gate.set()
    assert (await holding, await following) == (1, 1)


async def test_failures_in_a_row_put_a_fact_out_of_order_and_nobody_asks_for_it() -> None:
    lane, source = Lane("it", now=Clock()), Source()
    await broken(lane, source)
    with pytest.raises(Away, match=r"^fact it: out of order$"):
        await lane.run(source)
    assert source.asked == FAILURES


async def test_fewer_failures_do_not() -> None:
    lane, source = Lane("it", now=Clock()), Source()
    await broken(lane, source, times=FAILURES - 1)
    assert await lane.run(source) == 1
    await broken(lane, source, times=FAILURES - 1)
    assert await lane.run(source) == 1


async def test_a_load_that_was_cancelled_is_a_failure() -> None:
    lane, source = Lane("it", now=Clock()), Source()
    await broken(lane, source, asyncio.CancelledError())
    with pytest.raises(Away, match="out of order"):
        await lane.run(source)


async def test_a_load_that_had_less_time_than_it_had_waited_is_none() -> None:
    clock = Clock()
    narrow, source, slow = Lane("it", width=1, now=clock), Source(), Source()
    source.gate.clear()
    slow.gate.clear()
    before = asyncio.create_task(narrow.run(source))
    late = [asyncio.create_task(narrow.run(slow)) for _ in range(FAILURES)]
    await turns()
    clock.now += 2
    source.gate.set()
    assert await before == 1
    for each in late:
        await turns()
        clock.now += 1
        each.cancel()
        await asyncio.gather(each, return_exceptions=True)
    assert slow.asked == FAILURES
    assert await narrow.run(source) == 1


async def test_a_load_that_had_its_share_of_the_time_is_one_though_it_waited() -> None:
    clock = Clock()
    narrow, source = Lane("it", width=1, now=clock), Source()
    await broken(narrow, source, times=FAILURES - 1)
    source.gate.clear()
    held = asyncio.create_task(narrow.run(source))
    late = asyncio.create_task(narrow.run(source))
    await turns()
    clock.now += 1
    held.cancel()
    await turns()
    with pytest.raises(Away, match="out of order"):
        await late


@pytest.mark.parametrize("error", [FactFault("more than 1 row"), ValueError("x")])
async def test_what_is_wrong_with_one_value_is_an_answer(error: Exception) -> None:
    lane, source = Lane("it", now=Clock()), Source()
    await broken(lane, source, times=FAILURES - 1)
    await broken(lane, source, error, times=2 * FAILURES)
    await broken(lane, source, times=FAILURES - 1)
    assert await lane.run(source) == 1


async def test_after_the_pause_one_goes_first_and_its_success_lets_the_others_follow() -> None:
    clock = Clock()
    lane, source = Lane("it", now=clock), Source()
    await broken(lane, source)
    clock.now += PAUSE_SECONDS
    source.gate.clear()
    first = asyncio.create_task(lane.run(source))
    await turns()
    with pytest.raises(Away, match="out of order"):
        await lane.run(source)
    source.gate.set()
    assert await first == 1
    assert await asyncio.gather(*(lane.run(source) for _ in range(2))) == [1, 1]


async def test_a_pause_is_over_at_its_end_and_not_before() -> None:
    clock = Clock()
    lane, source = Lane("it", now=clock), Source()
    await broken(lane, source)
    clock.now += PAUSE_SECONDS - 0.001
    with pytest.raises(Away):
        await lane.run(source)
    clock.now += 0.001
    assert await lane.run(source) == 1


async def test_the_failure_of_the_first_begins_another_pause() -> None:
    clock = Clock()
    lane, source = Lane("it", now=clock), Source()
    await broken(lane, source)
    for _ in range(2):
        clock.now += PAUSE_SECONDS
        await broken(lane, source, times=1)
        with pytest.raises(Away, match="out of order"):
            await lane.run(source)
    clock.now += PAUSE_SECONDS
    assert await lane.run(source) == 1


async def test_who_waits_while_the_source_fails_does_not_ask_it_any_more() -> None:
    lane, source = Lane("it", width=1, now=Clock()), Source()
    source.error = Away("down")
    found = await asyncio.gather(*(lane.run(source) for _ in range(FAILURES + 3)), return_exceptions=True)
    assert [str(each) for each in found] == ["down"] * FAILURES + ["fact it: out of order"] * 3
    assert source.asked == FAILURES
