import asyncio
from dataclasses import replace

import pytest

from proxy.grants import endings as module
from proxy.grants.endings import PATIENCE_S, TOGETHER, YOUNG_S
from proxy.wire.api import ApiError
from tests.grants.scene import Scene

DISCONNECT = {"code": 4503, "reason": "forbidden"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)


async def test_a_lost_subscription_is_unsubscribed_and_forgotten() -> None:
    scene = Scene()
    grant = scene.subscription("c1", "42", "doc:7")
    async with scene.running():
        scene.endings.end(grant, scene.clock.now - 250)
        await scene.until(lambda: not len(scene.endings))
    assert scene.centrifugo.sent == [{"method": "unsubscribe", "user": "42", "client": "c1", "channel": "doc:7"}]
    assert (scene.registry.get(grant.key), scene.endings.ended, scene.lags) == (None, 1, [0.25])


async def test_a_lost_connection_is_disconnected_with_its_subscriptions() -> None:
    scene = Scene()
    connection, subscription = scene.connection("c1", "42"), scene.subscription("c1", "42", "doc:7")
    other = scene.subscription("c2", "42", "doc:7")
    async with scene.running():
        scene.endings.end(subscription, scene.clock.now)
        scene.endings.end(connection, scene.clock.now)
        scene.endings.end(subscription, scene.clock.now)
        await scene.until(lambda: not len(scene.endings))
    assert scene.centrifugo.sent == [{"method": "disconnect", "user": "42", "client": "c1", "disconnect": DISCONNECT}]
    assert (len(scene.registry), scene.registry.get(other.key)) == (1, other)


async def test_what_was_granted_just_now_is_ended_again_until_it_must_have_arrived() -> None:
    scene = Scene()
    grant = scene.subscription("c1", "42", "doc:7", since_ms=scene.clock.now)
    async with scene.running():
        scene.endings.end(grant, scene.clock.now)
        await scene.centrifugo.heard(3)
        scene.clock.now += YOUNG_S * 1000
        await scene.until(lambda: not len(scene.endings))
    assert (scene.endings.ended, len(scene.lags), len(scene.registry)) == (1, 1, 0)


async def test_a_token_is_ended_until_nobody_can_use_it_sparing_connections_that_are_allowed() -> None:
    scene = Scene()
    token, _ = scene.token("42", usable_s=60), scene.connection("c1", "42")
    lost = scene.connection("c2", "42")
    async with scene.running():
        scene.endings.end(lost, scene.clock.now)
        scene.endings.end(token, scene.clock.now)
        await scene.centrifugo.heard(4)
        scene.clock.now += 60_000
        await scene.until(lambda: not len(scene.endings))
    assert {"method": "disconnect", "user": "42", "whitelist": ["c1"], "disconnect": DISCONNECT} in scene.centrifugo.sent
    assert [grant.key for grant in scene.registry.of_user("42")] == [("42", "c1", "")]


async def test_a_subscription_token_is_ended_on_its_channel_alone() -> None:
    scene = Scene()
    async with scene.running():
        scene.endings.end(scene.token("42", "doc:7", usable_s=0), scene.clock.now)
        await scene.until(lambda: not len(scene.endings))
    assert scene.centrifugo.sent == [{"method": "unsubscribe", "user": "42", "channel": "doc:7"}]


async def test_a_guests_token_ends_by_itself_because_every_guest_would_go_with_it() -> None:
    scene = Scene()
    async with scene.running():
        scene.endings.end(scene.token("", usable_s=0), scene.clock.now)
        await scene.until(lambda: not len(scene.endings))
    assert scene.centrifugo.sent == []
    assert scene.registry.of_user("") == ()


async def test_while_centrifugo_is_away_it_is_tried_again() -> None:
    scene = Scene()
    scene.centrifugo.away = True
    grant = scene.subscription("c1", "42", "doc:7")
    async with scene.running():
        scene.endings.end(grant, scene.clock.now)
        await scene.centrifugo.heard(3)
        assert scene.endings.failures >= 2
        scene.clock.now += 5000
        scene.centrifugo.away = False
        await scene.until(lambda: not len(scene.endings))
    assert scene.lags == [5.0]
    assert (scene.endings.ended, scene.endings.abandoned) == (1, 0)


@pytest.mark.parametrize(("lease_s", "gives_up_after_s"), [(30, 30), (None, PATIENCE_S)])
async def test_it_is_given_up_when_the_lease_has_ended_or_after_an_hour(lease_s: int | None, gives_up_after_s: int) -> None:
    scene = Scene()
    scene.centrifugo.away = True
    grant = scene.subscription("c1", "42", "doc:7", end_s=lease_s and scene.clock.now // 1000 + lease_s)
    async with scene.running():
        scene.endings.end(grant, scene.clock.now)
        scene.clock.now += gives_up_after_s * 1000 - 1
        await scene.centrifugo.heard(2)
        assert len(scene.endings) == 1
        scene.clock.now += 1
        await scene.until(lambda: not len(scene.endings))
    assert (scene.endings.ended, scene.endings.abandoned, len(scene.registry), scene.lags) == (0, 1, 0, [])


async def test_an_error_of_centrifugo_is_no_acknowledgement() -> None:
    scene = Scene()
    scene.centrifugo.answer = ApiError(code=100, message="internal server error")
    async with scene.running():
        scene.endings.end(scene.subscription("c1", "42", "doc:7"), scene.clock.now)
        await scene.centrifugo.heard(2)
    assert (scene.endings.ended, len(scene.endings)) == (0, 1)


async def test_more_losses_than_fit_together_are_ended_in_turn() -> None:
    scene = Scene()
    grants = [scene.subscription(f"c{n}", "42", "doc:7") for n in range(TOGETHER + 10)]
    async with scene.running():
        for grant in grants:
            scene.endings.end(grant, scene.clock.now)
        await scene.until(lambda: not len(scene.endings))
    assert len(scene.centrifugo.sent) == TOGETHER + 10


async def test_a_new_grant_stops_the_end_of_what_it_replaces_and_of_tokens_for_the_same() -> None:
    scene = Scene()
    scene.centrifugo.away = True
    subscription, token = scene.subscription("c1", "42", "doc:7"), scene.token("42", "doc:7")
    connection = scene.token("42")
    for lost in (subscription, token, connection):
        scene.endings.end(lost, scene.clock.now)
    scene.redecision.hold([replace(subscription)])
    assert len(scene.endings) == 1
    scene.endings.end(connection, scene.clock.now)
    assert len(scene.endings) == 1


async def test_what_is_spared_while_it_is_being_ended_is_kept() -> None:
    scene = Scene()
    grant = scene.subscription("c1", "42", "doc:7")
    async with scene.running():
        scene.endings.end(grant, scene.clock.now)
        await scene.centrifugo.heard(1)
        scene.redecision.hold([replace(grant)])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert scene.registry.get(grant.key) is grant


async def test_what_is_allowed_again_in_the_same_moment_is_not_ended() -> None:
    scene = Scene()
    grant = scene.subscription("c1", "42", "doc:7")
    scene.registry.catch_up = lambda: scene.endings.spare(grant.key)  # as one does that was only noted, and is held now
    async with scene.running():
        scene.endings.end(grant, scene.clock.now)
        await scene.until(lambda: not len(scene.endings))
    assert scene.centrifugo.sent == []
