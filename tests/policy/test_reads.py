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


FACTS = """database main { url env URL; }
fact a(uid: string) -> bool { sql main "select 1 from a where id = :uid"; }
fact b(uid: string) -> bool { sql main "select 1 from b where id = :uid"; }
"""


@pytest.mark.parametrize(
    ("text", "a", "b"),
    [
        ('channel "c" { allow subscribe when a(user); allow publish when b(user); }', {"c/subscribe"}, set()),
        ('deny x when a(user); channel "c" { allow subscribe; }', {"connect", "c/subscribe"}, set()),
        ('channel "c" { allow subscribe info = {"a": a(user)}; }', {"c/subscribe"}, set()),
        ('let both = a(user) && b(user); channel "c" { allow subscribe when both; }', {"c/subscribe"}, {"c/subscribe"}),
        ('connect { allow; data = {"a": a(user)}; subscribe b(user) ? "c" : "d"; }', {"connect"}, {"connect"}),
        ('rpc "r" { allow when a(user) && b(user); answer = 1; } channel "c" { allow publish; }', set(), set()),
    ],
)
def test_what_users_are_granted_may_rest_on_the_facts_that_deciding_it_looks_at(text: str, a: set[str], b: set[str]) -> None:
    made = policy(FACTS + text)
    assert made.resting_on(frozenset({"a"})) == a
    assert made.resting_on(frozenset({"b", "c"})) == b
    assert made.resting_on(frozenset()) == set()
