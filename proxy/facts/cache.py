"""The facts at hand: cached by key, loaded once for all who wait, dropped by topic."""

import asyncio
import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeAlias

import orjson

from proxy.errors import FactFault
from proxy.policy.decision import FactKey, Known, Lost
from proxy.policy.declared import Fact
from proxy.policy.types import Misfit

JITTER = 0.05
"""How much of a lifetime may be cut off, so that what was loaded together does not end together."""

PROBE_SECONDS = 5.0

CLOSE_SECONDS = 5.0
"""How long closing waits for loads that were told to end."""

CHANCES = 16
"""How many values that were used lately are passed over before one goes all the same."""


_Topic: TypeAlias = tuple[str, Sequence[int]]
"""How a topic is written, and which parts of a fact's key are filled in."""

_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class Loader(Protocol):
    """Loads one fact for its arguments, in the order of its parameters; None when there is nothing.

    It may raise anything and may be cancelled; how many loads run at once is for it to bound.
    """

    async def __call__(self, arguments: Sequence[object], /) -> object:
        """The value, not yet fitted to its type."""

    async def probe(self) -> None:
        """Returns when it could load; raises `FactFault` that says why not."""


class Store(Protocol):
    """What loaders read from, as far as operators care."""

    async def ping(self) -> None:
        """Returns when it answers; raises `FactFault` when it does not."""

    async def close(self) -> None:
        """Lets go of its connections."""


class Listener(Protocol):
    """Hears from a source which topics have changed."""

    @property
    def facts(self) -> frozenset[str]:
        """The facts that the source has, by name."""

    async def run(self, heard: Callable[[Sequence[str]], object], missed: Callable[[], object], /) -> None:
        """Runs until it is cancelled: `heard` gets topics, `missed` is called when some may have been missed."""


@dataclass(slots=True)
class _Kept:
    """A value, until when it counts, and whether it was used since it came or was passed over."""

    until: float
    known: Known
    used: bool = False


