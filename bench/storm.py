"""Facts: what a cached one adds to a decision, and a cold storm of users whose facts are loaded one by one or many at once."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import uvloop
from sqlalchemy import event

from bench import byhand, calls, sample
from bench.calls import Candidate
from bench.ratios import CONTROL, Findings, Interval, interval
from bench.rounds import paired
from proxy.facts import sources
from proxy.facts.cache import Facts
from proxy.facts.database import Database
from proxy.policy.decision import Allow, Known, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from tests.live.postgres import postgres

USERS: Final = 10_000
FACTS: Final = 2
IN_FLIGHT: Final = 1024
"""Hooks in work at once, as `CENTRIGATE_MAX_IN_FLIGHT` has it unless it is set."""

BATCH: Final = 64
ROUNDS: Final = 3
CACHED_GOAL: Final = 0.67
"""It stands for 1 µs where the decision by hand takes 1.5 µs."""

STORM_GOAL: Final = 0.5
_CACHED_SLACK: Final = 0.1
_STORM_SLACK: Final = 0.3
_ROWS: Final = 20_000

_FACTS: Final = """language 1;
database main {{ url env MAIN; }}
fact account(uid: string) -> {{ suspended: bool }}? {{
  sql main "select suspended from accounts where id = :uid"; cache 24h; timeout 30s; {batch}
}}
fact doc_member(doc: string, uid: string) -> {{ role: string }}? {{
  sql main "select role from doc_members where doc_id = :doc and user_id = :uid"; cache 24h; timeout 30s; {batch}
}}
connect {{ allow when account(user) != null && doc_member("1", user) != null; }}
"""
_TABLES: Final = (
    "create table accounts (id varchar(20) primary key, suspended boolean)",
    "create table doc_members (doc_id varchar(20), user_id varchar(20), role varchar(20), primary key (doc_id, user_id))",
)
_NUMBERS: Final = {
    "sqlite": f"with recursive n(i) as (select 0 union all select i + 1 from n where i < {_ROWS - 1})",  # noqa: S608 - a constant
    "postgresql": f"with n(i) as (select generate_series(0, {_ROWS - 1}))",
}
_INSERTS: Final = (
    "insert into accounts {numbers} select 'user' || i, false from n",
    "insert into doc_members {numbers} select 'doc' || (i % 20), 'user' || i, 'editor' from n",
)


# ---- what a cached fact adds


class Difference:
    """What one candidate takes longer than another, for each fact that it reads."""

    def __init__(self, name: str, more: calls.Rig, less: calls.Rig) -> None:
        self.name, self._more, self._less = name, more, less

    async def slice(self) -> float:
        """Time both, one after the other."""
        return (await self._more.slice() - await self._less.slice()) / FACTS


def cached() -> Findings:
    """Compare a subscribe that reads two cached facts with one that reads none and decides without conditions."""
    return asyncio.run(_cached())


async def _cached() -> Findings:
    requests = [request for request in sample.requests("subscribe") if request.user][: sample.INPUTS]
    author, policy, plain = byhand.Author(""), sample.policy(1), _plain()
    at_hand = sample.facts("subscribe")
    byhands = Candidate(
        name="by hand",
        call=author.decide,
        inputs=[(request, at_hand) for request in requests],
        expected=[author.decide(request, at_hand) for request in requests],
    )
    allowed = [request for request in requests if isinstance(policy.decide(request, at_hand), Allow)]
    allowed = (allowed * 2)[: sample.INPUTS]
    facts = await _warm(policy, at_hand)
    rigs = [calls.Rig(_deciding("facts cached", policy, allowed, facts)), calls.Rig(_deciding("no facts", plain, allowed, facts))]
    name = "a cached fact adds"
    found = await paired(
        calls.Rig(byhands), [calls.Rig(replace(byhands, name=CONTROL)), Difference(name, *rigs), *rigs], {name: CACHED_GOAL}
    )
    return Findings(
        yardstick="a decision by hand, which stands for 1.5 µs",
        intervals=found,
        goals={name: CACHED_GOAL},
        slack=_CACHED_SLACK,
        notes=["what a fact adds includes the conditions that read it: the policy without facts has none"],
    )


def _plain() -> Policy:
    """The sample's channel with nothing to find out."""
    text = b'language 1;\nchannel "chat:doc-{doc}" { allow subscribe info = {"role": "editor"} expire 5m; }\n'
    found = load({"a.policy": text}).policy
    assert found is not None
    return found


