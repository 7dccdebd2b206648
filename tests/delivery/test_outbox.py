"""The outbox on a real file, in front of a Centrifugo that answers as it is told to."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.delivery import outbox as module
from proxy.delivery import outbox_pump, outbox_window, outbox_writer
from proxy.delivery.outbox import Outbox
from proxy.errors import DeliveryFault, Fault, Overload, SetupFault, TooLarge
from proxy.stores.outbox import Draft, Fate, Message, Settlement
from proxy.stores.outbox_sqlite import SqliteOutbox
from proxy.wire.api import ApiError, Command, Outcome, Result

PATIENCE_S = 10
DONE = Result(fields={})
LATER = ApiError(code=100, message="internal server error")
NEVER = ApiError(code=102, message="unknown channel")


class Centrifugo:
    """Takes every command unless `say` is told otherwise; `got` is what it took."""

    def __init__(self) -> None:
        self.got: list[Command] = []
        self.asked = 0
        self.together = self.most = 0
        self.say: Callable[[Command], Outcome | Exception] = lambda _: DONE
        self.gate = asyncio.Event()
        self.gate.set()
        self.news = asyncio.Condition()

    async def send(self, command: Command) -> Outcome:
        self.asked += 1
        self.together += 1
        self.most = max(self.most, self.together)
        try:
            async with self.news:
                self.news.notify_all()
            await self.gate.wait()
            outcome = self.say(command)
        finally:
            self.together -= 1
            async with self.news:
                self.news.notify_all()
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Result):
            self.got.append(command)
            async with self.news:
                self.news.notify_all()
        return outcome

    def told(self, channel: str) -> list[Any]:
        return [command.params["data"] for command in self.got if command.params["channel"] == channel]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self.news:
            await self.news.wait_for(holds)


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Scene:
    def __init__(self, folder: Path) -> None:
        self.file, self.centrifugo, self.clock = folder / "outbox.db", Centrifugo(), Clock()
        self.most = 1000

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outbox]:
        outbox = self.outbox()
        await outbox.start()
        try:
            yield outbox
        finally:
            await outbox.close()

    def outbox(self) -> Outbox:
        return Outbox(SqliteOutbox(self.file), self.centrifugo, self.clock, self.most)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name in ("FIRST_S", "POLL_S"):
        monkeypatch.setattr(outbox_pump, name, 0.005)
    monkeypatch.setattr(outbox_writer, "SETTLE_S", 0.005)
    monkeypatch.setattr(outbox_writer, "PAUSE_S", 0.005)
    monkeypatch.setattr(module, "COUNT_S", 0.005)
    return Scene(tmp_path)


def publish(channel: str, data: object = 1, **more: object) -> Command:
    return Command(method="publish", params={"channel": channel, "data": data, **more})


async def reached(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await ask():  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.002)


async def waiting(outbox: Outbox, count: int, dead: int = 0) -> None:
    async def counted() -> bool:
        numbers, _ = await outbox.status()
        return (numbers.waiting, numbers.dead) == (count, dead)

    await reached(counted)


class TestAccepting:
    async def test_what_is_accepted_goes_out_as_it_came_with_a_key(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox.accept([publish("a", {"n": 1}, tags={"k": "v"}, skip_history=True, version=2**64 - 1)])
            await waiting(outbox, 0)
        (command,) = scene.centrifugo.got
        key = command.params["idempotency_key"]
        assert command.params == {
            "channel": "a", "data": {"n": 1}, "tags": {"k": "v"}, "skip_history": True, "version": 2**64 - 1, "idempotency_key": key,
        }  # fmt: skip
        assert isinstance(key, str)
        assert len(key) > 20

    async def test_no_key_is_given_twice_and_that_of_the_caller_passes(self, scene: Scene) -> None:
        for _ in range(2):
            async with scene.running() as outbox:
                await outbox.accept([publish("a"), publish("a"), publish("a", idempotency_key="mine"), publish("a", idempotency_key="")])
                await waiting(outbox, 0)
        keys = [command.params["idempotency_key"] for command in scene.centrifugo.got]
        assert keys.count("mine") == 2
        assert len({*keys}) == 7

    async def test_a_broadcast_becomes_a_message_for_each_channel(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox.accept([Command(method="broadcast", params={"channels": ["a", "b"], "data": 1, "idempotency_key": "k"})])
            await waiting(outbox, 0)
        told = [(command.method, command.params) for command in scene.centrifugo.got]
        assert told == [("publish", {"data": 1, "idempotency_key": "k", "channel": channel}) for channel in "ab"]

    async def test_a_broadcast_has_one_key_unless_it_names_a_channel_twice(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox.accept([Command(method="broadcast", params={"channels": ["a", "b"], "data": 1})])
            await outbox.accept([Command(method="broadcast", params={"channels": ["c", "d", "c"], "data": 2})])
            await waiting(outbox, 0)
        keys = {n: [command.params["idempotency_key"] for command in scene.centrifugo.got if command.params["data"] == n] for n in (1, 2)}
        assert (len(keys[1]), len({*keys[1]})) == (2, 1)
        assert (len(keys[2]), len({*keys[2]})) == (3, 3)

    async def test_nothing_else_can_be_kept(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            with pytest.raises(Fault, match="history_remove cannot be delivered durably"):
                await outbox.accept([Command(method="history_remove", params={"channel": "a"})])
            await outbox.accept([])

    async def test_a_key_that_waits_is_not_accepted_again(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([publish("a", 1, idempotency_key="k")])
            await outbox.accept([publish("a", 2, idempotency_key="k"), publish("b", 3, idempotency_key="k")])
            scene.centrifugo.gate.set()
            await waiting(outbox, 0)
        assert (scene.centrifugo.told("a"), scene.centrifugo.told("b")) == ([1], [3])

    async def test_concurrent_acceptances_share_a_transaction(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        groups = []
        write = SqliteOutbox._write

        def watched(self: SqliteOutbox, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
            groups.append(len(drafts))
            return write(self, drafts, settled, now_ms)

        monkeypatch.setattr(SqliteOutbox, "_write", watched)
        async with scene.running() as outbox:
            await asyncio.gather(*(outbox.accept([publish(f"c{n}")]) for n in range(100)))
        assert sum(groups) == 100
        assert len([size for size in groups if size]) <= 3

    async def test_a_full_outbox_refuses_until_there_is_room(self, scene: Scene) -> None:
        scene.most = 3
        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([publish("a", 1), publish("a", 2)])
            with pytest.raises(Overload, match="the outbox is full"):
                await outbox.accept([publish("a", 3), publish("a", 4)])
            await outbox.accept([publish("a", 5)])
            scene.centrifugo.gate.set()
            await waiting(outbox, 0)
            await outbox.accept([publish("a", 6)])
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [1, 2, 5, 6]

    async def test_dead_letters_take_room_too_also_after_a_restart(self, scene: Scene) -> None:
        scene.most = 1
        scene.centrifugo.say = lambda _: NEVER
        async with scene.running() as outbox:
            await outbox.accept([publish("a")])
            await waiting(outbox, 0, 1)
        async with scene.running() as outbox:
            with pytest.raises(Overload):
                await outbox.accept([publish("a")])

    async def test_too_much_at_once_is_refused(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_writer, "QUEUE", 2)
        async with scene.running() as outbox:
            with pytest.raises(Overload, match="too much waits"):
                await outbox.accept([publish("a", n) for n in range(3)])
            with pytest.raises(TooLarge, match="a copy for each channel"):
                await outbox.accept([publish("a", "x" * (module.LARGEST // 2)), publish("b", "x" * (module.LARGEST // 2))])
            assert (await outbox.status())[0].waiting == 0

    async def test_long_messages_that_wait_to_be_written_close_the_queue(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_writer, "QUEUE_BYTES", 100)
        async with scene.running() as outbox:
            first = asyncio.create_task(outbox.accept([publish("a", "x" * 200)]))
            await asyncio.sleep(0)
            with pytest.raises(Overload, match="too much waits"):
                await outbox.accept([publish("a")])
            await first

    async def test_a_caller_that_leaves_takes_nothing_back_and_hurts_nobody(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            leaving = asyncio.create_task(outbox.accept([publish("a", 1)]))
            await asyncio.sleep(0)
            leaving.cancel()
            await outbox.accept([publish("b", 2)])
            await waiting(outbox, 0)
        assert (scene.centrifugo.told("a"), scene.centrifugo.told("b")) == ([1], [2])

    async def test_what_cannot_be_written_is_a_fault_and_the_next_may_be(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        async with scene.running() as outbox:
            store: Any = outbox._store
            await store._run(lambda: store._db.execute("pragma max_page_count = 20"))
            with caplog.at_level(logging.WARNING):
                for _ in range(2):
                    with pytest.raises(DeliveryFault, match="full"):
                        await outbox.accept([publish("a", "x" * 100_000)])
            assert len(caplog.records) == 1
            await outbox.accept([publish("a", 1)])
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [1]

    async def test_a_disk_that_hangs_is_a_fault(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_writer, "PATIENCE_S", 0.02)
        async with scene.running() as outbox:
            store: Any = outbox._store
            hangs = threading.Event()
            hanging = asyncio.get_running_loop().run_in_executor(store._thread, hangs.wait)
            left = asyncio.create_task(outbox.accept([publish("b", 2)]))
            await asyncio.sleep(0)
            left.cancel()
            try:
                with pytest.raises(DeliveryFault, match=r"not written within 0\.02 s"):
                    await outbox.accept([publish("a", 1)])
            finally:
                hangs.set()
            await hanging
            await waiting(outbox, 0)
        assert (scene.centrifugo.told("a"), scene.centrifugo.told("b")) == ([1], [2])

    async def test_a_mistake_of_the_store_is_a_fault(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        async with scene.running() as outbox:
            with monkeypatch.context() as patch:
                patch.setattr(SqliteOutbox, "_write", lambda *_: 1 // 0)
                with pytest.raises(DeliveryFault, match="ZeroDivisionError"):
                    await outbox.accept([publish("a")])
            await outbox.accept([publish("a")])

    async def test_settlements_do_not_fail_for_company(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        """Deletions make room where insertions find none."""
        write = SqliteOutbox._write

        def full(self: SqliteOutbox, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:
            if drafts:
                raise DeliveryFault("the disk is full")
            return write(self, drafts, settled, now_ms)

        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([publish("a"), publish("b")])
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 2)
            monkeypatch.setattr(SqliteOutbox, "_write", full)
            monkeypatch.setattr(outbox_writer, "SETTLED", 1)
            scene.centrifugo.gate.set()

            async def refused() -> bool:
                with pytest.raises(DeliveryFault):
                    await outbox.accept([publish("c")])
                return (await outbox.status())[0].waiting == 0

            await reached(refused)

    async def test_it_is_closed_before_it_is_open(self, scene: Scene) -> None:
        outbox = scene.outbox()
        with pytest.raises(DeliveryFault, match="not open"):
            await outbox.accept([publish("a")])
        await outbox.close()
        assert not scene.file.exists()

    async def test_a_store_that_cannot_be_used_stops_the_start(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        scene.file.mkdir()
        with pytest.raises(SetupFault, match="CENTRIGATE_STORE_URL"):
            await scene.outbox().start()
        scene.file.rmdir()
        monkeypatch.setattr(SqliteOutbox, "_numbers", _fail)
        with pytest.raises(SetupFault, match="away"):
            await scene.outbox().start()

    async def test_starting_twice_is_starting_once(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox.start()
            await outbox.accept([publish("a")])
            await waiting(outbox, 0)
        await outbox.close()
        assert len(scene.centrifugo.got) == 1


def _fail(*_: object) -> Any:  # noqa: ANN401 - stands for any of them
    raise DeliveryFault("the store is away")


class TestDelivering:
    async def test_a_channel_keeps_its_order_and_sends_one_at_a_time(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            for first in range(0, 300, 100):
                await outbox.accept([publish("a", n) for n in range(first, first + 100)])
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [*range(300)]
        assert scene.centrifugo.most == 1

    async def test_channels_go_side_by_side(self, scene: Scene) -> None:
        scene.centrifugo.gate.clear()
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n}") for n in range(50)])
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 50)
            scene.centrifugo.gate.set()
            await waiting(outbox, 0)

    async def test_what_was_accepted_before_a_crash_is_delivered_after_it(self, scene: Scene) -> None:
        crashed = scene.outbox()
        scene.centrifugo.gate.clear()
        await crashed.start()
        await crashed.accept([publish("a", n) for n in range(5)])
        for task in crashed._tasks:
            task.cancel()
        await asyncio.gather(*crashed._tasks, return_exceptions=True)
        await crashed._store.close()
        scene.centrifugo.gate.set()
        async with scene.running() as outbox:
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [*range(5)]

    async def test_a_channel_waits_for_its_first_message_and_others_go_on(self, scene: Scene) -> None:
        scene.centrifugo.say = lambda command: LATER if command.params["channel"] == "a" else DONE
        async with scene.running() as outbox:
            await outbox.accept([publish(channel, n) for n in range(3) for channel in "ab"])
            await waiting(outbox, 3)
            await scene.centrifugo.until(lambda: scene.centrifugo.asked > 6)
            assert scene.centrifugo.told("b") == [0, 1, 2]
            scene.centrifugo.say = lambda _: DONE
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [0, 1, 2]

    @pytest.mark.parametrize("code", [100, 111, 113])
    async def test_a_passing_error_is_tried_again_with_the_same_key(self, scene: Scene, code: int) -> None:
        keys = []

        def say(command: Command) -> Outcome:
            keys.append(command.params["idempotency_key"])
            return ApiError(code=code, message="") if len(keys) < 3 else DONE

        scene.centrifugo.say = say
        async with scene.running() as outbox:
            await outbox.accept([publish("a")])
            await waiting(outbox, 0)
        assert len(keys) == 3
        assert len({*keys}) == 1
        assert outbox.attempts == 3

    @pytest.mark.parametrize("fault", [DeliveryFault("no answer"), Overload("busy")])
    async def test_an_unknown_outcome_is_tried_again_with_the_same_key(self, scene: Scene, fault: Exception) -> None:
        keys: list[object] = []

        def say(command: Command) -> Outcome | Exception:
            keys.append(command.params["idempotency_key"])
            return fault if len(keys) < 4 else DONE

        scene.centrifugo.say = say
        async with scene.running() as outbox:
            await outbox.accept([publish("a", idempotency_key="k")])
            await waiting(outbox, 0)
        assert keys == ["k"] * 4

    async def test_while_centrifugo_is_away_one_at_a_time_knocks(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_pump, "AWAY_S", 0.005)
        scene.centrifugo.say = lambda _: DeliveryFault("away")
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n}", n) for n in range(100)])
            await scene.centrifugo.until(lambda: scene.centrifugo.asked > 110 and not scene.centrifugo.together)
            scene.centrifugo.most = 0
            before = scene.centrifugo.asked
            await scene.centrifugo.until(lambda: scene.centrifugo.asked > before + 5)
            assert scene.centrifugo.most == 1
            scene.centrifugo.say = lambda _: DONE
            await waiting(outbox, 0)
        assert len(scene.centrifugo.got) == 100

    async def test_those_that_fail_together_are_one_fault(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_pump, "FIRST_S", 60.0)
        scene.centrifugo.say = lambda _: DeliveryFault("away")
        scene.centrifugo.gate.clear()
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n}") for n in range(50)])
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 50)
            scene.centrifugo.gate.set()
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 0)
            await reached(lambda: _said(not outbox._pump._running))
            assert outbox._pump._faults == 1

    @pytest.mark.parametrize("code", [102, 107, 108])
    async def test_a_lasting_error_makes_a_dead_letter_and_the_channel_goes_on(self, scene: Scene, code: int) -> None:
        scene.centrifugo.say = lambda command: ApiError(code=code, message="no") if command.params["data"] == 1 else DONE
        async with scene.running() as outbox:
            await outbox.accept([publish("a", n) for n in range(3)])
            await waiting(outbox, 0, 1)
            (letter,) = (await outbox.status())[1]
            assert (letter.channel, letter.reason, letter.attempts) == ("a", f"error {code}: no", 1)
            assert scene.centrifugo.told("a") == [0, 2]
            scene.centrifugo.say = lambda _: DONE
            assert await outbox.retry(None) == [letter.id]
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [0, 2, 1]

    async def test_a_message_that_fails_for_a_day_is_a_dead_letter(self, scene: Scene) -> None:
        scene.centrifugo.say = lambda _: LATER
        async with scene.running() as outbox:
            await outbox.accept([publish("a")])
            scene.clock.ms += outbox_pump.EXPIRY_MS
            before = scene.centrifugo.asked
            await scene.centrifugo.until(lambda: scene.centrifugo.asked > before + 1)
            assert (await outbox.status())[0].waiting == 1
            scene.clock.ms += 1
            await waiting(outbox, 0, 1)
            (letter,) = (await outbox.status())[1]
        assert letter.reason == "not delivered within 24 hours: error 100: internal server error"

    async def test_what_cannot_be_read_any_more_is_a_dead_letter(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox._store.write([Draft(channel="a", key=None, body=body) for body in (b"[]", b"{}", b"{")], [], 0)
            await waiting(outbox, 0, 3)
            reasons = [letter.reason for letter in (await outbox.status())[1]]
        assert [reason.partition(":")[0] for reason in reasons] == ["cannot be sent", "error 107", "cannot be sent"]

    async def test_a_mistake_of_ours_loses_nothing(self, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
        mistakes = [ZeroDivisionError(), ZeroDivisionError()]
        scene.centrifugo.say = lambda _: mistakes.pop() if mistakes else DONE
        async with scene.running() as outbox:
            await outbox.accept([publish("a"), publish("b")])
            await waiting(outbox, 0)
        assert "could not be sent" in caplog.text

    async def test_a_channel_longer_than_memory_keeps_its_order(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {"RUN": 3, "PAGE": 7, "WINDOW": 20}.items():
            monkeypatch.setattr(outbox_window, name, value)
        monkeypatch.setattr(outbox_pump, "RUN", 3)
        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([publish(f"c{n % 5}", n) for n in range(200)])
            scene.centrifugo.gate.set()
            await outbox.accept([publish(f"c{n % 5}", n) for n in range(200, 400)])
            await waiting(outbox, 0)
        for channel in range(5):
            assert scene.centrifugo.told(f"c{channel}") == [*range(channel, 400, 5)]

    async def test_long_messages_are_read_a_few_at_a_time(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "WINDOW_BYTES", 1000)
        monkeypatch.setattr(outbox_window, "RUN", 2)
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n % 2}", [n, "x" * 600]) for n in range(20)])
            await waiting(outbox, 0)
        assert [data[0] for data in scene.centrifugo.told("c1")] == [*range(1, 20, 2)]

    async def test_a_hot_channel_does_not_keep_others_from_their_turn(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_pump, "LANES", 1)
        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([*(publish("hot", n) for n in range(200)), publish("cold", "c")])
            scene.centrifugo.gate.set()
            await waiting(outbox, 0)
        order = [command.params["channel"] for command in scene.centrifugo.got]
        assert order.index("cold") <= outbox_window.RUN

    async def test_many_blocked_channels_stay_in_order_behind_their_first(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "WINDOW", 40)
        monkeypatch.setattr(outbox_pump, "LONGEST_S", 0.005)
        refused: set[object] = {f"c{n}" for n in range(10)}
        scene.centrifugo.say = lambda command: LATER if command.params["channel"] in refused else DONE
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n % 20}", n) for n in range(200)])
            await waiting(outbox, 100)
            refused.clear()
            await waiting(outbox, 0)
        for n in range(20):
            assert scene.centrifugo.told(f"c{n}") == [*range(n, 200, 20)]

    async def test_a_store_that_cannot_be_read_is_asked_again(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "RUN", 2)
        messages, failures = SqliteOutbox._messages, iter(range(6))

        def flaky(self: SqliteOutbox, query: str, arguments: tuple[object, ...]) -> Any:  # noqa: ANN401 - passed on
            if next(failures, 7) % 2:
                return messages(self, query, arguments)
            raise DeliveryFault("the store is away")

        monkeypatch.setattr(SqliteOutbox, "_messages", flaky)
        async with scene.running() as outbox:
            await outbox.accept([publish("a", n) for n in range(20)])
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [*range(20)]

    async def test_a_settlement_that_cannot_be_written_is_written_later(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "WINDOW", 4)
        async with scene.running() as outbox:
            with monkeypatch.context() as patch:
                patch.setattr(SqliteOutbox, "_settle", lambda _self, settled, _now: _fail() if settled else None)
                await outbox.accept([publish("a", n) for n in range(5)])
                await scene.centrifugo.until(lambda: len(scene.centrifugo.got) == 5)
                await outbox.probe()
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [*range(5)]

    async def test_one_of_two_delivers_and_the_other_takes_over(self, scene: Scene) -> None:
        first = scene.outbox()
        await first.start()
        await first.accept([publish("a", n) for n in range(5)])
        await waiting(first, 0)
        async with scene.running() as second:
            await second.accept([publish("a", n) for n in range(5, 10)])
            await waiting(first, 0)
            assert (first.attempts, second.attempts) == (10, 0)
            await first.close()
            await second.accept([publish("a", n) for n in range(10, 20)])
            await waiting(second, 0)
            assert second.attempts == 10
        assert scene.centrifugo.told("a") == [*range(20)]

    async def test_who_lost_the_lead_stops_and_begins_anew_with_it(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        granted = 0.05

        async def lead(_: SqliteOutbox) -> float:
            return granted

        monkeypatch.setattr(SqliteOutbox, "lead", lead)
        async with scene.running() as outbox:
            scene.centrifugo.gate.clear()
            await outbox.accept([publish("a", n) for n in range(3)])
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 1)
            granted = 0.0
            await scene.centrifugo.until(lambda: scene.centrifugo.together == 0)
            scene.centrifugo.gate.set()
            granted = 0.05
            await waiting(outbox, 0)
        assert scene.centrifugo.told("a") == [0, 1, 2]

    async def test_a_pause_that_ends_when_its_channel_was_given_up_changes_nothing(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            outbox._pump._unpark(outbox_window.Lane("a"))
            assert not outbox._pump._ready


async def _said(holds: object) -> bool:
    return bool(holds)


class TestClosing:
    async def test_it_delivers_what_it_can(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            await outbox.accept([publish(f"c{n % 7}", n) for n in range(500)])
        assert len(scene.centrifugo.got) == 500
        store = SqliteOutbox(scene.file)
        await store.open()
        assert (await store.numbers()).waiting == 0
        await store.close()

    async def test_what_cannot_be_delivered_stays_and_is_not_waited_for(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        scene.centrifugo.say = lambda _: DeliveryFault("away")
        monkeypatch.setattr(outbox_pump, "FIRST_S", 60.0)
        monkeypatch.setattr(outbox_pump, "AWAY_S", 60.0)
        outbox = scene.outbox()
        await outbox.start()
        await outbox.accept([publish("a", n) for n in range(5)])
        await scene.centrifugo.until(lambda: scene.centrifugo.asked > 0 and not scene.centrifugo.together)
        began = time.monotonic()
        await outbox.close()
        assert time.monotonic() - began < module.DRAIN_S / 2
        scene.centrifugo.say = lambda _: DONE
        async with scene.running() as again:
            await waiting(again, 0)
        assert scene.centrifugo.told("a") == [*range(5)]

    async def test_a_centrifugo_that_does_not_answer_is_not_waited_for_long(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "DRAIN_S", 0.02)
        scene.centrifugo.gate.clear()
        outbox = scene.outbox()
        await outbox.start()
        await outbox.accept([publish("a")])
        await scene.centrifugo.until(lambda: scene.centrifugo.together == 1)
        async with asyncio.timeout(PATIENCE_S):
            await outbox.close()

    async def test_it_accepts_no_more(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            pass
        with pytest.raises(Overload, match="stopping"):
            await outbox.accept([publish("a")])

    async def test_who_waits_for_an_acceptance_gets_it(self, scene: Scene) -> None:
        async with scene.running() as outbox:
            accepted = [asyncio.create_task(outbox.accept([publish("a", n)])) for n in range(20)]
            await asyncio.sleep(0)
        await asyncio.gather(*accepted)
        assert scene.centrifugo.told("a") == [*range(20)]


class TestWatching:
    async def test_length_age_and_dead_letters_are_counted(self, scene: Scene) -> None:
        scene.centrifugo.say = lambda command: NEVER if command.params["channel"] == "dead" else LATER
        async with scene.running() as outbox:
            assert outbox.age_s() == 0
            await outbox.accept([publish("dead"), publish("a"), publish("a")])
            scene.clock.ms += 2500
            await reached(lambda: _said((outbox.numbers.waiting, outbox.numbers.dead) == (2, 1)))
            assert outbox.age_s() == 2.5
            scene.clock.ms -= 5000
            assert outbox.age_s() == 0

    async def test_a_count_that_fails_is_made_later(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        async with scene.running() as outbox:
            with monkeypatch.context() as patch, _recorded("proxy.delivery.outbox") as told:
                patch.setattr(SqliteOutbox, "_numbers", _fail)
                await reached(lambda: _said(told))
            scene.centrifugo.gate.clear()
            await outbox.accept([publish("a")])
            await reached(lambda: _said(outbox.numbers.waiting == 1))
            scene.centrifugo.gate.set()

    async def test_the_probe_writes(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        async with scene.running() as outbox:
            await outbox.probe()
            monkeypatch.setattr(SqliteOutbox, "_write", _fail)
            with pytest.raises(DeliveryFault, match="away"):
                await outbox.probe()


class _recorded(logging.Handler):  # noqa: N801 - used like a function
    def __init__(self, name: str) -> None:
        super().__init__()
        self._logger, self.told = logging.getLogger(name), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())

    def __enter__(self) -> list[str]:
        self._logger.addHandler(self)
        return self.told

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


class TestWriting:
    async def test_after_a_failure_settlements_are_written_by_themselves(self) -> None:
        """Deletions make room where insertions find none."""
        calls = []

        class Full:
            async def write(self, drafts: Sequence[Draft], settled: Sequence[Settlement], now_ms: int) -> int:  # noqa: ARG002 - as it is called
                calls.append((len(drafts), len(settled)))
                if drafts:
                    raise DeliveryFault("the disk is full")
                return 0

        writer = outbox_writer.Writer(Full(), Clock(), 100)
        running = asyncio.create_task(writer.run())
        draft = Draft(channel="a", key=None, body=b"{}")
        with pytest.raises(DeliveryFault, match="full"):
            await writer.add([draft])
        writer.settle(Settlement(id=1, fate=Fate.delivered))
        with pytest.raises(DeliveryFault, match="full"):
            await writer.add([draft])
        writer.end()
        await running
        assert calls == [(1, 0), (0, 1), (1, 0)]


class TestReading:
    async def test_what_comes_while_a_channel_is_read_is_read_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "RUN", 2)
        waiting_ = [Message(id=n, channel="a", body=b"{}", accepted_ms=0) for n in range(1, 4)]
        gate = asyncio.Event()

        class Slow:
            async def after(self, cursor: int, limit: int) -> Sequence[Message]:
                return [each for each in waiting_ if each.id > cursor][:limit]

            async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:  # noqa: ARG002 - there is one channel
                found = [each for each in waiting_ if after < each.id <= until][:limit]
                await gate.wait()
                return found

            async def lead(self) -> float:
                return 1.0

        window = outbox_window.Window(Slow())
        _, (lane,) = await window.read()
        for _ in range(2):
            window.take(lane)
        refilling = asyncio.create_task(window.refill(lane))
        await asyncio.sleep(0)
        waiting_.append(Message(id=4, channel="a", body=b"{}", accepted_ms=0))
        assert await window.read() == (1, [])
        gate.set()
        await refilling
        assert [each.id for each in lane.queue] == [3]
        window.take(lane)
        assert not window.end(lane)
        await window.refill(lane)
        assert [each.id for each in lane.queue] == [4]

    async def test_a_channel_that_cannot_be_read_on_is_read_later(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_window, "RUN", 2)
        of, failures = SqliteOutbox.of, [DeliveryFault("the store is away")]

        async def flaky(self: SqliteOutbox, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:
            if failures:
                raise failures.pop()
            return await of(self, channel, after, until, limit)

        monkeypatch.setattr(SqliteOutbox, "of", flaky)
        async with scene.running() as outbox:
            await outbox.accept([publish("a", n) for n in range(5)])
            await waiting(outbox, 0)
        assert (scene.centrifugo.told("a"), failures) == ([*range(5)], [])
