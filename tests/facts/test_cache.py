import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from proxy.errors import FactFault
from proxy.facts import cache as module
from proxy.facts.cache import CHANCES, JITTER, Facts
from proxy.policy.decision import Known, Lost
from proxy.policy.declared import Fact
from proxy.policy.types import INT, STRING, Misfit, Type, nullable
from tests.facts import scene


def declare(type_: Type = INT, **changes: object) -> Fact:
    """A fact `age(uid)` that is kept for ten seconds, two when there is nothing."""
    kept: dict[str, object] = {"name": "age", "ttl_ms": 10_000, "negative_ms": 2_000, "topics": ("account:{uid}", "everyone")}
    return scene.declare(type_, **(kept | changes))  # type: ignore[arg-type]  # fields by name


class Ages:
    """A loader that answers from a dict, counts, and waits at its gate."""

    def __init__(self, **values: object) -> None:
        self.values = values
        self.calls: list[object] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, arguments: Sequence[object], /) -> object:
        self.calls.append(arguments[0])
        self.started.set()
        value = self.values.get(str(arguments[0]))
        await self.gate.wait()
        if isinstance(value, BaseException):
            raise value
        return value

    async def probe(self) -> None:
        if "probe" in self.values:
            await self(("probe",))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def facts(loader: Ages, fact: Fact | None = None, clock: Clock | None = None, spread: float = 0.0) -> Facts:
    fact = fact or declare()
    return Facts({fact.name: fact}, {fact.name: loader}, now=clock or Clock(), spread=lambda: spread)


async def test_what_was_not_loaded_is_not_at_hand() -> None:
    assert facts(Ages(a=1)).get(("age", "a")) is None


async def test_a_loaded_fact_is_at_hand_without_another_load() -> None:
    loader = Ages(a=1)
    cache = facts(loader)
    before = time.time_ns() // 1_000_000
    loaded = await cache.load([("age", "a")])
    known = loaded["age", "a"]
    assert isinstance(known, Known)
    assert known.value == 1
    assert before <= known.at_ms <= time.time_ns() // 1_000_000
    assert cache.get(("age", "a")) is known
    assert await cache.load([("age", "a")]) == loaded
    assert loader.calls == ["a"]


async def test_keys_load_at_the_same_time() -> None:
    loader = Ages(a=1, b=2)
    loader.gate.clear()
    loading = asyncio.create_task(facts(loader).load([("age", "a"), ("age", "b")]))
    await loader.started.wait()
    await asyncio.sleep(0)
    assert loader.calls == ["a", "b"]
    loader.gate.set()
    assert {key: known.value for key, known in (await loading).items() if isinstance(known, Known)} == {("age", "a"): 1, ("age", "b"): 2}


async def test_one_load_serves_all_who_wait() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader)
    first = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    second = asyncio.create_task(cache.load([("age", "a")]))
    await asyncio.sleep(0)
    loader.gate.set()
    assert await first == await second
    assert loader.calls == ["a"]


async def test_a_waiter_that_gives_up_takes_nothing_from_the_others() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader)
    first = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    second = asyncio.create_task(cache.load([("age", "a")]))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    loader.gate.set()
    known = (await second)["age", "a"]
    assert isinstance(known, Known)
    assert cache.get(("age", "a")) is known


async def test_a_fact_ends_with_its_lifetime_counted_from_the_start_of_its_load() -> None:
    clock, loader = Clock(), Ages(a=1)
    loader.gate.clear()
    cache = facts(loader, clock=clock)
    loading = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    clock.now += 9
    loader.gate.set()
    await loading
    clock.now += 0.9
    assert cache.get(("age", "a"))
    clock.now += 0.1
    assert cache.get(("age", "a")) is None
    await cache.load([("age", "a")])
    assert loader.calls == ["a", "a"]


async def test_the_spread_cuts_a_lifetime_by_no_more_than_the_jitter() -> None:
    clock = Clock()
    cache = facts(Ages(a=1), clock=clock, spread=1.0)
    await cache.load([("age", "a")])
    clock.now += 10 * (1 - JITTER) - 0.01
    assert cache.get(("age", "a"))
    clock.now += 0.02
    assert cache.get(("age", "a")) is None


async def test_nothing_has_a_lifetime_of_its_own() -> None:
    clock = Clock()
    cache = facts(Ages(), declare(nullable(INT)), clock)
    loaded = await cache.load([("age", "a")])
    assert cache.get(("age", "a")) == loaded["age", "a"]
    assert cache.get(("age", "a")) == Known(value=None, at_ms=getattr(loaded["age", "a"], "at_ms", 0))
    clock.now += 2
    assert cache.get(("age", "a")) is None


