import pytest

from proxy.grants.grant import Grant
from proxy.grants.registry import RECENT_S, SLACK_S, STEP_S, Registry
from tests.grants.scene import Clock

ACCOUNT = "account:42"
DOC = "doc:7"


def made(client: str = "c", channel: str | None = None, clock: Clock | None = None, **more: object) -> Grant:
    now_ms = (clock or Clock()).now
    user = str(more.pop("user", "42"))
    parts = {"rule": "connect/default", "topics": (ACCOUNT,), "end_s": None, **more}
    return Grant(holder=client, user=user, channel=channel or "", revision="r", since_ms=now_ms, decided_ms=now_ms, **parts)  # type: ignore[arg-type]  # as given


def test_a_grant_is_found_by_user_rule_and_topic() -> None:
    registry = Registry(Clock())
    grant = made(channel="doc:7", rule="doc:{d}/subscribe/1", topics=(ACCOUNT, DOC))
    registry.hold(made())
    registry.hold(grant)
    key = ("c", "doc:7")
    assert registry.get(key) is grant
    assert registry.by_rules(lambda rule: rule.startswith("doc:{d}/")) == (key,)
    assert registry.resting_on(["doc:7"]) == (key,)
    assert set(registry.of_user("42")) == set(registry.resting_on(["account:42", "doc:7"])) == {("c", ""), key}
    assert registry.of_user("43") == registry.resting_on(["doc:8"]) == ()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_is_left_of_a_grant_that_was_dropped(count: int) -> None:
    registry = Registry(Clock())
    keys = [made(f"c{n}", "doc:7", topics=(ACCOUNT, DOC)).key for n in range(count)]
    for n in range(count):
        registry.hold(made(f"c{n}", "doc:7", topics=(ACCOUNT, DOC)))
    for left in range(count, 0, -1):
        assert len(registry) == len(registry.resting_on(["doc:7"])) == len(registry.by_rules(lambda _: True)) == left
        registry.drop(keys.pop())
        registry.drop(("c9", ""))
    assert len(registry) == 0
    found = (
        registry.of_user("42"),
        registry.by_rules(lambda _: True),
        registry.resting_on(["doc:7", "account:42"]),
    )
    assert found == ((), (), ())


def test_a_renewal_takes_the_place_of_what_it_renews() -> None:
    clock = Clock()
    registry = Registry(clock)
    end_s = clock.now // 1000 + 100
    registry.hold(made(end_s=end_s))
    later = made(end_s=end_s + 1000)
    registry.hold(later)
    assert registry.get(("c", "")) is later
    clock.now += (100 + SLACK_S + 2 * STEP_S) * 1000
    assert registry.expire() == 0
    clock.now += 1000 * 1000
    assert registry.expire() == 1
    assert len(registry) == 0


def test_a_renewal_that_rests_on_other_facts_is_found_by_those() -> None:
    registry = Registry(Clock())
    registry.hold(made(channel="doc:7", topics=(ACCOUNT,)))
    registry.hold(made(channel="doc:7", topics=(DOC,), rule="other"))
    assert registry.resting_on(["account:42"]) == ()
    assert registry.resting_on(["doc:7"]) == (("c", "doc:7"),)
    assert registry.by_rules(lambda rule: rule == "connect/default") == ()


def test_a_grant_is_kept_for_a_while_beyond_its_end_because_centrifugo_is_late() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold(made(end_s=clock.now // 1000 + 1))
    registry.hold(made("endless"))
    clock.now += SLACK_S * 1000
    assert registry.expire() == 0
    clock.now += (1 + STEP_S) * 1000
    assert registry.expire() == 1
    assert registry.get(("endless", "")) is not None


def test_a_grant_that_lost_its_end_is_not_forgotten_at_it() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold(made(end_s=clock.now // 1000 + 1))
    registry.hold(made())
    registry.drop(("gone", ""))
    clock.now += 1_000_000
    assert registry.expire() == 0
    registry.hold(made(end_s=clock.now // 1000 + 1))
    clock.now += 1_000_000
    assert registry.expire() == 1


def test_an_end_of_what_is_gone_is_nothing() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hold(made(end_s=clock.now // 1000 + 1))
    registry.drop(("c", ""))
    clock.now += 1_000_000
    assert registry.expire() == 0


def test_above_its_size_the_oldest_are_forgotten_and_counted() -> None:
    registry = Registry(Clock(), most=64)
    for n in range(65):
        registry.hold(made(f"c{n}"))
    assert (len(registry), registry.evicted) == (63, 2)
    assert registry.get(("c1", "")) is None
    assert registry.get(("c2", "")) is not None
    assert len(registry.of_user("42")) == 63


def test_a_grant_decided_before_its_fact_changed_is_not_current() -> None:
    clock = Clock()
    registry = Registry(clock)
    assert registry.hold(made(clock=clock))
    registry.resting_on(["account:42"])
    assert not registry.hold(made(clock=clock))
    assert registry.hold(made(clock=clock, topics=(DOC,)))
    clock.now += 1
    assert registry.hold(made(clock=clock))


def test_invalidations_are_forgotten_after_a_while() -> None:
    clock = Clock()
    registry = Registry(clock)
    early = made(clock=clock)
    registry.resting_on(["account:42"])
    clock.now += 1000
    registry.resting_on(["account:42"])
    clock.now += RECENT_S * 1000
    assert not registry.hold(early)
    clock.now += 1
    assert registry.hold(early)


def test_subscriptions_share_what_their_connection_has() -> None:
    registry = Registry(Clock())
    roles = ['{"roles":["a"]}', '{"roles":["b"]}']
    connection = made(meta=roles[0])
    same, other = made(channel="doc:7", meta=bytes(roles[0], "ascii").decode()), made(channel="doc:8", user="43", meta=roles[1])
    for grant in (connection, same, other):
        registry.hold(grant)
    assert same.meta is connection.meta
    assert (other.user, other.meta) == ("43", roles[1])


def test_two_connections_of_a_user_share_what_is_alike_and_stay_two() -> None:
    registry = Registry(Clock())
    one, two, other = made(client="c1", meta="{}"), made(client="c2", meta=bytes("{}", "ascii").decode()), made(client="c3", meta="[]")
    for grant in (one, two, other):
        registry.hold(grant)
    assert two.meta is one.meta
    assert other.meta == "[]"
    assert set(registry.of_user("42")) == {("c1", ""), ("c2", ""), ("c3", "")}
