"""Both ways to Centrifugo, against the real one: the same commands give the same outcomes."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.delivery import grpc
from proxy.delivery.batcher import Api, Batcher
from proxy.errors import DeliveryFault
from proxy.wire.api import ApiError, Command, Outcome, Result
from tests.delivery.centrifugos import WAYS, Place, history, publish, reached, running
from tests.live.servers import VERSIONS

pytestmark = pytest.mark.live


@pytest.fixture(params=WAYS, ids="-".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A version and a way to it."""
    chosen: tuple[str, str] = request.param
    return chosen


@pytest.fixture
async def api(way: tuple[str, str], tmp_path: Path) -> AsyncIterator[Api]:
    """A way to a Centrifugo that runs."""
    async with reached(*way, tmp_path) as (_, found):
        yield found


def fields(outcome: Outcome) -> Any:  # noqa: ANN401 - it walks JSON
    assert isinstance(outcome, Result), outcome
    return outcome.fields


async def test_the_order_of_a_channel_is_the_order_of_sending_under_200_callers(api: Api) -> None:
    batcher = Batcher(api)
    chance = random.Random(1)  # noqa: S311 - which channel comes next
    sent: dict[str, list[str]] = {}

    async def caller(name: int) -> None:
        for number in range(10):
            channel = f"c{chance.choice([0, 0, 0, *range(20)])}"
            if number % 5 == 4:
                command = Command(method="broadcast", params={"channels": [channel, "all"], "data": f"{name}/{number}"})
            else:
                command = publish(channel, f"{name}/{number}")
            for each in command.channels:
                sent.setdefault(each, []).append(f"{name}/{number}")
            outcome = fields(await batcher.send(command))
            place = sent[channel].index(f"{name}/{number}") + 1
            first = outcome["responses"][0]["result"] if command.method == "broadcast" else outcome
            assert first["offset"] == place

    await asyncio.gather(*map(caller, range(200)))
    await batcher.close()
    for channel, texts in sent.items():
        (kept,) = await api.send([history(channel)])
        assert [each["data"] for each in fields(kept)["publications"]] == texts


async def test_every_caller_gets_its_own_result(api: Api) -> None:
    batcher = Batcher(api)
    outcomes = await asyncio.gather(*(batcher.send(publish(f"c{number}", {"n": number})) for number in range(300)))
    epochs = [fields(outcome)["epoch"] for outcome in outcomes]
    positions = await asyncio.gather(*(batcher.send(history(f"c{number}")) for number in range(300)))
    assert [fields(each)["epoch"] for each in positions] == epochs
    assert [fields(each)["publications"][0]["data"] for each in positions] == [{"n": number} for number in range(300)]
    await batcher.close()


async def test_one_refused_command_is_its_own_error_only(api: Api) -> None:
    batcher = Batcher(api)
    outcomes = await asyncio.gather(*(batcher.send(publish(name, 1)) for name in ("a", "no-such:x", "b")))
    assert [isinstance(each, Result) for each in outcomes] == [True, False, True]
    assert outcomes[1] == ApiError(code=102, message="unknown channel")
    await batcher.close()


async def test_what_is_alike_has_the_same_outcomes_as_one_by_one(api: Api) -> None:
    names = ["a", "b", "no-such:x", "plain:x", "board:x", *[f"c{number}" for number in range(100)]]
    batcher = Batcher(api)
    for name in ("warm", "plain:warm"):
        fields(await batcher.send(publish(name, 0)))
    together = await asyncio.gather(*(batcher.send(publish(name, {"n": 1}, idempotency_key="k")) for name in names))
    alone = [await batcher.send(publish(name, {"n": 2}, idempotency_key="k")) for name in names]
    without_history = {"plain:x"}
    assert [(name, each) for name, each in zip(names, together, strict=True) if name not in without_history] == [
        (name, each) for name, each in zip(names, alone, strict=True) if name not in without_history
    ]
    (kept,) = await api.send([history("b")])
    assert [each["data"] for each in fields(kept)["publications"]] == [{"n": 1}]
    await batcher.close()


async def test_an_idempotency_key_arrives(api: Api) -> None:
    batcher = Batcher(api)
    first, second = [await batcher.send(publish("a", text, idempotency_key="k")) for text in ("one", "two")]
    assert first == second
    assert [each["data"] for each in fields(await batcher.send(history("a")))["publications"]] == ["one"]
    await batcher.close()


async def test_health_is_that_it_answers_and_takes_the_key(way: tuple[str, str], tmp_path: Path) -> None:
    version, kind = way
    async with running(version, tmp_path) as place:
        right, wrong = place.api(kind), place.api(kind, "another-key")
        await right.health()
        with pytest.raises(DeliveryFault, match="refused the key"):
            await wrong.health()
        await place.kill()
        with pytest.raises(DeliveryFault, match="could not be asked"):
            await right.health()
        await right.close()
        await wrong.close()


