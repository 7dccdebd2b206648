import asyncio

import pytest

from proxy.grants import redecision as module
from proxy.grants.redecision import TOGETHER
from tests.grants.scene import Scene


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)


async def test_exactly_those_end_that_are_allowed_no_more() -> None:
    scene = Scene()
    gone = scene.subscription("c1", "42", "doc:7")
    stays, elsewhere = scene.subscription("c2", "43", "doc:7"), scene.subscription("c1", "42", "news:1")
    scene.data.strangers.add("42")
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.endings.ended == 1)
    assert [each["channel"] for each in scene.centrifugo.sent] == ["doc:7"]
    assert scene.redecision.asked == 2
    assert scene.registry.get(gone.key) is None
    assert {scene.registry.get(grant.key) is not None for grant in (stays, elsewhere)} == {True}


async def test_a_suspended_user_loses_every_connection() -> None:
    scene = Scene()
    for client in ("c1", "c2"):
        scene.connection(client, "42")
        scene.subscription(client, "42", "doc:7")
    scene.connection("c3", "43")
    scene.data.suspended.add("42")
    async with scene.running():
        scene.invalidate("account:42")
        await scene.until(lambda: len(scene.registry) == 1)
    assert sorted(str(each["client"]) for each in scene.centrifugo.sent if each["method"] == "disconnect") == ["c1", "c2"]


async def test_ten_thousand_grants_on_one_fact_are_asked_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 1000)
    scene = Scene()
    for n in range(10_000):
        scene.subscription(f"c{n}", "42", "news:1")
    async with scene.running():
        scene.invalidate("account:42")
        await scene.until(lambda: scene.redecision.asked >= 10_000)
        await scene.until(lambda: not len(scene.redecision))
    assert (scene.redecision.asked, scene.centrifugo.sent, len(scene.registry)) == (10_000, [], 10_000)


async def test_a_second_change_during_the_first_has_them_asked_again() -> None:
    scene = Scene()
    for n in range(TOGETHER + 1):
        scene.subscription(f"c{n}", "42", "doc:7")
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.redecision.asked >= 1)
        scene.data.strangers.add("42")
        scene.invalidate("doc:7")
        await scene.until(lambda: not len(scene.registry))
    assert len(scene.centrifugo.sent) == TOGETHER + 1


async def test_a_grant_that_cannot_be_decided_lives_on_within_the_grace() -> None:
    scene = Scene(grace_s=60)
    grant = scene.subscription("c1", "42", "doc:7")
    scene.data.away = True
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.redecision.asked >= 3)
        assert scene.registry.get(grant.key) is grant
        scene.clock.now += 59_999
        asked = scene.redecision.asked
        await scene.until(lambda: scene.redecision.asked >= asked + 2)
        assert scene.centrifugo.sent == []
        scene.clock.now += 1
        await scene.until(lambda: not len(scene.registry))
    assert scene.lags == [60.0]


async def test_after_an_outage_it_is_decided_as_ever() -> None:
    scene = Scene()
    kept, lost = scene.subscription("c1", "42", "doc:7"), scene.subscription("c2", "43", "doc:7")
    scene.data.away = True
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.redecision.asked >= 2)
        scene.data.away = False
        scene.data.strangers.add("43")
        await scene.until(lambda: not len(scene.redecision) and scene.registry.get(lost.key) is None)
    assert scene.registry.get(kept.key) is not None


async def test_without_a_grace_an_undecided_grant_ends_at_once() -> None:
    scene = Scene(grace_s=0)
    scene.subscription("c1", "42", "doc:7")
    scene.data.away = True
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: not len(scene.registry))
    assert scene.redecision.asked == 1


async def test_an_undecided_grant_that_is_gone_is_asked_no_more() -> None:
    scene = Scene()
    grant = scene.subscription("c1", "42", "doc:7")
    scene.data.away = True
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.redecision.asked >= 1 and len(scene.redecision) == 1)
        scene.registry.drop(grant.key)
        await scene.until(lambda: not len(scene.redecision))


async def test_a_grant_whose_fact_changed_while_it_was_decided_is_asked_at_once() -> None:
    scene = Scene()
    scene.data.strangers.add("42")
    async with scene.running():
        scene.invalidate("doc:7")
        scene.subscription("c1", "42", "doc:7", decided_ms=scene.clock.now)
        await scene.until(lambda: scene.endings.ended == 1)
    assert len(scene.registry) == 0


async def test_a_grant_renewed_while_it_is_asked_keeps_the_later_word() -> None:
    scene = Scene()
    scene.subscription("c1", "42", "doc:7")
    scene.data.strangers.add("42")
    scene.data.slow = asyncio.Event()
    async with scene.running():
        scene.invalidate("doc:7")
        await scene.until(lambda: scene.data.loads == 1)
        scene.clock.now += 1
        renewed = scene.subscription("c1", "42", "doc:7", decided_ms=scene.clock.now)
        scene.data.slow.set()
        for _ in range(10):
            await asyncio.sleep(0)
    assert (scene.registry.get(renewed.key), scene.centrifugo.sent) == (renewed, [])


async def test_grants_that_ended_by_themselves_are_forgotten_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.001)
    scene = Scene()
    scene.subscription("c1", "42", "doc:7", end_s=scene.clock.now // 1000)
    scene.clock.now += 1_000_000
    async with scene.running():
        await scene.until(lambda: not len(scene.registry))
    assert scene.centrifugo.sent == []


async def test_asking_gives_how_many_will_be_asked() -> None:
    scene = Scene()
    grants = [scene.subscription("c1", "42", "doc:7"), scene.subscription("c2", "42", "doc:7")]
    assert (scene.redecision.ask(grants), scene.redecision.ask(grants), len(scene.redecision)) == (2, 0, 2)
