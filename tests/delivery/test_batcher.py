import asyncio
from collections.abc import Callable, Sequence

import pytest

from proxy.delivery import batcher as module
from proxy.delivery.batcher import BYTES, COMMANDS, Batcher
from proxy.errors import DeliveryFault, Fault, Overload, Unread
from proxy.wire.api import BAD_REQUEST, ApiError, Command, Outcome, Result

REFUSED = ApiError(code=107, message="bad request")


class Tower:
    """A transport whose batches land when they are told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._landings: list[asyncio.Future[None]] = []

    async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        self.batches.append([name(command) for command in commands])
        landing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._landings.append(landing)
        await landing
        return [Result(fields={"name": name(command)}) for command in commands]

    async def land(self, number: int, error: Exception | None = None) -> None:
        """Answer a batch, by its number, and let everybody act on it."""
        if error is None:
            self._landings[number].set_result(None)
        else:
            self._landings[number].set_exception(error)
        await turns()

    async def land_all(self) -> None:
        """Answer batches until there are no more."""
        while any(not landing.done() for landing in self._landings):
            await self.land(next(number for number, landing in enumerate(self._landings) if not landing.done()))


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def name(command: Command) -> str:
    data = command.params.get("data")
    return str(data) if data is not None else command.method


def publish(channel: str, data: str, **more: object) -> Command:
    return Command(method="publish", params={"channel": channel, "data": data, **more})


def broadcast(channels: Sequence[str], data: str) -> Command:
    return Command(method="broadcast", params={"channels": list(channels), "data": data})


def calls(batcher: Batcher, *commands: Command) -> list[asyncio.Task[Outcome]]:
    return [asyncio.create_task(batcher.send(command)) for command in commands]


def landed(task: asyncio.Task[Outcome]) -> str:
    outcome = task.result()
    assert isinstance(outcome, Result)
    return str(outcome.fields["name"])


async def test_a_command_leaves_at_once_and_those_of_one_turn_together() -> None:
    tower = Tower()
    sent = calls(Batcher(tower), publish("a", "1"), publish("b", "2"), publish("c", "3"))
    await turns()
    assert tower.batches == [["1", "2", "3"]]
    await tower.land(0)
    assert list(map(landed, sent)) == ["1", "2", "3"]


async def test_what_collects_while_no_flight_is_free_leaves_together() -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=1)
    calls(batcher, publish("a", "1"))
    for number in range(2, 5):
        await turns()
        calls(batcher, publish(f"c{number}", str(number)))
    await turns()
    assert tower.batches == [["1"]]
    await tower.land(0)
    assert tower.batches == [["1"], ["2", "3", "4"]]
    await tower.land(1)
    calls(batcher, publish("a", "5"))
    await turns()
    assert tower.batches[2:] == [["5"]]
    await tower.land(2)


async def test_other_channels_leave_while_a_batch_is_in_the_air() -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=2)
    (slow,) = calls(batcher, publish("a", "1"))
    await turns()
    (fast,) = calls(batcher, publish("b", "2"))
    await turns()
    await tower.land(1)
    assert fast.done()
    assert not slow.done()
    await tower.land(0)
    assert slow.done()


async def test_of_one_channel_one_command_is_in_the_air_in_the_order_of_sending() -> None:
    tower = Tower()
    sent = calls(Batcher(tower), publish("a", "1"), publish("a", "2"), publish("b", "3"), publish("a", "4"))
    await turns()
    assert tower.batches == [["1", "3"]]
    await tower.land(0)
    await tower.land(1)
    await tower.land(2)
    assert tower.batches == [["1", "3"], ["2"], ["4"]]
    assert list(map(landed, sent)) == ["1", "2", "3", "4"]


async def test_a_broadcast_keeps_its_place_in_each_of_its_channels() -> None:
    tower = Tower()
    calls(Batcher(tower), publish("a", "1"), broadcast(["a", "b", "b"], "2"), publish("b", "3"), publish("c", "4"))
    await turns()
    assert tower.batches == [["1", "4"]]
    await tower.land(0)
    assert tower.batches[1:] == [["2"]]
    await tower.land(1)
    assert tower.batches[2:] == [["3"]]
    await tower.land(2)


async def test_commands_without_a_channel_do_not_wait_for_each_other() -> None:
    tower = Tower()
    calls(Batcher(tower), *[Command(method="info", params={})] * 2)
    await turns()
    assert tower.batches == [["info", "info"]]
    await tower.land(0)


async def test_a_batch_has_a_bounded_number_of_channels_and_the_rest_leaves_beside_it() -> None:
    tower = Tower()
    many = [publish(f"c{number}", str(number)) for number in range(COMMANDS + 1)]
    calls(Batcher(tower), *many, broadcast([f"b{number}" for number in range(COMMANDS)], "wide"))
    await turns()
    assert list(map(len, tower.batches)) == [COMMANDS, 1, 1]
    assert tower.batches[2] == ["wide"]
    await tower.land_all()


async def test_a_batch_has_a_bounded_size_and_a_larger_command_leaves_alone() -> None:
    tower = Tower()
    half = "x" * (BYTES // 2)
    calls(Batcher(tower), publish("a", half), publish("b", half), publish("c", "y" * BYTES), publish("d", "1"))
    await turns()
    assert [[len(each) for each in batch] for batch in tower.batches] == [[BYTES // 2], [BYTES // 2], [BYTES], [1]]
    await tower.land_all()


async def test_a_newcomer_waits_for_the_batches_that_were_ready_and_for_no_busy_channel() -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=1)
    calls(batcher, *[publish(f"c{number}", f"many {number}") for number in range(2 * COMMANDS)], *[publish("hot", "hot")] * 1000)
    await turns()
    (newcomer,) = calls(batcher, publish("mine", "mine"))
    for number in range(3):
        await turns()
        await tower.land(number)
    assert landed(newcomer) == "mine"
    await tower.land_all()


async def test_too_many_commands_are_refused_until_one_is_answered() -> None:
    tower = Tower()
    batcher = Batcher(tower, waiting=2)
    calls(batcher, publish("a", "1"), publish("a", "2"))
    await turns()
    with pytest.raises(Overload, match="send the command again later"):
        await batcher.send(publish("b", "3"))
    await tower.land(0)
    calls(batcher, publish("b", "4"))
    await turns()
    assert tower.batches == [["1"], ["2"], ["4"]]
    await tower.land_all()


async def test_too_many_bytes_are_refused_until_one_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAVY", 100)
    tower = Tower()
    batcher = Batcher(tower)
    calls(batcher, publish("a", "x" * 100))
    await turns()
    with pytest.raises(Overload):
        await batcher.send(publish("b", "2"))
    await tower.land(0)
    calls(batcher, publish("b", "3"))
    await turns()
    await tower.land(1)
    assert tower.batches[1] == ["3"]


async def test_who_is_cancelled_in_time_takes_the_command_back() -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=1)
    _, second, third, _ = calls(batcher, publish("a", "1"), publish("a", "2"), publish("b", "3"), publish("a", "4"))
    await turns()
    fifth, _ = calls(batcher, publish("c", "5"), publish("c", "6"))
    await turns()
    second.cancel()
    fifth.cancel()
    await turns()
    await tower.land(0)
    assert third.done()
    await tower.land_all()
    assert tower.batches == [["1", "3"], ["6", "4"]]
    assert not batcher._lanes
    assert not batcher._orders
    assert batcher._bytes == 0


async def test_who_is_cancelled_too_late_disturbs_nobody() -> None:
    tower = Tower()
    batcher = Batcher(tower)
    first, second = calls(batcher, publish("a", "1"), publish("b", "2"))
    await turns()
    first.cancel()
    calls(batcher, publish("a", "3"))
    await turns()
    assert tower.batches == [["1", "2"]]
    await tower.land(0)
    assert landed(second) == "2"
    assert tower.batches[1:] == [["3"]]
    await tower.land(1)


async def test_a_lost_batch_is_a_fault_for_its_commands_only() -> None:
    tower = Tower()
    batcher = Batcher(tower)
    lost = calls(batcher, publish("a", "1"), publish("b", "2"))
    await turns()
    (later,) = calls(batcher, publish("a", "3"))
    await turns()
    await tower.land(0, DeliveryFault("Centrifugo is away"))
    await tower.land(1)
    faults = [each.exception() for each in lost]
    assert [str(fault) for fault in faults] == ["Centrifugo is away"] * 2
    assert faults[0] is not faults[1]
    assert landed(later) == "3"
    assert tower.batches == [["1", "2"], ["3"]]


async def test_only_what_changes_nothing_the_second_time_is_sent_again() -> None:
    tower = Tower()
    read, keyed = Command(method="history", params={"channel": "c"}), publish("b", "keyed", idempotency_key="k")
    sent = calls(Batcher(tower), publish("a", "plain"), keyed, read, publish("d", "empty", idempotency_key=""))
    await turns()
    await tower.land(0, DeliveryFault("reset"))
    assert tower.batches[1:] == [["keyed", "history"]]
    await tower.land(1)
    assert [each.exception() is None for each in sent] == [False, True, True, False]
    assert (landed(sent[1]), landed(sent[2])) == ("keyed", "history")


async def test_it_is_sent_again_once_and_within_the_time_of_one_call() -> None:
    tower = Tower()
    first, second = calls(Batcher(tower), publish("a", "1", idempotency_key="k"), publish("b", "2"))
    await turns()
    await tower.land(0, DeliveryFault("reset"))
    await tower.land(1, DeliveryFault("refused"))
    assert (str(first.exception()), str(second.exception())) == ("reset", "reset")
    (late,) = calls(Batcher(tower, patience_s=0), publish("a", "3", idempotency_key="k"))
    await turns()
    await tower.land(2, DeliveryFault("late"))
    with pytest.raises(DeliveryFault, match="late"):
        await late
    assert len(tower.batches) <= 4


async def test_what_centrifugo_does_not_read_is_refused_alone() -> None:
    class Picky(Tower):
        async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
            self.batches.append([name(command) for command in commands])
            if "bad" in self.batches[-1]:
                raise Unread("Centrifugo answered with status 400")
            return [Result(fields={"name": name(command)}) for command in commands]

    tower = Picky()
    one, two, bad, four = calls(Batcher(tower), *[publish(f"c{text}", text) for text in ("1", "2", "bad", "4")])
    await asyncio.wait([one, two, bad, four])
    assert bad.result() == BAD_REQUEST
    assert [landed(each) for each in (one, two, four)] == ["1", "2", "4"]
    assert tower.batches == [["1", "2", "bad", "4"], ["1", "2"], ["bad", "4"], ["bad"], ["4"]]


async def test_what_cannot_be_written_fails_alone_and_leaves_nothing_behind() -> None:
    tower = Tower()
    batcher = Batcher(tower)
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(Fault):
        await batcher.send(Command(method="publish", params={"channel": "a", "data": deep}))
    calls(batcher, publish("a", "1"))
    await turns()
    assert tower.batches == [["1"]]
    await tower.land(0)


async def test_a_mistake_in_the_transport_is_a_fault_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=1)
    (first,) = calls(batcher, publish("a", "1"))
    await turns()
    (second,) = calls(batcher, publish("b", "2"))
    await turns()
    await tower.land(0, ZeroDivisionError())
    assert isinstance(first.exception(), DeliveryFault)
    await tower.land(1)
    assert landed(second) == "2"
    del first
    assert "ZeroDivisionError" in caplog.text


def broadcasts(answer: Callable[[Command], Outcome]) -> Tower:
    """A transport that answers at once, from each command."""

    class Prompt(Tower):
        async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
            self.batches.append([f"{name(command)} to {','.join(command.channels)}" for command in commands])
            return [answer(command) for command in commands]

    return Prompt()


async def test_publications_that_are_alike_leave_as_one_broadcast_and_each_gets_its_own_outcome() -> None:
    def answer(command: Command) -> Outcome:
        if command.method == "publish":
            return Result(fields={"at": command.channels[0]})
        refused = {"error": {"code": 102, "message": "unknown channel"}}
        return Result(fields={"responses": [refused if each == "b" else {"result": {"at": each}} for each in command.channels]})

    tower = broadcasts(answer)
    commands = [
        publish("a", "x"),
        publish("b", "x"),
        publish("c", "y"),
        publish("d", "x", tags={"k": "v"}),
        publish("e", "x"),
        broadcast(["f"], "x"),
        publish("g", "x", idempotency_key="k"),
    ]
    batcher = Batcher(tower)
    await batcher.send(publish("a", "first"))
    outcomes = await asyncio.gather(*map(batcher.send, commands))
    assert tower.batches[1:] == [["x to a,b,e", "y to c", "x to d", "x to f", "x to g"]]
    assert [each.fields["at"] if isinstance(each, Result) and "at" in each.fields else each for each in outcomes] == [
        "a",
        ApiError(code=102, message="unknown channel"),
        "c",
        "d",
        "e",
        Result(fields={"responses": [{"result": {"at": "f"}}]}),
        "g",
    ]


async def test_only_in_a_namespace_that_took_a_publication_are_they_bundled() -> None:
    """A broadcast to a map is taken where a publication is refused, so that the answer would be another one."""

    def answer(command: Command) -> Outcome:
        each: list[dict[str, dict[str, object]]] = [{"result": {}}] * len(command.channels)
        return REFUSED if "map" in command.channels[0] else Result(fields={"responses": each})

    tower = broadcasts(answer)
    batcher = Batcher(tower)
    for _ in range(2):
        alike = [publish(channel, "x") for channel in ("map:a", "map:b", ":a", ":b", "chat:a", "chat:b", "$chat:a")]
        outcomes = await asyncio.gather(*map(batcher.send, alike))
        assert outcomes[:2] == [REFUSED] * 2
        tower.batches.append([])
    alone = [f"x to {each}" for each in ("map:a", "map:b")]
    assert tower.batches[0] == [*alone, *(f"x to {each}" for each in (":a", ":b", "chat:a", "chat:b", "$chat:a"))]
    assert tower.batches[2] == [*alone, "x to :a,:b,chat:a,chat:b,$chat:a"]


async def test_a_broadcast_that_is_refused_whole_is_refused_for_each() -> None:
    tower = broadcasts(lambda command: REFUSED if command.method == "broadcast" else Result(fields={}))
    batcher = Batcher(tower)
    await batcher.send(publish("a", "first"))
    assert await asyncio.gather(*map(batcher.send, [publish("a", "x"), publish("b", "x")])) == [REFUSED] * 2


async def test_a_broadcast_with_another_number_of_answers_is_a_fault() -> None:
    tower = broadcasts(lambda _: Result(fields={"responses": [{"result": {}}]}))
    batcher = Batcher(tower)
    await batcher.send(publish("a", "first"))
    outcomes = await asyncio.gather(*map(batcher.send, [publish("a", "x"), publish("b", "x")]), return_exceptions=True)
    assert [type(each) for each in outcomes] == [DeliveryFault] * 2


async def test_closing_carries_out_what_was_accepted_and_refuses_more() -> None:
    tower = Tower()
    batcher = Batcher(tower, flights=1)
    sent = calls(batcher, publish("a", "1"), publish("a", "2"), publish("b", "3"))
    await turns()
    closing = asyncio.create_task(batcher.close())
    await turns()
    with pytest.raises(Overload, match="stopping"):
        await batcher.send(publish("c", "4"))
    assert not closing.done()
    await tower.land_all()
    await closing
    assert list(map(landed, sent)) == ["1", "2", "3"]


async def test_closing_gives_up_what_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.01)
    tower = Tower()
    batcher = Batcher(tower)
    sent = calls(batcher, publish("a", "1"), publish("a", "2"))
    await turns()
    await batcher.close()
    await turns()
    assert [str(each.exception()) for each in sent] == ["the service stopped before Centrifugo answered"] * 2
    assert tower.batches == [["1"]]
    assert not batcher._flights


async def test_closing_an_idle_one_is_done_at_once() -> None:
    await Batcher(Tower()).close()
