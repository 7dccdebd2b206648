import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.grants import revocation as module
from proxy.grants.revocation import Revocation
from proxy.policy.decision import Allow, FactKey, Known, Request
from tests.grants.scene import Scene, topics


class Ground(Scene):
    """What decisions rest on, and what takes them back."""

    def __init__(self) -> None:
        super().__init__()
        self.revocation = Revocation(self, self.centrifugo, self.clock, 60, self.lags.append)

    def resting_on(self, facts: frozenset[str]) -> frozenset[str]:
        return self.gate.policy.resting_on(facts)

    def reads(self, _operation: str) -> frozenset[str]:
        return frozenset()

    def subscribed(self, client: str, user: str, channel: str, rule: str = "doc:{d}/subscribe/1", revision: str = "") -> None:
        """A subscription that a hook allowed."""
        keys: tuple[FactKey, ...] = (("account", user), ("member", channel[4:], user))
        known = {key: Known(value=True, topics=topics(key)) for key in keys}
        found = Allow(rule=rule, at="x.policy:1", revision=revision or self.gate.policy.revision, facts=known)
        asked = Request(op="subscribe", user=user, client=client, channel=channel, timestamp_ms=self.clock.now - 10_000)
        self.revocation.ledger.subscribed(asked, found, None)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Everything that runs, until it is done; what was ended is in `ended`."""
        tasks = [asyncio.create_task(work.run()) for work in (self.revocation.redecision, self.revocation.endings)]
        try:
            yield
            await self.revocation.drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def ended(self) -> set[tuple[object, object]]:
        return {(each["client"], each["channel"]) for each in self.centrifugo.sent}


async def test_what_rests_on_a_topic_is_asked_again_when_it_changes() -> None:
    ground = Ground()
    ground.subscribed("c1", "42", "doc:7")
    ground.subscribed("c2", "43", "doc:7")
    ground.data.strangers.add("42")
    async with ground.working():
        ground.revocation.invalidated(frozenset({"doc:7"}))
    assert ground.ended == {("c1", "doc:7")}
    assert len(ground.lags) == 1


async def test_what_rests_on_a_fact_is_asked_again_when_news_of_it_may_have_been_missed() -> None:
    ground = Ground()
    ground.subscribed("c1", "42", "doc:7")
    ground.data.suspended.add("42")
    async with ground.working():
        ground.revocation.missed(frozenset({"other"}))
        await ground.revocation.drain()
        assert ground.ended == set()
        ground.revocation.missed(frozenset({"account"}))
    assert ground.ended == {("c1", "doc:7")}


async def test_what_the_changed_rules_allowed_is_asked_again() -> None:
    ground = Ground()
    ground.subscribed("c1", "42", "doc:7", rule="a")
    ground.subscribed("c2", "42", "doc:8", rule="b")
    ground.data.strangers.add("42")
    async with ground.working():
        ground.revocation.changed(lambda rule: rule == "b")
    assert ground.ended == {("c2", "doc:8")}


async def test_what_an_earlier_policy_allowed_while_it_was_replaced_is_asked_again() -> None:
    ground = Ground()
    ground.data.strangers.add("42")
    ground.subscribed("c1", "42", "doc:7", revision="earlier")
    async with ground.working():
        pass
    assert ground.ended == {("c1", "doc:7")}


async def test_who_was_blocked_while_a_hook_was_answered_is_asked_again() -> None:
    ground = Ground()
    ground.barred.add("42")
    ground.subscribed("c1", "42", "doc:7")
    async with ground.working():
        pass
    assert ground.ended == {("c1", "doc:7")}


@pytest.mark.parametrize("topic", ["doc:7", None])
async def test_a_change_while_a_hook_is_answered_is_noticed_when_it_is_written_down(topic: str | None) -> None:
    ground = Ground()
    ground.data.strangers.add("42")
    if topic:
        ground.revocation.invalidated(frozenset({topic}))
    else:
        ground.revocation.missed(frozenset({"member"}))
    ground.subscribed("c1", "42", "doc:7")
    async with ground.working():
        pass
    assert ground.ended == {("c1", "doc:7")}


async def test_the_end_of_the_service_waits_only_so_long_for_centrifugo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.05)
    ground = Ground()
    ground.centrifugo.away = True
    ground.data.strangers.add("42")
    ground.subscribed("c1", "42", "doc:7")
    async with ground.working():
        ground.revocation.invalidated(frozenset({"doc:7"}))
    assert len(ground.revocation.endings) == 1