async def test_a_fact_without_a_cache_is_loaded_each_time() -> None:
    loader = Ages(a=1)
    cache = facts(loader, declare(ttl_ms=0))
    for _ in range(2):
        assert isinstance((await cache.load([("age", "a")]))["age", "a"], Known)
        assert cache.get(("age", "a")) is None
    assert loader.calls == ["a", "a"]
    assert cache.invalidate(["account:a"]) == 0


async def test_the_oldest_that_was_not_used_lately_goes_first() -> None:
    loader = Ages(a=1, b=2, c=3)
    cache = facts(loader, declare(max_entries=2))
    await cache.load([("age", "a")])
    await cache.load([("age", "b")])
    assert cache.get(("age", "a"))
    await cache.load([("age", "c")])
    assert cache.get(("age", "a"))
    assert cache.get(("age", "b")) is None
    assert cache.get(("age", "c"))
    assert cache.invalidate(["everyone"]) == 2


async def test_what_is_used_is_passed_over_once_and_goes_when_it_is_not_used_again() -> None:
    cache = facts(Ages(**dict.fromkeys("abcdef", 1)), declare(max_entries=3))
    await cache.load([("age", name) for name in "abc"])
    assert cache.get(("age", "a"))
    for name in "def":
        await cache.load([("age", name)])
    assert [name for name in "abcdef" if cache.get(("age", name))] == ["d", "e", "f"]


async def test_where_all_are_used_the_one_that_came_first_goes() -> None:
    cache = facts(Ages(**dict.fromkeys("abcd", 1)), declare(max_entries=2))
    for name in "ab":
        await cache.load([("age", name)])
        assert cache.get(("age", name))
    for name, left in (("c", "bc"), ("d", "cd")):
        await cache.load([("age", name)])
        assert [each for each in "abcd" if cache.get(("age", each))] == list(left)


async def test_where_all_are_used_one_goes_without_looking_at_all_of_them() -> None:
    names = [f"p{number}" for number in range(4 * CHANCES)]
    cache = facts(Ages(**dict.fromkeys([*names, "last"], 1)), declare(max_entries=len(names)))
    await cache.load([("age", name) for name in names])
    await cache.load([("age", name) for name in names])
    await cache.load([("age", "last")])
    assert [name for name in names if not cache.get(("age", name))] == [names[CHANCES]]


async def test_a_failure_is_lost_with_its_reason_and_tried_again_next_time() -> None:
    loader = Ages(a=FactFault("database main: no such table: people"))
    cache = facts(loader)
    assert (await cache.load([("age", "a")]))["age", "a"] == Lost(why="database main: no such table: people")
    assert cache.get(("age", "a")) is None
    assert cache.invalidate(["account:a"]) == 0
    loader.values["a"] = 1
    assert isinstance((await cache.load([("age", "a")]))["age", "a"], Known)


async def test_what_a_loader_raises_unforeseen_is_lost_without_its_text() -> None:
    assert (await facts(Ages(a=RuntimeError("password=x"))).load([("age", "a")]))["age", "a"] == Lost(why="RuntimeError")


async def test_a_loader_that_is_cancelled_from_within_is_lost() -> None:
    assert (await facts(Ages(a=asyncio.CancelledError())).load([("age", "a")]))["age", "a"] == Lost(why="stopped")


async def test_a_value_of_another_type_is_lost_and_not_kept() -> None:
    cache = facts(Ages(a="old"))
    assert (await cache.load([("age", "a")]))["age", "a"] == Lost(why="expected int, found string")
    assert cache.get(("age", "a")) is None


async def test_nothing_is_lost_where_the_type_does_not_admit_it() -> None:
    assert (await facts(Ages()).load([("age", "a")]))["age", "a"] == Lost(why="expected int, found null")


async def test_a_fit_value_is_what_is_kept() -> None:
    def fit(value: object) -> object:
        if value == 3:
            raise Misfit("three")
        return [value]

    cache = facts(Ages(a=1, b=3), declare(fit=fit))
    loaded = await cache.load([("age", "a"), ("age", "b")])
    assert getattr(loaded["age", "a"], "value", None) == [1]
    assert loaded["age", "b"] == Lost(why="three")


async def test_a_late_load_is_lost_stopped_and_does_not_enter_the_cache() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader, declare(timeout_ms=1))
    assert (await cache.load([("age", "a")]))["age", "a"] == Lost(why="timeout")
    loader.gate.set()
    await cache.close()
    assert cache.get(("age", "a")) is None


