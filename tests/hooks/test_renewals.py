from proxy.grants.grace import Grace
from proxy.hooks.ports import Decider
from proxy.hooks.refresh import Refresh
from proxy.hooks.renewals import Renewals
from proxy.hooks.sub_refresh import SubRefresh
from proxy.identity.chain import NOBODY, Chain, Credentials, Refusal
from proxy.policy.decision import Deny, Known, Lost, Request
from proxy.policy.policy import Person
from proxy.wire.requests import RefreshRequest, SubRefreshRequest, decode_refresh, decode_sub_refresh

from .scene import EDITOR, NOW, Book, Oracle, Recalled, Watched, allow, body, clock, gate, policy, token, written

SECOND = NOW // 1000
ORIGIN = {"origin": "https://app.example.org"}
EXPIRED = {"result": {"expired": True}}
MOMENT = {"result": {"expire_at": SECOND + 30}}


def renewals(decider: Decider, span_s: int = 120, book: Book | None = None) -> Renewals:
    return Renewals(decider, Grace(span_s, clock), clock, book or Book())


def hook(made: Renewals, person: Person | Refusal | None = None, watch: Watched | None = None) -> Refresh:
    return Refresh(made, Recalled(person), watch or Watched())


def refresh(**fields: object) -> RefreshRequest:
    return decode_refresh(body(**fields))


def sub_refresh(channel: str = "doc:7") -> SubRefreshRequest:
    return decode_sub_refresh(body(channel=channel))


async def test_a_connection_that_is_still_allowed_lives_on() -> None:
    refreshes = hook(renewals(gate()))
    assert written(await refreshes(refresh(), ORIGIN)) == {"result": {"expire_at": SECOND + 3600}}


async def test_a_connection_that_is_allowed_no_longer_ends() -> None:
    refreshes = hook(renewals(gate()))
    assert written(await refreshes(refresh(user="66"), ORIGIN)) == EXPIRED
    assert written(await refreshes(refresh(), {})) == EXPIRED


async def test_a_connection_with_a_repeated_credential_ends() -> None:
    assert written(await hook(renewals(Oracle(allow())))(refresh(), None)) == EXPIRED


async def test_what_is_prolonged_is_written_down_with_its_end_and_what_is_not_is_struck_out() -> None:
    book = Book()
    refreshes, renewed = hook(renewals(gate(), book=book)), SubRefresh(renewals(gate(), book=book))
    await refreshes(refresh(), ORIGIN)
    await renewed(sub_refresh())
    await refreshes(refresh(), {})
    await refreshes(refresh(), None)
    await renewed(sub_refresh("doc:8"))
    assert book.entries == [
        ("connected", "c1", None, SECOND + 3600),
        ("subscribed", "c1", "doc:7", SECOND + 300),
        ("ended by 42", "c1", "", None),
        ("ended by 42", "c1", "", None),
        ("ended by 42", "c1", "doc:8", None),
    ]


async def test_what_cannot_be_decided_is_struck_out_when_the_grace_is_over() -> None:
    book = Book()
    lost = gate(facts={EDITOR: Lost(why="timeout")})
    await SubRefresh(renewals(lost, book=book))(sub_refresh())
    assert book.entries == []
    await SubRefresh(renewals(lost, span_s=0, book=book))(sub_refresh())
    assert book.entries == [("ended by 42", "c1", "doc:7", None)]


async def test_the_policy_is_told_everything_of_a_refresh() -> None:
    oracle = Oracle(allow(info={"a": 1}))
    reply = await hook(renewals(oracle))(refresh(meta={"role": "x"}), ORIGIN)
    assert oracle.asked == [
        Request(op="refresh", user="42", client="c1", transport="websocket", meta={"role": "x"}, headers=ORIGIN, timestamp_ms=NOW)
    ]
    assert written(reply) == {"result": {"expire_at": SECOND + 300, "info": {"a": 1}}}


