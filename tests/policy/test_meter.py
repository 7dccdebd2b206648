"""What work costs: steps, by the lengths of texts."""

import pytest
import re2

from proxy.policy.failure import Exhausted, Failed
from proxy.policy.meter import STEPS, Meter
from proxy.policy.prices import PAYING

LONG = 30_000


def test_a_decision_may_spend_just_its_steps() -> None:
    meter = Meter()
    meter.spend(STEPS)
    with pytest.raises(Exhausted):
        meter.spend(1)


@pytest.mark.parametrize(
    ("name", "operands", "steps"),
    [
        ("+", ("a" * 64, "b" * 128), 3),
        ("==", ("a" * 128, "b" * 64), 1),
        ("<", ("a" * 64, "b" * 640), 1),
        ("in", ("a" * 640, {"b": 1}), 10),
        ("index", ({"a" * 128: 1}, "a" * 128), 2),
        ("contains", ("a" * 640, "b" * 10), 100),
        ("contains", ("a" * (LONG - 1), "b" * 7), (LONG - 1) * 7 // 64),
        ("contains", ("a" * LONG, "b" * 7), LONG * 6 // 64),
        ("startsWith", ("a", "b" * 64), 1),
        ("lowerAscii", ("A" * 64,), 64),
        ("lowerAscii", ("",), 0),
    ],
)
def test_texts_are_paid_for_by_what_it_takes_to_handle_them(name: str, operands: tuple[object, ...], steps: int) -> None:
    meter = Meter()
    PAYING[name](meter, *operands)
    assert STEPS - meter.left == steps


def test_a_match_is_paid_for_by_the_text_and_the_size_of_the_pattern() -> None:
    pattern = re2.compile("a{8}")
    for length in (0, 160):
        meter = Meter()
        PAYING["matches"](meter, "b" * length, pattern)
        assert STEPS - meter.left == 64 + length * pattern.programsize // 16


def test_what_is_no_text_costs_nothing_and_fails_as_it_does_anyway() -> None:
    meter = Meter()
    with pytest.raises(Failed, match="int"):
        PAYING["lowerAscii"](meter, 5)
    assert meter.left == STEPS
