"""Which names of a request deciding may look at: what no rule reads need not be kept with a grant."""

import pytest

from tests.policy.policies import policy


@pytest.mark.parametrize(
    ("text", "connect", "subscribe"),
    [
        ("", set(), set()),
        ('channel "c" { allow subscribe; allow publish when data.a == 1; }', set(), set()),
        (
            'channel "c" { allow subscribe when user == "1"; } channel "d" { allow subscribe when labels["a"] == "b"; }',
            set(),
            {"user", "labels"},
        ),
        ('channel "c" { allow subscribe; allow subscribe info = {"c": client}; }', set(), {"client"}),
        ('channel "c" { deny x on subscribe when transport == "sse"; allow subscribe; }', set(), {"transport"}),
        ('channel "c" { allow subscribe when user == "1" info = {"c": client}; }', set(), {"user", "client"}),
        ('channel "c" { allow subscribe schema "schemas/s.json"; }', set(), {"data"}),
        ('channel "c" { allow subscribe; } deny x on connect when name == "a";', {"name"}, set()),
        ('connect { allow when headers["a"] == "b"; }', {"headers"}, set()),
        ('connect { allow; data = {"t": timestamp_ms}; }', {"timestamp_ms"}, set()),
        ('connect { allow; subscribe "c#" + user; }', {"user"}, set()),
        ('let mine = user == "1"; channel "c" { allow subscribe when mine; }', set(), {"user"}),
    ],
)
def test_just_the_names_that_rules_denies_and_obligations_of_an_operation_look_at_are_read(
    text: str, connect: set[str], subscribe: set[str]
) -> None:
    assert policy(text, s='{"type": "object"}').reads == {"connect": connect, "subscribe": subscribe}