async def test_a_subscription_that_is_still_allowed_lives_on_with_what_others_see_of_it() -> None:
    renewed = SubRefresh(renewals(gate()))
    assert written(await renewed(sub_refresh())) == {"result": {"expire_at": SECOND + 300, "info": {"role": "editor"}}}


async def test_a_subscription_that_is_allowed_no_longer_ends() -> None:
    renewed = SubRefresh(renewals(gate(facts={EDITOR: Known(value=None)})))
    assert written(await renewed(sub_refresh())) == EXPIRED


async def test_the_policy_is_told_everything_of_a_sub_refresh() -> None:
    oracle = Oracle(allow())
    await SubRefresh(renewals(oracle))(decode_sub_refresh(body(channel="a:b", meta={"role": "x"})))
    assert oracle.asked == [
        Request(op="sub_refresh", user="42", channel="a:b", client="c1", transport="websocket", meta={"role": "x"}, timestamp_ms=NOW)
    ]


async def test_a_lost_fact_prolongs_by_a_moment() -> None:
    renewed = SubRefresh(renewals(gate(facts={EDITOR: Lost(why="timeout")})))
    assert written(await renewed(sub_refresh())) == MOMENT


async def test_no_grace_ends_at_the_first_lost_fact() -> None:
    renewed = SubRefresh(renewals(gate(facts={EDITOR: Lost(why="timeout")}), span_s=0))
    assert written(await renewed(sub_refresh())) == EXPIRED


async def test_a_spent_limit_does_not_end_a_subscription() -> None:
    assert written(await SubRefresh(renewals(gate(tokens=0)))(sub_refresh("fast:1"))) == {"result": {"expire_at": SECOND + 300}}


async def test_what_cannot_be_decided_lives_on_within_the_grace_only() -> None:
    now = NOW
    grace = Grace(60, lambda: now)
    oracle = Oracle(Deny(reason="fact_error"))
    refreshes = hook(Renewals(oracle, grace, lambda: now, Book()))
    assert written(await refreshes(refresh(), {})) == MOMENT
    now += 59_000
    assert written(refreshes.undecided(refresh())) == {"result": {"expire_at": SECOND + 89}}
    now += 1_000
    assert written(await refreshes(refresh(), {})) == EXPIRED
    assert written(refreshes.undecided(refresh())) == EXPIRED


async def test_a_decision_ends_the_trouble() -> None:
    now = NOW
    grace = Grace(60, lambda: now)
    oracle = Oracle(allow())
    renewed = SubRefresh(Renewals(oracle, grace, lambda: now, Book()))
    renewed.undecided(sub_refresh())
    await renewed(sub_refresh())
    now += 60_000
    assert written(renewed.undecided(sub_refresh())) == {"result": {"expire_at": SECOND + 90}}


async def test_each_subscription_has_its_own_grace() -> None:
    now = NOW
    renewed = SubRefresh(Renewals(Oracle(allow()), Grace(60, lambda: now), lambda: now, Book()))
    renewed.undecided(sub_refresh("a:1"))
    now += 60_000
    assert written(renewed.undecided(sub_refresh("a:1"))) == EXPIRED
    assert written(renewed.undecided(sub_refresh("a:2"))) == {"result": {"expire_at": SECOND + 90}}


ADA = Person(user="42", meta={"role": "admin"}, info={"name": "Ada"})


async def test_whom_the_identities_still_know_lives_on() -> None:
    oracle = Oracle(allow(info={"of": "rule"}))
    reply = await hook(renewals(oracle), ADA)(refresh(meta={"role": "admin"}), ORIGIN)
    assert written(reply) == {"result": {"expire_at": SECOND + 300, "info": {"of": "rule"}}}


async def test_the_policy_is_asked_with_the_meta_of_today_and_the_connection_gets_it() -> None:
    oracle = Oracle(allow())
    reply = await hook(renewals(oracle), ADA)(refresh(meta={"role": "guest"}), ORIGIN)
    assert oracle.asked[0].meta == {"role": "admin"}
    assert written(reply) == {"result": {"expire_at": SECOND + 300, "info": {"name": "Ada"}, "meta": {"role": "admin"}}}


