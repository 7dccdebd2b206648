import pytest

from bench import revocation
from bench.revocation import Size

pytestmark = pytest.mark.live


def test_just_those_who_lose_their_right_are_ended_and_the_others_with_the_rest() -> None:
    found = revocation.findings(Size(clients=12, singles=3, some=4, groups=2))
    assert found.amounts["1, p50 ms"] > 0
    assert "all 109" in found.intervals
