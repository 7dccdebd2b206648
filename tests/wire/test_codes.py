"""Centrifugo's numbers."""

import pytest

from proxy.wire.codes import CUSTOM_DISCONNECTS, CUSTOM_ERRORS, ERRORS, PASSING, REFUSALS, DisconnectCode, terminal


@pytest.mark.parametrize(
    ("code", "stays_away"),
    [
        (1000, False),
        (3000, False),
        (3499, False),
        (3500, True),
        (3999, True),
        (4000, False),
        (4499, False),
        (4500, True),
        (4999, True),
        (5000, False),
    ],
)
def test_clients_stay_away_after_terminal_codes_only(code: int, *, stays_away: bool) -> None:
    assert terminal(code) is stays_away


def test_what_refuses_is_terminal() -> None:
    assert all(map(terminal, REFUSALS | {DisconnectCode.UNAUTHORIZED, DisconnectCode.FORBIDDEN}))


def test_a_changed_policy_makes_clients_ask_for_new_tokens() -> None:
    assert DisconnectCode(3014) is DisconnectCode.STATE_INVALIDATED
    assert not terminal(DisconnectCode.STATE_INVALIDATED)


def test_the_numbers_are_centrifugos() -> None:
    assert set(range(100, 114)) == ERRORS
    assert {100, 111, 113} == PASSING
    assert {400, 1999} <= set(CUSTOM_ERRORS)
    assert not {0, 99, 399, 2000} & set(CUSTOM_ERRORS)
    assert (CUSTOM_DISCONNECTS[0], CUSTOM_DISCONNECTS[-1]) == (4000, 4999)
    assert {3500, 3501, 3503, 3507} == REFUSALS
    assert (DisconnectCode.UNAUTHORIZED, DisconnectCode.FORBIDDEN) == (4501, 4503)
