import asyncio
import logging

import pytest

from proxy.gate import Gate
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review import shadow as module
from proxy.review.shadow import Shadow

BASE = """
language 1;
database main { url env URL; }
fact account(uid: string) -> { suspended: bool } { sql main "select suspended from a where id = :uid"; }
deny suspended when account(user).suspended;
channel "c:{x}" { allow subscribe when vars.x != "closed"; allow publish limit 1/1h; }
"""


def policy(old: str = "", new: str = "") -> Policy:
    loaded = load({"a.policy": BASE.replace(old, new).encode()})
    assert loaded.policy, loaded.findings
    return loaded.policy


class Source:
    """Facts at hand."""

    def __init__(self, *, suspended: bool | None = False) -> None:
        self.suspended = suspended

    def get(self, key: FactKey, /) -> Known | Lost | None:
        return None if self.suspended is None or key[0] != "account" else Known(value={"suspended": self.suspended})

    async def load(self, _keys: object) -> dict[FactKey, Known | Lost]:
        raise AssertionError("nothing is loaded for the shadow")


class Once:
    def __init__(self) -> None:
        self.left = 1

    def take(self, _limit: object) -> bool:
        self.left -= 1
        return self.left >= 0


async def compared(other: Policy, *requests: Request, source: Source | None = None, sight: Source | None = None) -> Shadow:
    """The shadow after it has seen these requests decided."""
    source = source or Source()
    running = policy()
    shadow = Shadow(other)
    shadow.beside(running.facts, sight or source)
    gate = Gate(policy=running, source=source, limits=Once(), watch=shadow.watch)
    for request in requests:
        assert gate.now(request) is not None
    task = asyncio.create_task(shadow.run())
    async with asyncio.timeout(10):
        while sum(shadow.counts.values()) < len(requests):  # noqa: ASYNC110 - it compares by itself
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return shadow


def subscribe(channel: str = "c:7", user: str = "42") -> Request:
    return Request(op="subscribe", user=user, channel=channel)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


@pytest.mark.parametrize(
    ("old", "new", "channel", "verdict"),
    [
        ("", "", "c:7", "same"),
        ("", "", "c:closed", "same"),
        ('!= "closed"', '== "7"', "c:7", "same"),
        ('!= "closed"', '!= "7"', "c:7", "newly denied"),
        ('!= "closed"', '!= "7"', "c:closed", "newly allowed"),
        ('"c:{x}"', '"d:{x}"', "c:closed", "other reason"),
    ],
)
async def test_a_decision_is_compared_with_that_of_the_shadow(old: str, new: str, channel: str, verdict: str) -> None:
    shadow = await compared(policy(old, new), subscribe(channel))
    assert shadow.counts == {("subscribe", verdict): 1}
    assert [each.verdict for each in shadow.latest] == [verdict] * (verdict != "same")


async def test_a_difference_says_who_asked_what_and_both_answers_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        shadow = await compared(policy('!= "closed"', '!= "7"'), subscribe(), subscribe())
    assert len(caplog.messages) == 1
    assert len(shadow.latest) == 2
    difference = shadow.latest[0]
    assert (difference.user, difference.target, difference.reason, difference.rule) == ("42", "c:7", "allowed", "c:{x}/subscribe/1")
    assert (difference.other_reason, difference.other_rule, difference.service) == ("no_rule", None, None)


async def test_a_limit_is_no_difference() -> None:
    publish = Request(op="publish", user="42", channel="c:7", data={})
    shadow = await compared(policy(), publish, publish)
    assert shadow.counts == {("publish", "same"): 2}


async def test_facts_that_are_not_at_hand_or_declared_otherwise_leave_it_unknown() -> None:
    more = policy(
        "deny suspended",
        'fact extra(uid: string) -> bool { sql main "select 1 from b where id = :uid"; }\ndeny extra when extra(user);\ndeny suspended',
    )
    assert (await compared(more, subscribe())).counts == {("subscribe", "unknown"): 1}
    otherwise = policy("select suspended from a", "select suspended from b")
    shadow = await compared(otherwise, subscribe())
    assert shadow.counts == {("subscribe", "unknown"): 1}
    assert not shadow.latest


async def test_facts_at_hand_are_used_though_the_decision_did_not_read_them() -> None:
    other = policy('channel "c', 'deny second when account("66").suspended;\nchannel "c')
    shadow = await compared(other, subscribe(), sight=Source(suspended=True))
    assert shadow.counts == {("subscribe", "newly denied"): 1}
    assert shadow.latest[0].other_reason == "second"


async def test_what_no_policy_decided_is_not_compared() -> None:
    shadow = Shadow(policy())
    shadow.watch(subscribe(), Deny(reason="no_identity"))
    task = asyncio.create_task(shadow.run())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not shadow.counts


def test_when_too_much_waits_it_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    shadow = Shadow(policy())
    for _ in range(3):
        shadow.watch(subscribe(), Allow(rule="r", at="", revision="x", facts={}))
    assert shadow.passed == 2


async def test_another_policy_can_become_the_shadow_beside_the_same_facts() -> None:
    shadow = Shadow(policy())
    running = policy()
    shadow.beside(running.facts, Source(suspended=True))
    await shadow.take(policy('channel "c', 'deny second when account("66").suspended;\nchannel "c'))
    gate = Gate(policy=running, source=Source(), limits=Once(), watch=shadow.watch)
    assert gate.now(subscribe())
    task = asyncio.create_task(shadow.run())
    async with asyncio.timeout(10):
        while not shadow.counts:  # noqa: ASYNC110 - it compares by itself
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert shadow.latest[0].other_reason == "second"
