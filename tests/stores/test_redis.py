"""A real Redis: shared limits, tables and news; and what happens while it is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from redis.asyncio.client import PubSub

from proxy.errors import SetupFault, StoreFault
from proxy.policy.decision import Limit
from proxy.stores import redis as module
from proxy.stores.redis import News, Shared, Table
from tests.live.redis import Redis, redis

ONE = Limit(rule="c/publish/1", rate=1, per_ms=60_000, burst=2, key=("42", "c"))


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with redis() as running:
        yield running


@pytest.fixture
async def shared(server: Redis) -> AsyncIterator[Shared]:
    made = Shared(server.url)
    await made.client.flushall()
    yield made
    await made.close()


@pytest.mark.parametrize("outcome", [None, TimeoutError("its own")])
async def test_a_cancellation_that_the_client_swallows_still_cancels(shared: Shared, outcome: TimeoutError | None) -> None:
    async def swallowing() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        if outcome:
            raise outcome

    task = asyncio.create_task(shared.call(swallowing()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bucket_is_one_for_all_replicas(server: Redis, shared: Shared) -> None:
    other = Shared(server.url)
    assert [await each.take(ONE) for each in (shared, other, shared, other)] == [True, True, False, False]
    await other.close()


async def test_every_rule_and_key_has_a_bucket_of_its_own(shared: Shared) -> None:
    alone = Limit(rule="c/publish/1", rate=1, per_ms=60_000, burst=1, key=("42", "c"))
    for limit in (
        alone,
        Limit(rule="c/publish/2", rate=1, per_ms=60_000, burst=1, key=("42", "c")),
        Limit(rule="c/publish/1", rate=1, per_ms=60_000, burst=1, key=("42c",)),
        Limit(rule="c/publish/1", rate=1, per_ms=60_000, burst=1, key=("42", "d")),
    ):
        assert await shared.take(limit)
    assert not await shared.take(alone)


async def test_a_bucket_fills_again_and_leaves_nothing_behind(shared: Shared) -> None:
    quick = Limit(rule="r", rate=100, per_ms=1000, burst=1, key=())
    assert await shared.take(quick)
    async with asyncio.timeout(5):
        while await shared.client.dbsize():  # noqa: ASYNC110 - Redis does it by itself
            await asyncio.sleep(0.005)
    assert await shared.take(quick)


@pytest.mark.usefixtures("shared")
async def test_many_takers_at_once_get_exactly_the_burst(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 10)
    patient = Shared(server.url)
    limit = Limit(rule="r", rate=1, per_ms=600_000, burst=50, key=("x",))
    assert sum(await asyncio.gather(*(patient.take(limit) for _ in range(200)))) == 50
    await patient.close()


async def test_a_script_that_redis_forgot_is_sent_again(shared: Shared) -> None:
    assert await shared.take(ONE)
    await shared.client.script_flush()
    assert await shared.take(ONE)


async def test_a_table_is_shared(server: Redis, shared: Shared) -> None:
    other = Shared(server.url)
    await Table(shared, "t").put("a", b"1")
    await Table(shared, "t").put("b", b"2")
    await Table(other, "t").put("a", b"3")
    await Table(other, "t").drop("b")
    await Table(other, "t").drop("c")
    assert await Table(shared, "t").items() == {"a": b"3"}
    assert await Table(shared, "u").items() == {}
    await other.close()


class Hearer:
    """Notes what it hears; a gap is None."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any] | None] = []
        self._changed = asyncio.Event()

    def hear(self, message: Mapping[str, Any]) -> None:
        self.heard.append(message)
        self._changed.set()

    def gap(self) -> None:
        self.heard.append(None)
        self._changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def listening(news: News) -> AsyncIterator[None]:
    task = asyncio.create_task(news.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_news_reach_every_replica(server: Redis, shared: Shared) -> None:
    other, first, second = Shared(server.url), Hearer(), Hearer()
    one, two = News(shared, first.hear, first.gap), News(other, second.hear, second.gap)
    async with listening(one), listening(two):
        await asyncio.gather(first.until(1), second.until(1))
        await one.tell({"topics": ["a"]})
        await two.tell({"topics": ["b"]})
        await asyncio.gather(first.until(3), second.until(3))
    assert first.heard == second.heard == [None, {"topics": ["a"]}, {"topics": ["b"]}]
    await other.close()


async def test_news_that_are_none_are_passed_over(shared: Shared) -> None:
    hearer = Hearer()
    async with listening(News(shared, hearer.hear, hearer.gap)):
        await hearer.until(1)
        for text in (b"garbage", b"[1]", b'{"a": 1}'):
            await shared.client.publish("centrigate:news", text)
        await hearer.until(2)
    assert hearer.heard == [None, {"a": 1}]


async def test_listening_ends_when_it_is_told_to_even_if_the_client_swallows_that(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = asyncio.Event()

    async def swallow(_self: PubSub, **_more: object) -> None:
        listening.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(PubSub, "get_message", swallow)
    task = asyncio.create_task(News(shared, lambda _message: None, lambda: None).run())
    await listening.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_connection_that_does_not_answer_when_it_is_asked_is_given_up(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(_self: PubSub, **_more: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(PubSub, "get_message", nothing)
    async with listening(News(shared, lambda _message: None, lambda: None)), asyncio.timeout(20):
        while "cannot be heard: Redis: TimeoutError" not in caplog.text:  # noqa: ASYNC110 - it happens by itself
            await asyncio.sleep(0.01)


async def test_a_quiet_connection_is_asked_whether_it_still_lives(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.02)
    news = News(shared, (hearer := Hearer()).hear, hearer.gap)
    async with listening(news):
        await hearer.until(1)
        before = (await shared.client.info("commandstats"))["cmdstat_ping"]["calls"] if await shared.client.ping() else 0
        async with asyncio.timeout(10):
            while (await shared.client.info("commandstats"))["cmdstat_ping"]["calls"] < before + 3:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        await news.tell({"a": 1})
        await hearer.until(2)
    assert hearer.heard == [None, {"a": 1}]


async def test_a_connection_that_fell_silent_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    with redis() as server:
        shared = Shared(server.url)
        hearer = Hearer()
        async with listening(News(shared, hearer.hear, hearer.gap)):
            await hearer.until(1)
            server.pause()
            await asyncio.sleep(0.2)
            server.resume()
            await hearer.until(2)
        await shared.close()
    assert hearer.heard[:2] == [None, None]


async def test_after_redis_was_away_a_gap_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    with redis() as server, caplog.at_level(logging.WARNING):
        shared, hearer = Shared(server.url), Hearer()
        news = News(shared, hearer.hear, hearer.gap)
        async with listening(news):
            await hearer.until(1)
            server.kill()
            with pytest.raises(StoreFault, match="Redis"):
                await news.tell({"a": 1})
            server.start()
            await hearer.until(2)
            await news.tell({"b": 2})
            await hearer.until(3)
        await shared.close()
    assert hearer.heard == [None, None, {"b": 2}]
    assert "news of other replicas cannot be heard" in caplog.text


async def test_while_redis_is_away_every_call_fails_soon_and_then_works_again() -> None:
    with redis() as server:
        shared = Shared(server.url)
        assert await shared.take(ONE)
        server.kill()
        for asked in (shared.take(ONE), shared.ping(), Table(shared, "t").items()):
            with pytest.raises(StoreFault, match="Redis: ConnectionError"):
                await asked
        server.start()
        await shared.ping()
        assert await shared.take(ONE)
        await shared.close()


async def test_a_redis_that_hangs_is_not_waited_for() -> None:
    with redis() as server:
        shared = Shared(server.url)
        await shared.ping()
        server.pause()
        with pytest.raises(StoreFault, match="Timeout"):
            await shared.take(ONE)
        server.resume()
        await shared.close()


def test_an_address_that_is_none_stops_the_start_without_showing_it() -> None:
    with pytest.raises(SetupFault, match="no address of a Redis") as fault:
        Shared("http://user:secret@host")
    assert "secret" not in str(fault.value)
