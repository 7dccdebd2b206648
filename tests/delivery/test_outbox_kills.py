"""Durable publications while the service and Centrifugo are killed and the disk is full: all arrive, in order, none twice.

Centrifugo keeps its histories and the idempotency keys in a Redis that lives on: its memory engine would lose both with the process,
and what it had said it had.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.delivery.outbox_world import Caller, Program, centrifugo, history, service
from tests.live.postgres import postgres
from tests.live.redis import redis

pytestmark = pytest.mark.live

PATIENCE_S = 100
SEED = 20_251


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Program]:
    with redis() as broker:
        program = centrifugo(tmp_path, broker.url.removesuffix("/0"))
        program.start()
        yield program
        program.kill()


def callers(gateways: Sequence[Program], count: int) -> Mapping[str, Caller]:
    """Each has a channel of its own and one of the gateways; every other one sends one publication a call, the rest ten."""
    channels = [f"chat:{n}" for n in range(count)]
    return {channel: Caller(gateways[n // 2 % len(gateways)].port, channel, 1 + n % 2 * 9) for n, channel in enumerate(channels)}


async def arrived(upstream: Program, channels: Sequence[str], expected: list[int]) -> None:
    """Wait until the last number is in every history, and look at all of it."""
    await upstream.ready()
    async with asyncio.timeout(PATIENCE_S):
        for channel in channels:
            numbers = await _numbers(upstream, channel)
            while numbers[-1:] != expected[-1:]:
                await asyncio.sleep(0.05)
                numbers = await _numbers(upstream, channel)
            assert numbers == expected, channel


async def _numbers(upstream: Program, channel: str) -> list[int]:
    return [each["n"] for each in await history(upstream.port, channel)]


class Havoc:
    """Kills one of several programs at random moments, each so many times; those with a disk find it full now and then."""

    def __init__(self, programs: Mapping[str, Program], disks: Sequence[str], times: int) -> None:
        self._programs, self._disks = programs, disks
        self._whole = {name: asyncio.Lock() for name in programs}
        self._left = [*programs, *["full"] * len(disks)] * times
        self._dice = random.Random(SEED)  # noqa: S311 - the same crashes each time

    async def run(self, done: Callable[[], float]) -> None:
        """Until nothing is left to do; `done` is the part of the work that is, and each moment is a random one of it, before its end."""
        self._dice.shuffle(self._left)
        async with asyncio.TaskGroup() as group:
            for what, moment in zip(self._left, sorted(self._dice.uniform(0.02, 0.9) for _ in self._left), strict=True):
                while done() < moment:  # noqa: ASYNC110 - it is told by nobody
                    await asyncio.sleep(0.005)
                name = self._dice.choice(self._disks) if what == "full" else what
                await self._whole[name].acquire()
                assert done() < 1
                group.create_task((self._fill if what == "full" else self._crash)(name, self._dice.uniform(0.1, 0.4)))

    async def _fill(self, name: str, seconds: float) -> None:
        self._programs[name].limit(4096)
        await asyncio.sleep(seconds)
        self._programs[name].limit(None)
        self._whole[name].release()

    async def _crash(self, name: str, seconds: float) -> None:
        self._programs[name].kill()
        await asyncio.sleep(seconds)
        self._programs[name].start()
        await self._programs[name].ready()
        self._whole[name].release()


async def storm(havoc: Havoc, calling: Mapping[str, Caller], each: int) -> None:
    """Publish so many in each channel meanwhile, and wait for the end of both."""
    whole = each * len(calling)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(havoc.run(lambda: sum(caller.accepted for caller in calling.values()) / whole))
        for caller in calling.values():
            group.create_task(caller.publish(0, each))


async def test_20000_survive_crashes_of_both_and_a_full_disk(tmp_path: Path, upstream: Program) -> None:
    gateway = service(tmp_path, upstream.port, f"sqlite:///{tmp_path}/outbox.db")
    gateway.start()
    havoc = Havoc({"service": gateway, "centrifugo": upstream}, ["service"], 4)
    try:
        await asyncio.gather(gateway.ready(), upstream.ready())
        calling = callers([gateway], 100)
        await storm(havoc, calling, 200)
        for program in (gateway, upstream):
            program.kill()
            program.start()
        await arrived(upstream, [*calling], [*range(200)])
    finally:
        gateway.kill()
    # A full disk is said, a crash is not.
    assert 0 < sum(caller.refused for caller in calling.values()) < sum(caller.repeated for caller in calling.values())


async def test_two_replicas_on_one_database_survive_crashes_of_each_other(tmp_path: Path, upstream: Program) -> None:
    with postgres() as database:
        gateways = [service(tmp_path, upstream.port, database.url) for _ in range(2)]
        havoc = Havoc({"one": gateways[0], "other": gateways[1], "centrifugo": upstream}, [], 1)
        try:
            for gateway in gateways:
                gateway.start()
            await asyncio.gather(*(each.ready() for each in (*gateways, upstream)))
            calling = callers(gateways, 40)
            await storm(havoc, calling, 50)
            await arrived(upstream, [*calling], [*range(50)])
        finally:
            for gateway in gateways:
                gateway.kill()


async def test_a_graceful_stop_delivers_what_was_accepted(tmp_path: Path, upstream: Program) -> None:
    gateway = service(tmp_path, upstream.port, f"sqlite:///{tmp_path}/outbox.db")
    gateway.start()
    try:
        await asyncio.gather(gateway.ready(), upstream.ready())
        calling = callers([gateway], 20)
        await asyncio.gather(*(caller.publish(0, 50) for caller in calling.values()))
        assert await asyncio.to_thread(gateway.stop) == 0
        for channel in calling:
            assert await _numbers(upstream, channel) == [*range(50)]
    finally:
        gateway.kill()


async def test_what_waits_for_centrifugo_goes_out_when_it_comes_up(tmp_path: Path, upstream: Program) -> None:
    upstream.kill()
    gateway = service(tmp_path, upstream.port, f"sqlite:///{tmp_path}/outbox.db")
    gateway.start()
    try:
        await gateway.ready()
        calling = callers([gateway], 10)
        await asyncio.gather(*(caller.publish(0, 20) for caller in calling.values()))
        assert sum(caller.repeated for caller in calling.values()) == 0
        upstream.start()
        await arrived(upstream, [*calling], [*range(20)])
    finally:
        gateway.kill()