async def test_a_loader_that_ignores_its_cancellation_does_not_delay_the_answer() -> None:
    ignored, end = asyncio.Event(), asyncio.Event()

    class Stubborn(Ages):
        async def __call__(self, _arguments: Sequence[object], /) -> object:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ignored.set()
                await end.wait()
            return 1

    cache = facts(Stubborn(), declare(timeout_ms=1))
    assert (await cache.load([("age", "a")]))["age", "a"] == Lost(why="timeout")
    await ignored.wait()
    end.set()
    await cache.close()


async def test_a_topic_drops_what_it_names_and_counts_it() -> None:
    cache = facts(Ages(a=1, b=2))
    await cache.load([("age", "a"), ("age", "b")])
    assert cache.invalidate(["account:a", "account:a", "account:z"]) == 1
    assert cache.get(("age", "a")) is None
    assert cache.get(("age", "b"))
    assert cache.invalidate(["everyone", "account:b"]) == 1
    assert cache.invalidate(["everyone", "account:a", "account:b"]) == 0


async def test_topics_are_written_with_the_arguments_as_json_has_them() -> None:
    fact = declare(parameters=("id", "flag"), topics=("doc:{id}:{flag}",))
    cache = facts(Ages(**{"7": 1, "{id}": 2}), fact)
    await cache.load([("age", 7, True), ("age", "{id}", False)])
    assert cache.invalidate(["doc:7:true"]) == 1
    assert cache.invalidate(["doc:{id}:false"]) == 1


async def test_a_fact_says_what_invalidates_it_also_where_it_is_lost() -> None:
    late, closed = Ages(c=3), Ages(c=3)
    cache = facts(Ages(a=1, b=FactFault("away"), d=ValueError(), e="no number"))
    found = {**await cache.load([("age", each) for each in "abde"])}
    late.gate.clear()
    found |= {**await facts(late, declare(timeout_ms=1)).load([("age", "c")])}
    closed.gate.clear()
    closing = facts(closed)
    waiting = asyncio.create_task(closing.load([("age", "f")]))
    await closed.started.wait()
    await closing.close()
    found |= {**await waiting}
    assert {key[1]: (type(fact), fact.topics) for key, fact in found.items()} == {
        each: (Known if each == "a" else Lost, (f"account:{each}", "everyone")) for each in "abcdef"
    }


async def test_two_topics_that_come_out_the_same_are_one() -> None:
    cache = facts(Ages(a=1), declare(parameters=("one", "two"), topics=("u:{one}", "u:{two}")))
    await cache.load([("age", "a", "a")])
    assert cache.invalidate(["u:a"]) == 1
    assert cache.invalidate(["u:a"]) == 0


async def test_an_invalidated_flight_answers_its_waiters_but_is_not_kept() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader)
    old = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    assert cache.invalidate(["account:a"]) == 1
    loader.gate.set()
    assert getattr((await old)["age", "a"], "value", None) == 1
    assert cache.get(("age", "a")) is None


async def test_who_asks_after_an_invalidation_does_not_join_the_old_flight() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader)
    old = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    cache.invalidate(["account:a"])
    loader.values["a"] = 2
    new = asyncio.create_task(cache.load([("age", "a")]))
    await asyncio.sleep(0)
    loader.gate.set()
    assert getattr((await new)["age", "a"], "value", None) == 2
    assert getattr((await old)["age", "a"], "value", None) == 1
    assert getattr(cache.get(("age", "a")), "value", None) == 2
    assert cache.invalidate(["account:a"]) == 1


async def test_a_fact_that_is_loaded_anew_is_listed_once() -> None:
    clock = Clock()
    cache = facts(Ages(a=1), clock=clock)
    await cache.load([("age", "a")])
    clock.now += 20
    await cache.load([("age", "a")])
    assert cache.invalidate(["account:a"]) == 1


async def test_a_failure_after_success_forgets_the_old_value() -> None:
    clock, loader = Clock(), Ages(a=1)
    cache = facts(loader, clock=clock)
    await cache.load([("age", "a")])
    clock.now += 20
    loader.values["a"] = FactFault("down")
    await cache.load([("age", "a")])
    clock.now -= 20
    assert cache.get(("age", "a")) is None


class Well:
    """A store that knows whether it answers."""

    def __init__(self, *, dry: bool = False) -> None:
        self.dry = dry
        self.closed = False

    async def ping(self) -> None:
        if self.dry:
            raise FactFault("dry")

    async def close(self) -> None:
        self.closed = True


