from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.grants.grant import Grant, Key
from proxy.grants.holdings import MANY, Holdings
from tests.grants.test_registry import made

FEW = st.sampled_from([f"{number}" for number in range(2 * MANY)])
KEYS = st.tuples(st.sampled_from(["", "42"]), st.sampled_from(["c1", "c2", "c3"]), FEW) | st.tuples(st.just(""), FEW, st.just("doc:7"))


def grant(key: Key) -> Grant:
    user, client, channel = key
    return made(client, channel, user=user)


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=120))
def test_it_is_a_dictionary_by_key_that_knows_users_and_their_clients(steps: list[tuple[bool, Key]]) -> None:
    holdings, expected = Holdings(), dict[Key, Grant]()
    for places, key in steps:
        if places:
            new = grant(key)
            assert holdings.place(new) is expected.setdefault(key, new)
        elif key in expected:
            holdings.remove(expected.pop(key))
        assert holdings.get(key) is expected.get(key)
        assert len(holdings) == len(expected)
    assert {each.key: each for each in holdings} == expected
    for user, client, _ in [key for _, key in steps]:
        assert set(holdings.of_user(user)) == {each for each in expected.values() if each.user == user}
        assert set(holdings.of_holder(user, client)) == {each for each in expected.values() if (each.user, each.holder) == (user, client)}


@pytest.mark.parametrize("count", [1, 2, MANY - 1, MANY, 3 * MANY])
def test_what_a_client_has_is_in_the_order_in_which_it_came_and_leaves_nothing_behind(count: int) -> None:
    holdings = Holdings()
    grants = [made("c1", f"doc:{number}") for number in range(count)]
    for each in (*grants, made("c2")):
        assert holdings.place(each) is each
    assert holdings.of_holder("42", "c1") == tuple(grants)
    assert [holdings.place(replace(each)) for each in grants] == grants
    for each in holdings.of_user("42"):
        holdings.remove(each)
    assert (len(holdings), holdings._users) == (0, {})
