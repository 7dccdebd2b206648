"""Only what the policy itself decides so refutes an invariant."""

import pytest

from proxy.policy.checking.plan import Claim
from proxy.policy.policy import Policy
from proxy.review.proving.confirm import confirm
from proxy.review.proving.values import NULL
from tests.review.proving.scene import loaded

TEXT = """identity g { guest; } channel "c:{x}" { allow subscribe when vars.x != "no"; }
never allow subscribe on "c:{x}" for %s when vars.x == user;"""


def scene(kinds: str) -> tuple[Policy, Claim]:
    policy, _ = loaded(TEXT % kinds)
    (claim,) = policy.claims
    return policy, claim


@pytest.mark.parametrize(
    ("kinds", "user", "channel", "broken"),
    [
        ("users", "a", "c:a", True),
        ("users", "a", "c:b", False),
        ("users", "no", "c:no", False),
        ("users", "a", "d:a", False),
        ("guests", "a", "c:a", False),
    ],
)
def test_a_request_breaks_an_invariant_only_if_it_is_allowed_and_the_invariant_speaks_of_it(
    kinds: str, user: str, channel: str, *, broken: bool
) -> None:
    policy, claim = scene(kinds)
    line = {"op": "subscribe", "user": user, "channel": channel, "meta": {"a": 1}, "facts": {'account("a")': None}}
    found = confirm(policy, claim, line)
    assert (found is not None) is broken
    assert found is None or found.request == {"op": "subscribe", "user": user, "channel": channel, "facts": {}}


def test_an_invariant_does_not_speak_of_other_channels() -> None:
    policy, _ = loaded('channel "c:{x}" { allow subscribe; } never allow subscribe on "c:a{x}" for users;')
    line = {"op": "subscribe", "user": "u", "channel": "c:b", "facts": {}}
    assert confirm(policy, policy.claims[0], line) is None
    assert confirm(policy, policy.claims[0], {**line, "channel": "c:ab"}) is not None


def test_null_is_no_scalar() -> None:
    assert str(NULL.term("null")) == "False"
    assert NULL.size() is not None
