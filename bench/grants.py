"""What it costs to know what was allowed: CPU for each subscribe hook, memory for each grant; and what a shadow policy costs beside it.

Hooks are complete, in process. Their clients are new in every slice, as those are that come to a service; to renew a grant takes less, and
stands beside.
"""

import asyncio
import gc
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from mmap import PAGESIZE
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar
from unittest.mock import patch

import psutil
import uvloop

from bench import service
from bench.ratios import CONTROL, Findings, Interval, interval
from bench.rounds import paired
from bench.slices import Candidate, Rig
from proxy import app, records
from proxy.grants.grant import Grant, Key
from proxy.grants.ledger import Ledger
from proxy.grants.registry import Registry
from proxy.grants.revocation import Ground, Revocation
from proxy.hooks import leases
from proxy.policy.decision import Allow, FactKey, Known, Request
from proxy.policy.load import load
from proxy.review.shadow import Shadow
from proxy.wire.requests import decode_subscribe

HOOK_GOAL: Final = 1.15
MEMORY_GOAL: Final = 1.0
OTHERS: Final = 20_000
"""Grants of others that are held while hooks are measured."""

HELD: Final = 60_000
"""Grants that are made each time memory is measured."""

TIMES: Final = 4
T = TypeVar("T")

_MEMORY_SLACK: Final = 0.3
_KIB: Final = 1024
_PLAIN: Final = "hooks that note nothing"
_NEW: Final = "a new grant for each hook"
_RENEWED: Final = "a grant renewed by each hook"
_ALONE: Final = "hooks without a shadow policy"
_NOTED: Final = "noted for a shadow policy"
_COMPARED: Final = "noted, and compared with it"


# ---- CPU of hooks


class Prepared(Rig):
    """A candidate that is put back before each slice; what is done `after` its hooks belongs to the slice."""

    def __init__(self, candidate: Candidate, before: Callable[[], None], after: Callable[[], None]) -> None:
        super().__init__(candidate, service.requests())
        self._before, self._after = before, after

    async def slice(self) -> int:
        """Time all requests, and what belongs to them."""
        self._before()
        spent = await super().slice()
        began = time.thread_time_ns()
        self._after()
        return spent + time.thread_time_ns() - began


class Turns:
    """Rigs that take turns: one that ran for every second slice would find its memory warmer than what it is compared with."""

    def __init__(self, rigs: Sequence[Rig]) -> None:
        self.name = rigs[0].name
        self._rigs = deque(rigs)

    async def rehearse(self) -> None:
        """Rehearse all."""
        for rig in self._rigs:
            await rig.rehearse()

    async def slice(self) -> int:
        """Have the next one time all requests."""
        self._rigs.rotate()
        return await self._rigs[0].slice()


def registry(others: int = OTHERS) -> Findings:
    """Compare hooks whose subscriptions are noted with those of a service that notes none."""
    return uvloop.run(_registry(others))


async def _registry(others: int) -> Findings:
    made: list[Revocation] = []
    async with AsyncExitStack() as stack:
        with patch.object(app, "Revocation", _forgetful):
            plain, other = [await stack.enter_async_context(service.opened(_PLAIN)) for _ in range(2)]
        with patch.object(app, "Revocation", _kept(Revocation, made)):
            noting = await stack.enter_async_context(service.opened(_NEW))
        held = made[0].registry
        _fill(made[0].ledger, range(others))
        new = [(asked["user"], asked["client"], asked["channel"]) for asked in map(service.asked, range(len(service.MEMBERS)))]

        def leave() -> None:
            for key in new:
                held.drop(key)

        yardstick = Turns([Prepared(each, _nothing, _nothing) for each in (plain, other)])
        rigs = [
            Prepared(replace(plain, name=CONTROL), _nothing, _nothing),
            Prepared(noting, leave, made[0].ledger.write),
            Prepared(replace(noting, name=_RENEWED), _nothing, made[0].ledger.write),
        ]
        found = await _measured(yardstick, rigs, (_NEW,))
        assert len(held) == others + len(service.MEMBERS)
    return Findings(yardstick=_PLAIN, intervals=found, goals={_NEW: HOOK_GOAL})


def shadow() -> Findings:
    """Compare hooks beside which a shadow policy is asked with those of a service that has none."""
    return uvloop.run(_shadow())