async def test_an_identity_without_meta_leaves_that_of_the_connection() -> None:
    oracle = Oracle(allow())
    reply = await hook(renewals(oracle), Person(user="42"))(refresh(meta={"role": "guest"}), ORIGIN)
    assert oracle.asked[0].meta == {"role": "guest"}
    assert written(reply) == {"result": {"expire_at": SECOND + 300}}


async def test_a_connection_lives_no_longer_than_its_sign_in() -> None:
    for until, expected in ((SECOND + 100, SECOND + 100), (SECOND + 500, SECOND + 300)):
        reply = await hook(renewals(Oracle(allow())), Person(user="42", expires_at=until))(refresh(), ORIGIN)
        assert written(reply) == {"result": {"expire_at": expected}}


async def test_a_sign_in_that_counts_no_longer_ends_the_connection_and_is_seen() -> None:
    watch, oracle = Watched(), Oracle(allow())
    assert written(await hook(renewals(oracle), NOBODY, watch)(refresh(), ORIGIN)) == EXPIRED
    assert [(request.op, request.user, decision.reason) for request, decision in watch.seen] == [("refresh", "42", "no_identity")]
    assert not oracle.asked


async def test_another_user_ends_the_connection() -> None:
    for user, shown in (("42", "43"), ("", "42"), ("42", "")):
        watch = Watched()
        assert written(await hook(renewals(Oracle(allow())), Person(user=shown), watch)(refresh(user=user), ORIGIN)) == EXPIRED
        assert [getattr(decision, "detail", "") for _, decision in watch.seen] == ["another user has signed in"]


async def test_an_identity_that_cannot_be_asked_gives_the_grace_and_no_more() -> None:
    now = NOW
    made = Renewals(Oracle(allow()), Grace(60, lambda: now), lambda: now, Book())
    recalled = Recalled(Refusal(reason="fact_error", detail="away"))
    watch = Watched()
    refreshes = Refresh(made, recalled, watch)
    assert written(await refreshes(refresh(), ORIGIN)) == MOMENT
    assert [(decision.reason, getattr(decision, "detail", "")) for _, decision in watch.seen] == [("fact_error", "away")]
    now += 60_000
    assert written(await refreshes(refresh(), ORIGIN)) == EXPIRED


async def test_a_refused_sign_in_ends_the_trouble() -> None:
    now = NOW
    made = Renewals(Oracle(allow()), Grace(60, lambda: now), lambda: now, Book())
    recalled = Recalled(Refusal(reason="fact_error"))
    refreshes = Refresh(made, recalled, Watched())
    await refreshes(refresh(), ORIGIN)
    recalled.person = NOBODY
    await refreshes(refresh(), ORIGIN)
    now += 60_000
    recalled.person = Refusal(reason="fact_error")
    assert written(await refreshes(refresh(), ORIGIN)) == {"result": {"expire_at": SECOND + 90}}


async def test_the_identities_see_the_headers_and_nothing_else() -> None:
    recalled = Recalled(None)
    await Refresh(renewals(Oracle(allow())), recalled, Watched())(refresh(), ORIGIN)
    assert recalled.asked == [(Credentials(headers=ORIGIN), "42")]


async def test_a_token_in_a_header_bounds_the_connection_to_its_end() -> None:
    chain = Chain(policy(), {"IDP_KEY": "k" * 32}, lambda: SECOND)
    refreshes = Refresh(renewals(gate()), chain, Watched())
    for claims, expected in (
        ({"exp": SECOND + 100}, {"result": {"expire_at": SECOND + 100, "info": {"name": "Ada"}, "meta": {"role": "user"}}}),
        ({"exp": SECOND}, EXPIRED),
        ({"sub": "43"}, EXPIRED),
        ({"aud": "other"}, EXPIRED),
    ):
        headers = {**ORIGIN, "authorization": f"Bearer {token(**claims)}"}
        assert written(await refreshes(refresh(), headers)) == expected
    assert written(await refreshes(refresh(), ORIGIN)) == {"result": {"expire_at": SECOND + 3600}}
