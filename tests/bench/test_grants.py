import pytest

from bench import grants, limits, rounds
from bench.ratios import CONTROL


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round for each case."""
    monkeypatch.setattr(rounds, "COUNTS", range(1, 2))


def test_hooks_are_compared_with_those_of_a_service_that_notes_nothing() -> None:
    found = grants.registry(others=100)
    assert set(found.intervals) == {CONTROL, *found.goals, "a grant renewed by each hook"}
    assert all(ratio.median > 0 for ratio in found.intervals.values())


def test_hooks_are_compared_with_those_beside_a_shadow_policy() -> None:
    found = grants.shadow()
    assert len(found.intervals) == 3
    assert not found.failures


def test_memory_is_measured_of_grants_that_are_held() -> None:
    found = grants.memory(held=2000)
    assert 0 < found.intervals["a grant"].median < 20


def test_limits_are_counted_in_memory() -> None:
    assert limits.memory().intervals["a token bucket"].median > 1


@pytest.mark.live
def test_limits_are_counted_in_a_redis() -> None:
    assert set(limits.shared(rounds=2).goals) == {f"a token of a shared bucket, {callers}" for callers in ("1 caller", "16 callers")}