async def _shadow() -> Findings:
    made: list[Waiting] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        (folder / "shadow.policy").write_bytes(service.POLICY)
        plain = await stack.enter_async_context(service.opened(_ALONE))
        with patch.object(records, "Shadow", _kept(Waiting, made)):
            beside = await stack.enter_async_context(service.opened(_NOTED, shadow_policies=folder))
        waiting = made[0]
        yardstick = Prepared(plain, _nothing, _nothing)
        rigs = [
            Prepared(replace(plain, name=CONTROL), _nothing, _nothing),
            Prepared(beside, waiting.forget, _nothing),
            Prepared(replace(beside, name=_COMPARED), waiting.forget, waiting.compare),
        ]
        found = await _measured(yardstick, rigs, ())
        assert waiting.same
        assert not waiting.latest
    note = "at most 1,000 decisions a second are compared, so that a busy service pays for those alone"
    return Findings(yardstick=_ALONE, intervals=found, notes=[note])


class Waiting(Shadow):
    """A shadow policy that compares when it is told to, and not by itself."""

    async def run(self) -> None:
        """Compare nothing."""
        await asyncio.Event().wait()

    def compare(self) -> None:
        """Compare all that waits."""
        while self._waiting:
            self._compare(*self._waiting.popleft())

    def forget(self) -> None:
        """Compare nothing of what waits."""
        self._waiting.clear()

    @property
    def same(self) -> int:
        """How many decisions were the same."""
        return self.counts["subscribe", "same"]


class _Nothing(Ledger):
    """Notes no subscription."""

    def subscribed(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """Let it go."""


def _forgetful(ground: Ground, *more: Any) -> Revocation:  # noqa: ANN401 - handed on
    made = Revocation(ground, *more)
    made.ledger = _Nothing(made.redecision, ground.reads)
    return made


def _kept(kind: Callable[..., T], made: list[T]) -> Callable[..., T]:
    def make(*given: object) -> T:
        made.append(kind(*given))
        return made[-1]

    return make


async def _measured(yardstick: Prepared | Turns, rigs: Sequence[Prepared], gated: Sequence[str]) -> Mapping[str, Interval]:
    for rig in (yardstick, *rigs):
        await rig.rehearse()
        await rig.slice()
    return await paired(yardstick, rigs, gated)


def _nothing() -> None:
    pass


# ---- memory of grants


def memory(held: int = HELD) -> Findings:
    """Hold many subscriptions, each of another user to another channel and on two facts of its own, so that nothing can be shared."""
    return uvloop.run(_memory(held))


async def _memory(held: int) -> Findings:
    full: list[Registry] = []
    taken: list[float] = []
    for number in range(TIMES):
        registry = Registry(app.epoch_ms)
        before = _resident()
        _fill(Ledger(_Holder(registry), lambda _: frozenset()), range(number * held, (number + 1) * held))
        # Few fit into what was freed before, and then it is less than a page.
        taken.append(max(_resident() - before, PAGESIZE) / held / _KIB)
        full.append(registry)
    assert all(len(each) == held for each in full)
    name = "a grant"
    return Findings(
        yardstick="1 KiB of resident memory",
        intervals={CONTROL: interval([after / before for before, after in pairwise(taken)]), name: interval(taken)},
        goals={name: MEMORY_GOAL},
        slack=_MEMORY_SLACK,
    )


class _Holder:
    """Puts grants into a registry, and nothing else."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def hold(self, grants: Iterable[Grant]) -> None:
        """Keep them."""
        self._registry.hold(grants)

    def release(self, key: Key) -> None:
        """Forget one."""
        self._registry.release(key)


class _AtHand:
    """Facts of everybody."""

    def get(self, key: FactKey, /) -> Known:
        """Give one that allows, with the topics that the policy says."""
        if key[0] == "account":
            return Known(value={"suspended": False}, topics=(f"account:{key[1]}",))
        return Known(value={"role": "editor"}, topics=(f"doc:{key[1]}", f"account:{key[2]}"))


def _fill(ledger: Ledger, numbers: Iterable[int]) -> None:
    """Note one subscription for each number, as a hook does."""
    policy = load({"bench.policy": service.POLICY}).policy
    assert policy is not None
    for number in numbers:
        asked = {**service.asked(0), "client": str(uuid.UUID(int=number)), "user": f"person{number}", "channel": f"chat:doc-{number}"}
        command, now_ms = decode_subscribe(json.dumps(asked).encode()), app.epoch_ms()
        request = Request(
            op="subscribe",
            user=command.user,
            channel=command.channel,
            client=command.client,
            transport=command.transport,
            meta=command.meta,
            timestamp_ms=now_ms,
        )
        found = policy.decide(request, _AtHand())
        assert isinstance(found, Allow)
        ledger.subscribed(request, found, leases.end(found, now_ms))
    ledger.write()


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
