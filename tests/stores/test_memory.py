"""Token buckets in memory."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.decision import Limit
from proxy.stores.memory import Buckets

SECOND = 1_000_000_000


class Clock:
    """Nanoseconds that pass when told."""

    now = 5 * SECOND

    def __call__(self) -> int:
        return self.now


def limit(*, rule: str = "r", rate: int = 10, per_ms: int = 1000, burst: int = 10, key: tuple[str, ...] = ("u",)) -> Limit:
    return Limit(rule=rule, rate=rate, per_ms=per_ms, burst=burst, key=key)


def test_a_new_bucket_holds_its_burst_and_no_more() -> None:
    buckets = Buckets(Clock())
    assert [buckets.take(limit(burst=3)) for _ in range(5)] == [True, True, True, False, False]


def test_the_burst_may_exceed_the_rate() -> None:
    buckets = Buckets(Clock())
    assert sum(buckets.take(limit(rate=1, burst=20)) for _ in range(30)) == 20


def test_a_token_comes_back_after_its_share_of_the_time_and_not_before() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    for _ in range(10):
        buckets.take(limit())
    clock.now += SECOND // 10 - 1
    assert not buckets.take(limit())
    clock.now += 1
    assert buckets.take(limit())
    assert not buckets.take(limit())


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    buckets.take(limit(burst=2))
    clock.now += 3600 * SECOND
    assert [buckets.take(limit(burst=2)) for _ in range(3)] == [True, True, False]


def test_being_refused_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    assert buckets.take(limit(rate=1, burst=1))
    for _ in range(100):
        assert not buckets.take(limit(rate=1, burst=1))
    clock.now += SECOND
    assert buckets.take(limit(rate=1, burst=1))


def test_rules_and_keys_have_buckets_of_their_own() -> None:
    buckets = Buckets(Clock())
    many = [limit(burst=1, rule=rule, key=key) for rule in ("r", "s") for key in ((), ("u",), ("u", "c"), ("uc",))]
    assert all(buckets.take(one) for one in many)
    assert not any(buckets.take(one) for one in many)
    assert len(buckets) == 8


def test_a_rate_beyond_the_clock_still_has_a_burst() -> None:
    buckets = Buckets(Clock())
    assert sum(buckets.take(limit(rate=10**12, per_ms=1, burst=5)) for _ in range(9)) == 5


def test_no_more_than_the_bound_are_kept() -> None:
    buckets = Buckets(Clock(), most=50)
    for number in range(500):
        assert buckets.take(limit(key=(str(number),)))
    assert len(buckets) == 50


def test_the_bucket_unused_for_longest_is_dropped() -> None:
    buckets = Buckets(Clock(), most=2)
    one, two, three = (limit(burst=1, key=(name,)) for name in "abc")
    buckets.take(one)
    buckets.take(two)
    assert not buckets.take(one)  # being refused is a use
    buckets.take(three)
    assert not buckets.take(one)
    assert buckets.take(two)


def test_a_full_bucket_is_dropped_before_one_in_use() -> None:
    clock = Clock()
    buckets = Buckets(clock, most=2)
    slow, quick = limit(burst=1, per_ms=3_600_000, key=("slow",)), limit(burst=1, key=("quick",))
    buckets.take(slow)
    buckets.take(quick)
    clock.now += SECOND // 10
    buckets.take(limit(key=("new",)))
    assert len(buckets) == 2
    assert not buckets.take(slow)


@given(
    rate=st.integers(1, 7),
    burst=st.integers(1, 9),
    steps=st.lists(st.integers(0, SECOND), max_size=60),
)
def test_it_counts_like_a_bucket_into_which_tokens_drip(rate: int, burst: int, steps: list[int]) -> None:
    clock = Clock()
    buckets = Buckets(clock)
    token = SECOND // rate
    held = burst * token
    for step in steps:
        clock.now += step
        held = min(burst * token, held + step)
        expected = held >= token
        held -= token if expected else 0
        assert buckets.take(limit(rate=rate, burst=burst)) == expected