async def test_a_ping_asks_every_store() -> None:
    await Facts({}, {}, [Well(), Well()]).ping()
    with pytest.raises(FactFault, match="dry"):
        await Facts({}, {}, [Well(), Well(dry=True)]).ping()


async def test_closing_loses_what_is_in_flight_and_closes_the_stores() -> None:
    loader, well, fact = Ages(a=1), Well(), declare(STRING)
    loader.gate.clear()
    cache = Facts({"age": fact}, {"age": loader}, [well])
    loading = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    await cache.close()
    assert (await loading)["age", "a"] == Lost(why="stopped")
    assert well.closed


async def test_closing_what_is_idle_waits_for_nothing() -> None:
    await Facts({}, {}).close()


def told(cache: Facts) -> list[tuple[str, set[str]]]:
    """What the cache tells from now on."""
    heard: list[tuple[str, set[str]]] = []
    cache.on_invalidated = lambda topics: heard.append(("topics", {*topics}))
    cache.on_missed = lambda names: heard.append(("facts", {*names}))
    return heard


async def test_who_wants_to_know_is_told_of_topics_whether_or_not_something_was_cached() -> None:
    cache = facts(Ages(a=1))
    heard = told(cache)
    await cache.load([("age", "a")])
    cache.on_invalidated = lambda topics: heard.append(("topics", {*topics})) if cache.get(("age", "a")) is None else None
    assert cache.invalidate(["account:a", "account:a"]) == 1
    assert cache.invalidate(["account:z"]) == 0
    assert heard == [("topics", {"account:a"}), ("topics", {"account:z"})]


async def test_a_fact_that_is_forgotten_is_loaded_anew_and_others_are_not() -> None:
    loader, other = Ages(a=1), Ages(a=2)
    fact, second = declare(), declare(name="size")
    cache = Facts({"age": fact, "size": second}, {"age": loader, "size": other}, now=Clock(), spread=lambda: 0)
    heard = told(cache)
    await cache.load([("age", "a"), ("size", "a")])
    cache.forget(frozenset(("age",)))
    assert cache.get(("age", "a")) is None
    assert cache.get(("size", "a"))
    assert heard == [("facts", {"age"})]
    assert cache.invalidate(["account:a"]) == 1


async def test_a_flight_that_is_forgotten_is_not_kept() -> None:
    loader = Ages(a=1)
    loader.gate.clear()
    cache = facts(loader)
    loading = asyncio.create_task(cache.load([("age", "a")]))
    await loader.started.wait()
    cache.forget(frozenset(("age",)))
    loader.gate.set()
    assert isinstance((await loading)["age", "a"], Known)
    assert cache.get(("age", "a")) is None


class Ear:
    """A listener that says what a test wants."""

    facts = frozenset(("age",))

    def __init__(self) -> None:
        self.heard: Callable[[Sequence[str]], object] | None = None
        self.missed: Callable[[], object] | None = None
        self.began, self.ended = asyncio.Event(), False

    async def run(self, heard: Callable[[Sequence[str]], object], missed: Callable[[], object], /) -> None:
        self.heard, self.missed = heard, missed
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_a_listener_drops_what_it_hears_of_and_everything_after_a_gap() -> None:
    ear, fact = Ear(), declare()
    cache = Facts({"age": fact}, {"age": Ages(a=1, b=2)}, [], [ear], now=Clock())
    await cache.start()
    await ear.began.wait()
    assert ear.heard
    assert ear.missed
    await cache.load([("age", "a"), ("age", "b")])
    ear.heard(["account:a"])
    assert cache.get(("age", "a")) is None
    assert cache.get(("age", "b"))
    ear.missed()
    assert cache.get(("age", "b")) is None
    await cache.close()
    assert ear.ended


async def test_a_probe_names_the_trouble_of_each_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.01)
    loaders = {"fine": Ages(), "bad": Ages(probe=FactFault("no such table")), "odd": Ages(probe=KeyError("x")), "slow": Ages(probe=1)}
    loaders["slow"].gate.clear()
    found = await Facts({name: declare(name=name) for name in loaders}, loaders).probe()
    assert found == {"fine": "", "bad": "no such table", "odd": "KeyError", "slow": "no answer within 0.01 s"}


async def test_nobody_needs_to_be_told() -> None:
    cache = facts(Ages())
    assert cache.invalidate(["account:a"]) == 0
    cache.forget(frozenset(("age",)))