class Facts:
    """Every fact of a policy, by key: the fact's name, then its arguments.

    A lifetime counts from the start of the load, on a clock that only goes forward, and is shortened by up to `JITTER`; above
    `max_entries` of a fact the oldest that were not used lately go. Only values that fit their type are kept. A failure is kept for
    nobody but those who wait for it, so a source that came back is used at once.

    `on_invalidated` is told of topics that have changed, whether or not anything was cached for them; `on_missed` gets the names of
    facts when notifications of their source may have been missed. Both are called after the cache has forgotten, must be quick and
    must not raise. `now` gives seconds, `spread` a number from 0 to 1.
    """

    def __init__(
        self,
        facts: Mapping[str, Fact],
        loaders: Mapping[str, Loader],
        stores: Sequence[Store] = (),
        listeners: Sequence[Listener] = (),
        *,
        now: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._facts: Mapping[object, Fact] = dict(facts.items())
        self._topics: Mapping[object, Sequence[_Topic]] = {
            name: [_form(fact, topic) for topic in fact.topics] for name, fact in facts.items()
        }
        self._loaders = loaders
        self._stores = stores
        self._listeners = listeners
        self._ears: set[asyncio.Task[None]] = set()
        self.on_invalidated: Callable[[frozenset[str]], object] = _nobody
        self.on_missed: Callable[[frozenset[str]], object] = _nobody
        self._now = now
        self._spread = spread
        self._kept: dict[object, OrderedDict[FactKey, _Kept]] = {name: OrderedDict() for name in facts}
        self._flights: dict[FactKey, asyncio.Task[Known | Lost]] = {}
        self._listed: dict[str, set[FactKey]] = {}  # by topic: the keys that are kept or in flight
        self._works: set[asyncio.Task[Known | Lost]] = set()
        self._flying: set[asyncio.Task[Known | Lost]] = set()

    def get(self, key: FactKey, /) -> Known | None:
        """The fact, or None when it must be loaded."""
        kept = self._kept[key[0]].get(key)
        if kept is None or kept.until <= self._now():
            return None
        kept.used = True
        return kept.known

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        """All of `keys`, loaded at the same time; those that failed or were late are `Lost`. Cancelling it stops no load."""
        found: dict[FactKey, Known | Lost] = {}
        flights: dict[FactKey, asyncio.Task[Known | Lost]] = {}
        for key in keys:
            if known := self.get(key):
                found[key] = known
            else:
                flights[key] = self._flights.get(key) or self._launch(key)
        if flights:
            await asyncio.wait(flights.values())
        return found | {key: flight.result() for key, flight in flights.items()}

    def invalidate(self, topics: Iterable[str]) -> int:
        """Drops what the topics name and gives the number of keys; a load in flight still answers who waits, but is not kept."""
        named = frozenset(topics)
        gone = {key for topic in named for key in self._listed.get(topic, ())}
        self._drop(gone)
        self.on_invalidated(named)
        return len(gone)

    def forget(self, names: frozenset[str]) -> None:
        """Drops everything of the facts with these names, since what was said of them may have been missed."""
        self._drop([key for name in names for key in self._kept[name]] + [key for key in self._flights if key[0] in names])
        self.on_missed(names)

    async def start(self) -> None:
        """Begins to listen to the sources that tell what changes; returns at once."""
        for listener in self._listeners:
            self._ears.add(asyncio.create_task(listener.run(self.invalidate, partial(self.forget, listener.facts))))

    async def probe(self) -> Mapping[str, str]:
        """Tries how each fact would be loaded: what is wrong, or nothing, by its name."""
        return dict(zip(self._loaders, await asyncio.gather(*map(_trouble, self._loaders.values())), strict=True))

    async def ping(self) -> None:
        """Returns when every source answers; raises `FactFault` for one that does not."""
        await asyncio.gather(*(store.ping() for store in self._stores))

    async def close(self) -> None:
        """Ends the loads in flight (they are `Lost`) and the listening, and closes the sources."""
        for task in (*self._works, *self._ears):
            task.cancel()
        if running := self._works | self._flying | self._ears:
            await asyncio.wait(running, timeout=CLOSE_SECONDS)
        await asyncio.gather(*(store.close() for store in self._stores))

    def _topics_of(self, key: FactKey) -> tuple[str, ...]:
        """The topics that drop this key of a declared fact, with its arguments filled in."""
        return tuple([form % tuple([_text(key[at]) for at in places]) for form, places in self._topics[key[0]]])

    def _drop(self, keys: Collection[FactKey]) -> None:
        for key in keys:
            self._kept[key[0]].pop(key, None)
            self._flights.pop(key, None)
            self._unlist(key)

    def _launch(self, key: FactKey) -> asyncio.Task[Known | Lost]:
        self._kept[key[0]].pop(key, None)
        topics = self._topics_of(key)
        for topic in topics:
            self._listed.setdefault(topic, set()).add(key)
        flight = self._flights[key] = _owned(self._flying, self._fly(key, topics))
        return flight

    async def _fly(self, key: FactKey, topics: tuple[str, ...]) -> Known | Lost:
        started, fact = self._now(), self._facts[key[0]]
        work = _owned(self._works, self._read(fact, key))
        # not wait_for, which would go on waiting until a query that does not listen has ended
        await asyncio.wait({work}, timeout=fact.timeout_ms / 1000)
        outcome = replace(_outcome(work), topics=topics)
        if self._flights.get(key) is asyncio.current_task():
            del self._flights[key]
            self._keep(fact, key, outcome, started)
        return outcome

    async def _read(self, fact: Fact, key: FactKey) -> Known | Lost:
        at_ms = time.time_ns() // 1_000_000
        try:
            value = await self._loaders[fact.name](key[1:])
            fitted = None if value is None and fact.nullable else fact.fit(value)
        except (FactFault, Misfit) as failure:
            return Lost(why=str(failure))
        except Exception as failure:  # noqa: BLE001 - whatever a source does, it is a lost fact and no more
            return Lost(why=type(failure).__name__)
        return Known(value=fitted, at_ms=at_ms)

    def _keep(self, fact: Fact, key: FactKey, outcome: Known | Lost, started: float) -> None:
        lifetime_ms = fact.negative_ms if isinstance(outcome, Known) and outcome.value is None else fact.ttl_ms
        if isinstance(outcome, Lost) or not lifetime_ms:
            self._unlist(key)
            return
        kept = self._kept[fact.name]
        if len(kept) >= fact.max_entries:
            self._unlist(_parted(kept))
        kept[key] = _Kept(started + lifetime_ms / 1000 * (1 - JITTER * self._spread()), outcome)

    def _unlist(self, key: FactKey) -> None:
        for topic in self._topics_of(key):
            if keys := self._listed.get(topic):
                keys.discard(key)
                if not keys:
                    del self._listed[topic]


def _parted(kept: OrderedDict[FactKey, _Kept]) -> FactKey:
    """Take out one of them: moving each to the end whenever it is used would cost more than looking it up."""
    for _ in range(CHANCES):
        key, oldest = next(iter(kept.items()))
        if not oldest.used:
            break
        oldest.used = False
        kept.move_to_end(key)
    return kept.popitem(last=False)[0]


def _owned(owner: set[asyncio.Task[Known | Lost]], work: Coroutine[object, object, Known | Lost]) -> asyncio.Task[Known | Lost]:
    task = asyncio.create_task(work)
    owner.add(task)
    task.add_done_callback(owner.discard)
    return task


async def _trouble(loader: Loader) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await loader.probe()
    except FactFault as failure:
        return str(failure)
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except Exception as failure:  # noqa: BLE001 - whatever a source does, it is a trouble and no more
        return type(failure).__name__
    return ""


def _nobody(_told: frozenset[str]) -> None:
    """Whom a cache tells that nobody listens to."""


def _form(fact: Fact, topic: str) -> _Topic:
    places = {name: at for at, name in enumerate(fact.parameters, 1)}
    return _PARAMETER.sub("%s", topic.replace("%", "%%")), [places[name] for name in _PARAMETER.findall(topic)]


def _text(argument: object) -> str:
    return argument if isinstance(argument, str) else orjson.dumps(argument).decode()


def _outcome(work: asyncio.Task[Known | Lost]) -> Known | Lost:
    if not work.done():
        work.cancel()
        return Lost(why="timeout")
    return Lost(why="stopped") if work.cancelled() else work.result()
