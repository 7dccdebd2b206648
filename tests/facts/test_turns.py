import asyncio

from proxy.facts.turns import FIRST, Turns


async def settled() -> None:
    """Lets everybody go on who can."""
    for _ in range(3):
        await asyncio.sleep(0)


class Queue:
    """Those who wait for turns, and the order in which they got them."""

    def __init__(self, width: int) -> None:
        self.turns = Turns(width)
        self.got: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, *, first: bool = False) -> None:
        async def one() -> None:
            FIRST.set(first)
            await self.turns.acquire()
            self.got.append(name)

        self._tasks[name] = asyncio.create_task(one())
        await settled()

    def give_up(self, name: str) -> None:
        self._tasks[name].cancel()

    async def leave(self) -> None:
        self.turns.release()
        await settled()


async def test_as_many_as_the_width_have_a_turn_at_once() -> None:
    queue = Queue(2)
    for name in "abc":
        await queue.come(name)
    assert (queue.got, len(queue.turns)) == (["a", "b"], 1)
    await queue.leave()
    assert (queue.got, len(queue.turns)) == (["a", "b", "c"], 0)


async def test_a_turn_that_nobody_waits_for_is_kept() -> None:
    queue = Queue(1)
    await queue.come("a")
    await queue.leave()
    await queue.come("b")
    await queue.come("c")
    assert queue.got == ["a", "b"]


async def test_renewals_come_first_and_who_came_first_before_others() -> None:
    queue = Queue(1)
    for name in ("a", "b", "c"):
        await queue.come(name)
    for name in ("r", "s"):
        await queue.come(name, first=True)
    for _ in range(4):
        await queue.leave()
    assert queue.got == ["a", "r", "s", "b", "c"]


async def test_who_gives_up_leaves_the_queue() -> None:
    queue = Queue(1)
    await queue.come("a")
    await queue.come("b", first=True)
    for name in ("c", "d"):
        await queue.come(name)
    queue.give_up("b")
    queue.give_up("c")
    await settled()
    assert len(queue.turns) == 1
    await queue.leave()
    assert queue.got == ["a", "d"]


async def test_a_turn_given_to_who_gives_up_in_that_moment_goes_on() -> None:
    queue = Queue(1)
    await queue.come("a")
    await queue.come("b")
    await queue.come("c")
    queue.turns.release()
    queue.give_up("b")
    await settled()
    assert queue.got == ["a", "c"]


async def test_who_gave_up_in_that_moment_is_passed_over() -> None:
    queue = Queue(1)
    await queue.come("a")
    await queue.come("b")
    await queue.come("c")
    queue.give_up("b")
    queue.turns.release()
    await settled()
    assert (queue.got, len(queue.turns)) == (["a", "c"], 0)
    await queue.leave()
    await queue.come("d")
    assert queue.got == ["a", "c", "d"]
