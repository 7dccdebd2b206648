from proxy.grants.grace import Grace
from proxy.hooks.ports import Decider
from proxy.hooks.refresh import Refresh
from proxy.hooks.renewals import Renewals
from proxy.hooks.sub_refresh import SubRefresh
from proxy.policy.decision import Deny, Known, Lost, Request
from proxy.wire.requests import RefreshRequest, SubRefreshRequest, decode_refresh, decode_sub_refresh

from .scene import EDITOR, NOW, Oracle, allow, body, clock, gate, written

SECOND = NOW // 1000
ORIGIN = {"origin": "https://app.example.org"}
EXPIRED = {"result": {"expired": True}}
MOMENT = {"result": {"expire_at": SECOND + 30}}


def renewals(decider: Decider, span_s: int = 120) -> Renewals:
    return Renewals(decider, Grace(span_s, clock), clock)


def refresh(**fields: object) -> RefreshRequest:
    return decode_refresh(body(**fields))


def sub_refresh(channel: str = "doc:7") -> SubRefreshRequest:
    return decode_sub_refresh(body(channel=channel))


async def test_a_connection_that_is_still_allowed_lives_on() -> None:
    hook = Refresh(renewals(gate()))
    assert written(await hook(refresh(), ORIGIN)) == {"result": {"expire_at": SECOND + 3600}}


async def test_a_connection_that_is_allowed_no_longer_ends() -> None:
    hook = Refresh(renewals(gate()))
    assert written(await hook(refresh(user="66"), ORIGIN)) == EXPIRED
    assert written(await hook(refresh(), {})) == EXPIRED


async def test_a_connection_with_a_repeated_credential_ends() -> None:
    assert written(await Refresh(renewals(Oracle(allow())))(refresh(), None)) == EXPIRED


async def test_the_policy_is_told_everything_of_a_refresh() -> None:
    oracle = Oracle(allow(info={"a": 1}))
    reply = await Refresh(renewals(oracle))(refresh(meta={"role": "x"}), ORIGIN)
    assert oracle.asked == [
        Request(op="refresh", user="42", client="c1", transport="websocket", meta={"role": "x"}, headers=ORIGIN, timestamp_ms=NOW)
    ]
    assert written(reply) == {"result": {"expire_at": SECOND + 300, "info": {"a": 1}}}


async def test_a_subscription_that_is_still_allowed_lives_on_with_what_others_see_of_it() -> None:
    hook = SubRefresh(renewals(gate()))
    assert written(await hook(sub_refresh())) == {"result": {"expire_at": SECOND + 300, "info": {"role": "editor"}}}


async def test_a_subscription_that_is_allowed_no_longer_ends() -> None:
    hook = SubRefresh(renewals(gate(facts={EDITOR: Known(value=None)})))
    assert written(await hook(sub_refresh())) == EXPIRED


async def test_the_policy_is_told_everything_of_a_sub_refresh() -> None:
    oracle = Oracle(allow())
    await SubRefresh(renewals(oracle))(decode_sub_refresh(body(channel="a:b", meta={"role": "x"})))
    assert oracle.asked == [
        Request(op="sub_refresh", user="42", channel="a:b", client="c1", transport="websocket", meta={"role": "x"}, timestamp_ms=NOW)
    ]


async def test_a_lost_fact_prolongs_by_a_moment() -> None:
    hook = SubRefresh(renewals(gate(facts={EDITOR: Lost(why="timeout")})))
    assert written(await hook(sub_refresh())) == MOMENT


async def test_no_grace_ends_at_the_first_lost_fact() -> None:
    hook = SubRefresh(renewals(gate(facts={EDITOR: Lost(why="timeout")}), span_s=0))
    assert written(await hook(sub_refresh())) == EXPIRED


async def test_a_spent_limit_does_not_end_a_subscription() -> None:
    assert written(await SubRefresh(renewals(gate(tokens=0)))(sub_refresh("fast:1"))) == {"result": {"expire_at": SECOND + 300}}


async def test_what_cannot_be_decided_lives_on_within_the_grace_only() -> None:
    now = NOW
    grace = Grace(60, lambda: now)
    oracle = Oracle(Deny(reason="fact_error"))
    hook = Refresh(Renewals(oracle, grace, lambda: now))
    assert written(await hook(refresh(), {})) == MOMENT
    now += 59_000
    assert written(hook.undecided(refresh())) == {"result": {"expire_at": SECOND + 89}}
    now += 1_000
    assert written(await hook(refresh(), {})) == EXPIRED
    assert written(hook.undecided(refresh())) == EXPIRED


async def test_a_decision_ends_the_trouble() -> None:
    now = NOW
    grace = Grace(60, lambda: now)
    oracle = Oracle(allow())
    hook = SubRefresh(Renewals(oracle, grace, lambda: now))
    hook.undecided(sub_refresh())
    await hook(sub_refresh())
    now += 60_000
    assert written(hook.undecided(sub_refresh())) == {"result": {"expire_at": SECOND + 90}}


async def test_each_subscription_has_its_own_grace() -> None:
    now = NOW
    hook = SubRefresh(Renewals(Oracle(allow()), Grace(60, lambda: now), lambda: now))
    hook.undecided(sub_refresh("a:1"))
    now += 60_000
    assert written(hook.undecided(sub_refresh("a:1"))) == EXPIRED
    assert written(hook.undecided(sub_refresh("a:2"))) == {"result": {"expire_at": SECOND + 90}}
