"""A storm on the whole service whose facts take 50 ms, in a time that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.app import create
from proxy.edge.flight import CROWD, Flight
from proxy.facts.lane import WIDTH
from proxy.policy.load import load
from tests.test_app import Caller, living
from tests.test_reload import settings

LOAD_S = 0.05
CLIENTS = 400
LATER = {"error": {"code": 111, "message": "too many requests", "temporary": True}}
POLICY = b"""language 1;
identity visitor { guest; }
fact member(key: string) -> bool { python "tests.test_overload:member"; timeout 60s; }
connect { allow when member(user); }
channel "chat:{doc}" { allow subscribe when member(vars.doc); }
channel "news:{x}" { allow subscribe; }
"""


class Source:
    """Where the facts come from; each load takes one step of the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self._running: list[asyncio.Future[bool]] = []

    def load(self, key: str) -> asyncio.Future[bool]:
        self.asked.append(key)
        self._running.append(asyncio.get_running_loop().create_future())
        return self._running[-1]

    async def settle(self) -> None:
        """Lets everything go on that needs no load to end."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def step(self) -> None:
        """Lets 50 ms pass."""
        await self.settle()
        self.now += LOAD_S
        ended, self._running = self._running, []
        assert len(ended) <= WIDTH
        for each in ended:
            each.set_result(True)
        await self.settle()


source = Source()


async def member(key: str) -> bool:
    """The fact of the policy."""
    return await source.load(key)


class Storm:
    """Clients that have connected or try to."""

    def __init__(self, caller: Caller, flight: Flight) -> None:
        self.caller, self.flight = caller, flight
        self._tasks: list[asyncio.Task[Any]] = []

    def hook(self, event: str, **fields: str) -> None:
        self._tasks.append(asyncio.create_task(self.caller.asked(event, None, **fields)))

    def answers(self, last: int) -> list[Any]:
        """Those of the last hooks, None where there is none yet."""
        return [task.result() if task.done() else None for task in self._tasks[-last:]]

    async def drain(self) -> list[Any]:
        """Steps until everybody is answered."""
        while not all(task.done() for task in self._tasks):
            await source.step()
        return self.answers(len(self._tasks))


@pytest.fixture
async def storm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storm]:
    monkeypatch.setattr(f"{__name__}.source", Source())
    policy = load({"a.policy": POLICY}).policy
    assert policy is not None
    service = create(settings(tmp_path), policy, {})
    flight = service.targets[b"/centrifugo/connect"]._flight
    flight._clock = lambda: source.now
    async with living(service) as caller:
        yield Storm(caller, flight)


async def rise(storm: Storm) -> None:
    """Have so many come that the last would wait for longer than a client does."""
    for number in range(CLIENTS):
        storm.hook("subscribe", channel=f"chat:{number}", client=f"c{number}")
    while not storm.flight.late():
        await source.step()


async def test_in_a_storm_newcomers_are_put_off_at_once_and_those_who_wait_are_served(storm: Storm) -> None:
    await rise(storm)
    before = len(source.asked)
    assert await storm.caller.asked("subscribe", channel="chat:new") == LATER
    assert await storm.caller.asked("connect", user="") == LATER
    token: httpx.Response = await storm.caller.client.post("/api/centrifugo/connection-token")
    assert (token.status_code, token.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert len(source.asked) == before
    assert all("result" in answer for answer in await storm.drain())
    storm.hook("subscribe", channel="chat:new")
    assert "result" in (await storm.drain())[-1]


async def test_in_a_storm_what_needs_nothing_to_be_loaded_is_answered(storm: Storm) -> None:
    await rise(storm)
    assert "result" in await storm.caller.asked("subscribe", channel="news:1")
    await storm.drain()


async def test_in_a_storm_renewals_are_decided_before_all_that_came_earlier(storm: Storm) -> None:
    await rise(storm)
    waiting = CLIENTS - len(source.asked)
    assert waiting > CROWD
    storm.hook("refresh", user="new")
    storm.hook("sub_refresh", channel="chat:old")
    for _ in range(2):
        await source.step()
    assert all(answer["result"]["expire_at"] for answer in storm.answers(2))
    await storm.drain()


async def test_the_age_of_the_oldest_is_told(storm: Storm) -> None:
    storm.hook("subscribe", channel="chat:1")
    await source.settle()
    source.now += 3
    assert "centrigate_oldest_wait_seconds 3.0" in (await storm.caller.client.get("/metrics")).text
    await storm.drain()
