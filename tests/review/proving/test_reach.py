"""Rules that never decide."""

from pathlib import Path

import pytest

from proxy.review.proving.reach import Idle
from tests.review.proving.scene import idling
from tests.review.proving.test_prove import MESSAGE

CASES = [line.split("\t") for line in (Path(__file__).parent / "idle.tsv").read_text().splitlines()[1:]]


@pytest.mark.parametrize(("wanted", "text"), CASES)
def test_a_rule_that_never_decides_is_found_with_its_reason(wanted: str, text: str) -> None:
    assert "; ".join(f"{each.rule}: {each.why}" for each in idling(text, message=MESSAGE)) == wanted


def test_an_idle_rule_is_known_by_its_place() -> None:
    assert idling('\nchannel "c:{x}" {\n  allow presence when vars.x == "/"; }') == [
        Idle(rule="c:{x}/presence/1", at="p.policy:11", why="never holds")
    ]