async def test_a_killed_centrifugo_is_a_fault_for_what_was_in_the_air_and_comes_back_without_a_restart(
    way: tuple[str, str], tmp_path: Path
) -> None:
    version, kind = way
    async with running(version, tmp_path) as place:
        api = place.api(kind)
        batcher = Batcher(api)
        answered: asyncio.Queue[Outcome] = asyncio.Queue()

        async def caller(name: int) -> None:
            for number in range(10_000):
                answered.put_nowait(await batcher.send(publish(f"c{name}", number)))

        callers = [asyncio.create_task(caller(name)) for name in range(50)]
        for _ in range(500):
            assert isinstance(await answered.get(), Result)
        await place.kill()
        failed = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(each) for each in failed} == {DeliveryFault}
    async with running(version, tmp_path, place), asyncio.timeout(10):
        if isinstance(api, grpc.Server):
            # It tries again by itself, after a second at most.
            await api._open().channel_ready()
        assert isinstance(await batcher.send(publish("again", 1)), Result)
        await batcher.close()
        await api.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_both_ways_give_the_same_outcomes(version: str, tmp_path: Path) -> None:
    async with running(version, tmp_path) as place:
        told = [await _told(place, way) for way in ("http", "grpc")]
    assert told[0] == told[1]


async def _told(place: Place, way: str) -> Sequence[object]:
    api = place.api(way)
    outcomes = [outcome for command in _everything(way) for outcome in await api.send([command])]
    together = await api.send([command for command in _everything(f"{way}2") if command.method not in {"subscribe", "info"}][:6])
    await api.close()
    return [_without_chance(outcome) for outcome in (*outcomes, *together)]


def _everything(way: str) -> Sequence[Command]:
    payload = {"big": 9007199254740993, "text": "ü<&>", "none": None, "list": [1.5, True]}
    tags = {"k": "v"}
    stream = f"{way}s"
    given: list[tuple[str, dict[str, object]]] = [
        ("publish", {"channel": stream, "data": payload, "tags": tags, "version": 3, "version_epoch": "e", "delta": True}),
        ("publish", {"channel": stream, "data": None, "skip_history": True}),
        ("publish", {"channel": "plain:x", "data": ""}),
        ("publish", {"channel": "nowhere:x", "data": 0}),
        ("broadcast", {"channels": [stream, f"{way}t", "nowhere:x", "plain:x"], "data": payload}),
        ("broadcast", {"channels": ["nowhere:x"], "data": payload, "idempotency_key": "k"}),
        ("history", {"channel": stream, "limit": -1}),
        ("history", {"channel": stream, "limit": 1, "since": {"offset": 1, "epoch": ""}, "reverse": True}),
        ("history", {"channel": stream}),
        ("history", {"channel": "untouched"}),
        ("history", {"channel": "plain:x"}),
        ("presence", {"channel": stream}),
        ("presence", {"channel": "plain:x"}),
        ("presence_stats", {"channel": stream}),
        ("history_remove", {"channel": stream}),
        (
            "subscribe",
            {
                "user": "u",
                "channel": stream,
                "info": {"a": 1},
                "expire_at": 2**40,
                "recover_since": {"offset": 1, "epoch": "e"},
                "override": {"presence": {"value": True}},
            },
        ),
        ("unsubscribe", {"user": "u", "channel": stream}),
        ("disconnect", {"user": "u", "whitelist": ["a"], "disconnect": {"code": 4000, "reason": "why"}}),
        ("refresh", {"user": "u", "expire_at": 2**40, "info": {}}),
        ("channels", {"pattern": "x*"}),
        ("info", {}),
        ("rpc", {"method": "m", "params": {}}),
        ("map_publish", {"channel": "board:a", "key": way, "data": payload, "tags": tags}),
        ("map_read_state", {"channel": "board:a", "limit": 10, "key": way}),
        ("map_read_stream", {"channel": "board:a", "limit": 10}),
        ("map_remove", {"channel": "board:a", "key": way}),
        ("map_stats", {"channel": "board:a"}),
        ("map_clear", {"channel": "board:a"}),
        ("shared_poll_publish", {"channel": "board:a", "key": "k", "version": 1, "data": payload}),
    ]
    return [Command(method=method, params=params) for method, params in given]


def _without_chance(value: object) -> object:
    """Take out what differs from call to call."""
    if isinstance(value, Result):
        return _without_chance(value.fields)
    if isinstance(value, list):
        return [_without_chance(each) for each in value]
    if isinstance(value, dict):
        chance = ("epoch", "uptime", "metrics", "process", "time", "key", "offset")
        return {name: "…" if name in chance else _without_chance(each) for name, each in value.items()}
    return value
