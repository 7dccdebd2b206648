"""Grants that outlive the instance that gave them, through a real Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

import orjson
import pytest

from proxy.errors import StoreFault
from proxy.grants import mirror as module
from proxy.grants.grant import Grant, Key, More
from proxy.grants.mirror import Mirror
from proxy.stores import estates
from proxy.stores.estates import Estates
from proxy.stores.redis import Shared
from tests.grants.scene import Scene
from tests.live.redis import Redis, redis


@pytest.fixture(scope="module")
def running() -> Iterator[Redis]:
    with redis() as server:
        yield server


@pytest.fixture
async def server(running: Redis, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setattr(module, "BEAT_S", 0.02)
    monkeypatch.setattr(module, "AGAIN_S", 0.02)
    monkeypatch.setattr(estates, "LIFE_S", 0.3)
    shared = Shared(running.url)
    await shared.client.flushall()
    await shared.close()
    return running


class Instance:
    """One instance: its grants, what it asked again, and its mirror, which runs until it is stopped or killed."""

    def __init__(self, server: Redis) -> None:
        self.scene = Scene()
        self.asked: list[Key] = []
        self.shared = Shared(server.url)
        self.estates = Estates(self.shared)
        self.recalled = 0
        self.mirror = Mirror(self.estates, self.scene.registry, self._ask, self._recall, self.scene.clock)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.mirror.run())

    async def kill(self) -> None:
        """Ends without a word."""
        if self.task:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.task = None

    async def left(self) -> Mapping[Key, bytes]:
        """What stands in Redis of it, by key."""
        found: Mapping[Any, Any] = await self.shared.client.hgetall(f"centrigate:grants:{self.estates._own}")
        return {tuple(orjson.loads(key)): value for key, value in found.items()}

    async def leaves(self, *keys: Key) -> None:
        """Returns when just these stand in Redis."""
        async with asyncio.timeout(20):
            while (await self.left()).keys() != set(keys):  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.005)

    async def has(self, *keys: Key) -> None:
        """Returns when it holds just these."""
        async with asyncio.timeout(20):
            while {grant.key for grant in self.scene.registry} != set(keys):  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.005)

    async def _recall(self) -> None:
        self.recalled += 1

    def _ask(self, grants: Iterable[Grant]) -> int:
        self.asked += [grant.key for grant in grants]
        return 0


@asynccontextmanager
async def instances(server: Redis, count: int) -> AsyncIterator[list[Instance]]:
    """So many, of which only the first runs."""
    made = [Instance(server) for _ in range(count)]
    made[0].start()
    try:
        yield made
    finally:
        for each in made:
            await each.kill()
            await each.shared.close()


async def test_what_is_held_is_left_and_what_has_ended_is_not(server: Redis) -> None:
    async with instances(server, 1) as (one,):
        one.scene.connection("c1", "42")
        one.scene.subscription("c1", "42", "doc:7")
        await one.leaves(("42", "c1", ""), ("42", "c1", "doc:7"))
        assert all(b'"user":"42"' in value for value in (await one.left()).values())
        one.scene.registry.drop(("42", "c1", "doc:7"))
        await one.leaves(("42", "c1", ""))
        one.scene.connection("c1", "42", transport="sse")
        async with asyncio.timeout(20):
            while b'"transport":"sse"' not in (await one.left())["42", "c1", ""]:  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.005)
        assert one.mirror.backlog == 0


async def test_what_was_allowed_before_there_was_a_mirror_is_left_too(server: Redis) -> None:
    async with instances(server, 2) as (_, two):
        two.scene.registry.changed = None
        two.scene.connection("c1", "42")
        two.start()
        await two.leaves(("42", "c1", ""))


async def test_the_grants_of_a_killed_instance_are_taken_over_as_they_were_and_asked_again(
    server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with instances(server, 2) as (one, two):
        more = More(data={"a": [1, None]}, ambiguous=True, headers={"origin": "o"}, name="js", version="1")
        grant = one.scene.subscription("c1", "42", "doc:7", end_s=1_700_000_100, transport="sse", meta='{"role":"x"}', more=more)
        await one.leaves(("42", "c1", "doc:7"))
        await one.kill()
        two.start()
        await two.has(("42", "c1", "doc:7"))
        (adopted,) = two.scene.registry.resting_on(["doc:7"])
        assert asdict(adopted) == asdict(grant)
        assert two.asked == [grant.key]
        await one.leaves()
        await two.leaves(("42", "c1", "doc:7"))
        assert (two.mirror.adopted, two.recalled) == (1, 1)
    assert "took over 1 grants of a lost instance, passed over 0" in caplog.text


async def test_an_instance_that_is_stopped_leaves_what_it_has_not_written_yet_at_once(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estates, "LIFE_S", 600)
    async with instances(server, 2) as (one, two):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        await one.kill()
        one.scene.connection("c2", "43")
        await one.mirror.close()
        two.start()
        await two.has(("42", "c1", ""), ("43", "c2", ""))


async def test_nothing_is_taken_from_an_instance_that_lives(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estates, "LIFE_S", 600)
    async with instances(server, 2) as (one, two):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        two.start()
        two.scene.connection("c2", "43")
        await two.leaves(("43", "c2", ""))
        assert (await two.estates.lost(), [grant.key for grant in two.scene.registry]) == ([], [("43", "c2", "")])


async def test_what_has_ended_is_known_here_or_makes_no_sense_is_passed_over(server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with instances(server, 2) as (one, two):
        one.scene.connection("c1", "42", end_s=1_700_000_000)
        one.scene.connection("c2", "43")
        one.scene.connection("c3", "42", end_s=1_700_000_001)
        await one.leaves(("42", "c1", ""), ("43", "c2", ""), ("42", "c3", ""))
        await one.kill()
        name = f"centrigate:grants:{one.estates._own}"
        good = orjson.loads((await one.shared.client.hget(name, orjson.dumps(("42", "c3", "")))) or b"")
        mistyped: list[dict[str, object]] = [{"user": 5}, {"topics": [1]}, {"topics": "a"}, {"meta": "{"}]
        untimely: list[dict[str, object]] = [{"end_s": 1 << 53}, {"since_ms": -1}]
        bad = [b"\xff", b"[]", b"{}", *(orjson.dumps({**good, "holder": "x", **each}) for each in (*mistyped, *untimely))]
        await one.shared.client.hset(name, mapping={orjson.dumps(("42", f"bad{number}", "")): each for number, each in enumerate(bad)})
        two.scene.connection("c2", "43", transport="sse")
        two.start()
        await two.has(("43", "c2", ""), ("42", "c3", ""))
        own = two.scene.registry.get(("43", "c2", ""))
        assert (own and own.transport, two.asked) == ("sse", [("42", "c3", "")])
        await one.leaves()
    assert "took over 1 grants of a lost instance, passed over 11" in caplog.text


async def test_an_heir_that_is_lost_in_the_middle_has_an_heir(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estates, "HEIR_S", 0.3)
    monkeypatch.setattr(estates, "PAGE", 100)
    async with instances(server, 3) as (one, two, three):
        keys = [one.scene.connection(f"c{number}", "42").key for number in range(2000)]
        await one.leaves(*keys)
        await one.kill()
        async with asyncio.timeout(20):
            while not await two.estates.lost():  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.005)
        assert await two.estates.claim(one.estates._own)
        async for _ in two.estates.pages(one.estates._own):
            break
        assert not await three.estates.claim(one.estates._own)
        three.start()
        await three.has(*keys)
        await one.leaves()


async def test_who_may_take_over_still_may_after_a_fault(server: Redis) -> None:
    async with instances(server, 3) as (one, two, three):
        name = one.estates._own
        assert [await each.estates.claim(name) for each in (two, two, three)] == [True, True, False]


async def test_a_name_that_is_none_is_nobody_to_take_over(server: Redis) -> None:
    async with instances(server, 1) as (one,):
        await one.shared.client.sadd("centrigate:replicas", b"\xff", "", "a:b", "0123456789abcdef")
        assert await one.estates.lost() == ["0123456789abcdef"]


async def test_an_answer_that_is_lost_costs_nothing(server: Redis) -> None:
    async with instances(server, 2) as (_, two):
        assert [await two.estates.live(anew=False) for _ in range(2)] == [True, True]
        two.scene.connection("c1", "42")
        two.start()
        await two.leaves(("42", "c1", ""))
        assert not await two.estates.live(anew=False)


async def test_what_was_being_written_when_it_ends_is_written_at_last(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async with instances(server, 1) as (one,):
        put, begun = one.estates.put, asyncio.Event()

        async def slow(_left: Mapping[bytes, bytes], _gone: list[bytes]) -> None:
            begun.set()
            await asyncio.sleep(60)

        monkeypatch.setattr(one.estates, "put", slow)
        one.scene.connection("c1", "42")
        await begun.wait()
        await one.kill()
        monkeypatch.setattr(one.estates, "put", put)
        await one.mirror.close()
        await one.leaves(("42", "c1", ""))


async def test_an_instance_that_came_back_keeps_what_it_left(server: Redis) -> None:
    async with instances(server, 2) as (one, two):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        assert await two.estates.claim(one.estates._own)
        await two.estates.bury(one.estates._own)
        await one.leaves(("42", "c1", ""))


async def test_an_instance_that_was_taken_over_while_it_stood_still_writes_all_of_it_again(server: Redis) -> None:
    async with instances(server, 2) as (one, two):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        await one.kill()
        two.start()
        await two.has(("42", "c1", ""))
        await one.leaves()
        one.start()
        await one.leaves(("42", "c1", ""))


async def test_while_redis_is_away_it_is_tried_again_and_then_everything_is_written(
    server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with instances(server, 1) as (one,):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        server.kill()
        one.scene.connection("c2", "43")
        async with asyncio.timeout(20):
            while "grants are not mirrored: Redis" not in caplog.text:  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.005)
        server.start()
        await one.leaves(("42", "c1", ""), ("43", "c2", ""))
    assert caplog.text.count("grants are not mirrored") == 1


async def test_what_could_not_be_written_waits(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async with instances(server, 1) as (one,):
        one.scene.connection("c1", "42")
        await one.leaves(("42", "c1", ""))
        put, refused = one.estates.put, asyncio.Event()

        async def failing(left: Mapping[bytes, bytes], gone: list[bytes]) -> None:
            if not refused.is_set():
                refused.set()
                raise StoreFault("away")
            await put(left, gone)

        monkeypatch.setattr(one.estates, "put", failing)
        one.scene.registry.drop(("42", "c1", ""))
        await refused.wait()
        await one.leaves()


async def test_more_endings_than_can_be_remembered_have_everything_written_anew(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPARE", 10)
    async with instances(server, 1) as (one,):
        keys = [one.scene.connection(f"c{number}", "42").key for number in range(30)]
        await one.leaves(*keys)
        await one.kill()
        for key in keys[:29]:
            one.scene.registry.drop(key)
        assert one.mirror.backlog < 29
        one.start()
        await one.leaves(keys[29])


async def test_a_grant_that_cannot_be_written_stops_no_other(server: Redis) -> None:
    async with instances(server, 1) as (one,):
        one.scene.connection("c1", "42", meta='"\ud800"')
        one.scene.connection("c2", "43")
        await one.leaves(("43", "c2", ""))


def test_the_form_of_a_grant_is_that_of_the_dataclass() -> None:
    grant = Grant(holder="h", user="u", channel="", rule="r", revision="1", topics=("f:1", "f"), end_s=1, since_ms=2, decided_ms=3)
    written = module._written(grant)
    assert written
    read = module._read(written)
    assert read
    assert asdict(read) == asdict(grant)
