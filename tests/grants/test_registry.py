import pytest

from proxy.grants.grant import TOKEN, Grant, Key
from proxy.grants.registry import RECENT_S, SLACK_S, STEP_S, Registry
from tests.grants.scene import Clock

ACCOUNT = "account:42"
DOC = "doc:7"
CONNECTION = ("42", "c", "")


def made(client: str = "c", channel: str | None = None, clock: Clock | None = None, **more: object) -> Grant:
    now_ms = (clock or Clock()).now
    user = str(more.pop("user", "42"))
    parts = {"rule": "connect/default", "topics": (ACCOUNT,), "end_s": None, **more}
    return Grant(holder=client, user=user, channel=channel or "", revision="r", since_ms=now_ms, decided_ms=now_ms, **parts)  # type: ignore[arg-type]  # as given


def keys(grants: tuple[Grant, ...]) -> set[Key]:
    return {grant.key for grant in grants}


def test_a_grant_is_found_by_user_holder_rule_and_topic() -> None:
    registry = Registry(Clock())
    connection, grant = made(), made(channel="doc:7", rule="doc:{d}/subscribe/1", topics=(ACCOUNT, DOC))
    registry.hold([connection, grant])
    assert registry.get(("42", "c", "doc:7")) is grant
    assert registry.by_rules(lambda rule: rule.startswith("doc:{d}/")) == (grant,)
    assert registry.resting_on(["doc:7"]) == (grant,)
    assert set(registry.of_user("42")) == set(registry.resting_on(["account:42", "doc:7"])) == set(registry) == {connection, grant}
    assert registry.of_holder("42", "c") == (connection, grant)
    assert registry.of_user("43") == registry.of_holder("43", "c") == registry.of_holder("42", "c2") == registry.resting_on(["doc:8"]) == ()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_is_left_of_a_grant_that_was_dropped(count: int) -> None:
    registry = Registry(Clock())
    grants = [made(f"c{n}", "doc:7", topics=(ACCOUNT, DOC)) for n in range(count)]
    registry.hold(grants)
    for left in range(count, 0, -1):
        assert len(registry) == len(registry.resting_on(["doc:7"])) == len(registry.by_rules(lambda _: True)) == left
        registry.drop(grants.pop().key)
        registry.drop(("42", "c9", ""))
    assert len(registry) == 0
    found = (
        registry.of_user("42"),
        registry.by_rules(lambda _: True),
        registry.resting_on(["doc:7", "account:42"]),
    )
    assert found == ((), (), ())


def test_what_is_renewed_stays_the_same_grant_and_says_what_the_later_one_said() -> None:
    clock = Clock()
    registry = Registry(clock)
    end_s = clock.now // 1000 + 100
    first = made(end_s=end_s, transport="sse", meta="{}")
    registry.hold([first])
    clock.now += 5000
    registry.hold([made(clock=clock, end_s=end_s + 1000, rule="connect/other", transport="websocket", meta="[]", usable_s=3)])
    assert registry.get(CONNECTION) is first
    assert (first.rule, first.end_s, first.since_ms, first.decided_ms) == ("connect/other", end_s + 1000, clock.now, clock.now)
    assert (first.transport, first.meta, first.usable_s, len(registry)) == ("websocket", "[]", 3, 1)
    clock.now += (95 + SLACK_S + 2 * STEP_S) * 1000
    assert registry.expire() == 0
    clock.now += 1000 * 1000
    assert registry.expire() == 1
    assert len(registry) == 0


def test_a_renewal_that_rests_on_other_facts_is_found_by_those() -> None:
    registry = Registry(Clock())
    later = made(channel="doc:7", topics=(DOC,), rule="other")
    registry.hold([made(channel="doc:7", topics=(ACCOUNT,)), later])
    assert registry.resting_on(["account:42"]) == ()
    assert registry.resting_on(["doc:7"]) == (later,)
    assert registry.by_rules(lambda rule: rule == "connect/default") == ()
    assert len(registry) == 1


