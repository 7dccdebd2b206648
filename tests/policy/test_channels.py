"""Ints in channel patterns, digit by digit."""

import pytest

from proxy.policy.overlap import overlap
from proxy.policy.patterns import parse


@pytest.mark.parametrize(
    "number",
    [
        *("0", "1", "9", "10", "19", "90", "100", "101", "110"),
        *("100000000000000000", "999999999999999999", "1000000000000000000"),
        *("8000000000000000000", "9000000000000000000", "9100000000000000000", "9220000000000000000", "9222999999999999999"),
        *("9223372036854775800", "9223372036854775806", "9223372036854775807"),
    ],
)
def test_an_int_meets_every_number_of_64_bits(number: str) -> None:
    assert overlap(parse("a:{x:int}"), parse(f"a:{number}")) == f"a:{number}"
    assert overlap(parse("a:{x:int}:{y}"), parse(f"a:{number}:b")) == f"a:{number}:b"


@pytest.mark.parametrize(
    "number", ["00", "01", "-1", "+1", "1x", "9223372036854775808", "9223372036854775810", "9300000000000000000", "1" * 20, "0x1"]
)
def test_an_int_meets_nothing_else(number: str) -> None:
    assert overlap(parse("a:{x:int}"), parse(f"a:{number}")) is None
    assert overlap(parse(f"a:{number}:b"), parse("a:{x:int}:{y}")) is None