async def _warm(policy: Policy, at_hand: Mapping[tuple[object, ...], Known]) -> Facts:
    """The real cache, filled with what the sample knows."""
    declared = {name: replace(fact, ttl_ms=86_400_000, negative_ms=86_400_000) for name, fact in policy.facts.items()}
    facts = Facts(declared, {name: _Given(name, at_hand) for name in declared})
    await facts.load(list(at_hand))
    return facts


class _Given:
    """A loader of what is known already."""

    def __init__(self, name: str, at_hand: Mapping[tuple[object, ...], Known]) -> None:
        self._name, self._at_hand = name, at_hand

    async def __call__(self, arguments: Sequence[object], /) -> object:
        return self._at_hand[self._name, *arguments].value

    async def probe(self) -> None:
        """Nothing can be wrong."""


def _deciding(name: str, policy: Policy, requests: Sequence[Request], facts: Facts) -> Candidate:
    expected = [policy.decide(request, facts) for request in requests]
    assert all(isinstance(each, Allow) for each in expected)
    return Candidate(name=name, call=policy.decide, inputs=[(request, facts) for request in requests], expected=expected)


# ---- a cold storm


def sqlite() -> Findings:
    """Storm a SQLite file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "storm.db"
        with sqlite3.connect(file) as connection:
            for statement in _statements("sqlite"):
                connection.execute(statement)
        connection.close()
        return uvloop.run(_storms("SQLite", f"sqlite:///{file}"))


def postgresql() -> Findings:
    """Storm a PostgreSQL server of its own, if it is installed."""
    try:
        with postgres() as server:
            return uvloop.run(_filled(server.url))
    except AssertionError as error:
        nothing = Interval(median=1, low=1, high=1)
        return Findings(yardstick="nothing", intervals={CONTROL: nothing}, notes=[f"left out: {error}"])


def _statements(kind: str) -> Sequence[str]:
    return [*_TABLES, *(insert.format(numbers=_NUMBERS[kind]) for insert in _INSERTS)]


async def _filled(url: str) -> Findings:
    connection = await asyncpg.connect(url)
    await connection.execute(";".join((*_statements("postgresql"), "analyze accounts", "analyze doc_members")))
    await connection.close()
    return await _storms("PostgreSQL", url)


async def _storms(kind: str, url: str) -> Findings:
    """Storm without and with batches by turns, each time with nothing in the cache."""
    alone, together = [await _storm(url, 1)], []
    for _ in range(ROUNDS):
        together.append(await _storm(url, BATCH))
        alone.append(await _storm(url, 1))
    seconds = [spent for spent, _ in alone]
    ratios = [2 * spent / (before + after) for (spent, _), (before, after) in zip(together, pairwise(seconds), strict=True)]
    name = f"batch {BATCH} on {kind}"
    return Findings(
        yardstick="the same storm without batches",
        intervals={CONTROL: interval([after / before for before, after in pairwise(seconds)]), name: interval(ratios)},
        goals={name: STORM_GOAL},
        slack=_STORM_SLACK,
        amounts={
            f"{USERS:,} users x {FACTS} facts on {kind}, queries": alone[0][1],
            f"with batch {BATCH}, queries": together[0][1],
            "without, s": min(seconds),
            f"with batch {BATCH}, s": min(spent for spent, _ in together),
        },
    )


async def _storm(url: str, batch: int) -> tuple[float, int]:
    """The seconds and the queries of one storm."""
    async with _opened(url, batch) as (facts, asked):
        first = iter(range(USERS))
        began = time.perf_counter()
        await asyncio.gather(*(_hooks(facts, first) for _ in range(IN_FLIGHT)))
        return time.perf_counter() - began, len(asked)


async def _hooks(facts: Facts, numbers: Iterator[int]) -> None:
    """One hook after the other, each with a user that nobody knows yet."""
    for number in numbers:
        uid = f"user{number}"
        found = await facts.load([("account", uid), ("doc_member", f"doc{number % 20}", uid)])
        assert all(isinstance(each, Known) and each.value for each in found.values()), found


@asynccontextmanager
async def _opened(url: str, batch: int) -> AsyncIterator[tuple[Facts, list[str]]]:
    """The facts of a policy, warm but for the cache; and every query from now on."""
    text = _FACTS.format(batch=f"batch {batch};" if batch > 1 else "")
    policy = load({"a.policy": text.encode()}).policy
    assert policy is not None
    facts = sources.build(policy, {"MAIN": url})
    (database,) = facts._stores  # noqa: SLF001 - to count what it does
    assert isinstance(database, Database)
    await asyncio.gather(*(database.ping() for _ in range(8)))
    asked: list[str] = []
    event.listen(database._engine.sync_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))  # noqa: SLF001 - as above
    try:
        yield facts, asked
    finally:
        await facts.close()