def test_a_grant_is_kept_for_a_while_beyond_its_end_because_centrifugo_is_late() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold([made(end_s=clock.now // 1000 + 1), made("endless")])
    clock.now += SLACK_S * 1000
    assert registry.expire() == 0
    clock.now += (1 + STEP_S) * 1000
    assert registry.expire() == 1
    assert keys(registry.of_user("42")) == {("42", "endless", "")}


def test_a_connection_that_has_ended_is_forgotten_with_its_subscriptions() -> None:
    clock = Clock()
    registry = Registry(clock)
    end_s = clock.now // 1000 + 1
    registry.hold([made(end_s=end_s), made(channel="doc:7", end_s=end_s), made(channel="doc:8"), made("other")])
    clock.now += 1_000_000
    assert registry.expire() == 3
    assert keys(registry.of_user("42")) == {("42", "other", "")}


def test_a_grant_that_lost_its_end_is_not_forgotten_at_it() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold([made(end_s=clock.now // 1000 + 1)])
    registry.hold([made()])
    registry.drop(("42", "gone", ""))
    clock.now += 1_000_000
    assert registry.expire() == 0
    registry.hold([made(end_s=clock.now // 1000 + 1)])
    clock.now += 1_000_000
    assert registry.expire() == 1


def test_an_end_of_what_is_gone_is_nothing() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold([made(end_s=clock.now // 1000 + 1)])
    registry.drop(CONNECTION)
    registry.hold([made()])
    clock.now += 1_000_000
    assert registry.expire() == 0


def test_above_its_size_the_oldest_are_forgotten_and_counted() -> None:
    registry = Registry(Clock(), most=64)
    registry.hold([made(f"c{n}", user=f"{n}") for n in range(64)])
    assert (len(registry), registry.evicted) == (64, 0)
    registry.hold([made("c64", user="64")])
    assert (len(registry), registry.evicted) == (63, 2)
    assert registry.get(("1", "c1", "")) is None
    assert registry.get(("2", "c2", "")) is not None
    assert len(registry.resting_on(["account:42"])) == 63


def test_a_grant_decided_before_its_fact_changed_is_stale() -> None:
    clock = Clock()
    registry = Registry(clock)
    assert registry.hold([made(clock=clock)]) == []
    registry.resting_on(["account:42"])
    stale, other = made(clock=clock), made("c2", clock=clock, topics=(DOC,))
    assert registry.hold([stale, other]) == [stale]
    clock.now += 1
    assert registry.hold([made(clock=clock)]) == []


def test_invalidations_are_forgotten_after_a_while() -> None:
    clock = Clock()
    registry = Registry(clock)
    early = [made(clock=clock) for _ in range(2)]
    registry.resting_on(["account:42"])
    clock.now += 1000
    registry.resting_on(["account:42"])
    clock.now += RECENT_S * 1000
    assert registry.hold(early[:1]) == early[:1]
    clock.now += 1
    assert registry.hold(early[1:]) == []


def test_grants_of_a_user_share_what_is_alike_and_stay_apart() -> None:
    registry = Registry(Clock())
    roles = '{"roles":["a"]}'
    first = made(meta=roles, topics=(ACCOUNT, DOC))
    same = made("c", "doc:7", meta="".join(["{", roles[1:]]), topics=(*first.topics,))
    other = made("c3", user="43", meta="[]")
    registry.hold([first, same, other, made("c4", meta="[]")])
    assert same.meta is first.meta
    assert same.topics is first.topics
    assert (other.user, other.meta, other.topics) == ("43", "[]", (ACCOUNT,))
    assert [(each.key, each.meta, each.topics) for each in registry.of_user("42")[1:]] == [
        (("42", "c", "doc:7"), roles, (ACCOUNT, DOC)),
        (("42", "c4", ""), "[]", (ACCOUNT,)),
    ]


def test_a_token_is_found_by_its_name_a_connections_by_that_of_the_connection() -> None:
    registry = Registry(Clock())
    connection, beside, other = (
        made(f"{TOKEN}1", usable_s=5),
        made(f"{TOKEN}1", "doc:7", usable_s=5),
        made(f"{TOKEN}2", "doc:7", usable_s=5),
    )
    registry.hold([connection, beside, other, made()])
    assert (registry.of_token("1"), registry.of_token("2"), registry.of_token("c")) == (connection, other, None)
    registry.drop(beside.key)
    assert registry.of_token("1") is connection
    registry.drop(connection.key)
    assert registry.of_token("1") is None


def test_every_grant_that_is_held_or_dropped_is_heard_of() -> None:
    registry = Registry(Clock())
    heard: list[Key] = []
    registry.changed = heard.append
    registry.hold([made(), made()])
    registry.drop(CONNECTION)
    assert heard == [CONNECTION] * 3
