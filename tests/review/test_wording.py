"""Expressions as text."""

import pytest

from proxy.policy.reading.parse import parse_expression
from proxy.review.wording import short, visible, worded


@pytest.mark.parametrize(
    "text",
    [
        'a.b["c"].d(1, -2.5) == has(x.y) ? size(l) : null',
        '!(a && b || c) && -x < 1 % 2 && "é\\"" in [1, true] && l.exists(i, i != {"k": [], "m": {}})',
        "(1 + 2) * 3 - 4 / 5",
        "f()",
    ],
)
def test_an_expression_is_worded_as_it_is_written(text: str) -> None:
    assert worded(parse_expression(text)) == text


def test_words_for_signs_become_signs() -> None:
    assert worded(parse_expression("not a and 'b' == c or d")) == '!a && "b" == c || d'


def test_values_are_json_on_one_line_and_not_long() -> None:
    assert short({"a": ["é", None]}) == '{"a": ["é", null]}'
    assert short("\n\u202e") == '"\\n\ufffd"'
    assert (len(short("x" * 198)), short("x" * 199)) == (200, f'"{"x" * 199}…')


def test_what_moves_the_cursor_is_not_shown() -> None:
    assert visible("a\x1b[1m\u202eb") == "a\ufffd[1m\ufffdb"
