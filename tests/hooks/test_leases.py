import pytest

from proxy.hooks.leases import end, renewal

from .scene import NOW, allow

SECOND = NOW // 1000


def test_a_rule_without_an_end_sets_none() -> None:
    assert end(allow(), NOW) is None


def test_a_lease_ends_after_its_time() -> None:
    assert end(allow(expire_ms=300_000), NOW) == SECOND + 300


@pytest.mark.parametrize(("chance", "lasts"), [(0.0, 1000), (0.5, 950), (0.999_999, 900)])
def test_jitter_shortens_a_lease_by_up_to_its_percentage(chance: float, lasts: int) -> None:
    assert end(allow(expire_ms=1_000_000, jitter=10), NOW, lambda: chance) == SECOND + lasts


def test_an_end_is_never_now() -> None:
    assert end(allow(expire_ms=1), NOW + 10) == SECOND + 1


def test_what_is_prolonged_without_an_end_is_looked_at_again() -> None:
    assert renewal(allow(), NOW) == SECOND + 300
    assert renewal(allow(expire_ms=60_000), NOW) == SECOND + 60
