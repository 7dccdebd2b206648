import pytest

from proxy.edge.headers import folded


def test_headers_are_known_by_name() -> None:
    assert folded([(b"origin", b"https://a.example"), (b"cookie", b"a=\xe9")]) == {"origin": "https://a.example", "cookie": "a=é"}


def test_the_last_value_counts() -> None:
    assert folded([(b"x-a", b"1"), (b"x-a", b"2")]) == {"x-a": "2"}


@pytest.mark.parametrize("name", [b"authorization", b"cookie"])
def test_a_repeated_credential_leaves_nothing(name: bytes) -> None:
    assert folded([(name, b"1"), (b"x", b"y"), (name, b"1")]) is None


def test_no_policy_sees_the_hook_secret() -> None:
    assert folded([(b"x-centrigate-hook-secret", b"s"), (b"x", b"y")]) == {"x": "y"}
