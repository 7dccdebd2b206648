"""Patterns for the solver find what RE2 finds."""

import pytest
import z3

from proxy.policy.checking.calls import compile_pattern
from proxy.policy.patterns import Kind, parse
from proxy.review.proving import regular
from proxy.review.proving.logic import choice, every, implied, opposite, some, string, text

PLAIN = [
    *("^[a-z]*$", "a+", "[0-9]", "^.$", "[^a]", "a|b", "", "(a*)*$", "\\d$", "^(?:ab|c)?$", "^a{2,3}b{2}c{1,}$", "^[]a-c]+$", "[a-]"),
    *("\\.", "^a|b$", "^(doc|room):[0-9]{1,4}$", "[\\w-]+$", "\\Aa\\z", "\\S", "^\\W$", "a{0}b", "x*?", "\\n"),
    *("[\\d_]", "^[^\\W\\d]+$", "b{0,}"),
]  # fmt: skip
OPAQUE = ["(?i)a", "\\pL", "x{,2}", "\\x41", "(^a)", "a$b", "[[:alpha:]]", "\U000e0001", "(a", "(?P<n>a)", "a\\b", "a^"]
WORDS = [
    "",
    "a",
    "b",
    "ab",
    "é",
    "É",
    "😀a",
    "a\n",
    "1",
    "007",
    "-",
    "]",
    "aabb",
    "aabbc",
    "aaabbccc",
    "doc:12",
    "room:12345",
    "c",
    "abc",
    "_",
    "\n",
    "a-b",
    " ",
    "{",
]


@pytest.mark.parametrize("pattern", PLAIN)
def test_a_plain_pattern_finds_what_re2_finds(pattern: str) -> None:
    program, found = compile_pattern(pattern), regular.searched(pattern)
    assert found is not None
    for word in WORDS:
        assert z3.is_true(z3.simplify(z3.InRe(string(word), found))) is (program.search(word) is not None), word


@pytest.mark.parametrize("pattern", OPAQUE)
def test_a_pattern_that_is_not_plain_is_left_alone(pattern: str) -> None:
    assert regular.searched(pattern) is None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("plain", ["a", "a-b", "$"], ["", "a:b", "a,b", "é", "a b"]),
        ("int", ["0", "12", "9223372036854775807"], ["", "01", "-1", "1" * 20]),
        ("uuid", ["01234567-89ab-cdef-0123-456789abcdef"], ["01234567-89AB-cdef-0123-456789abcdef", "0"]),
        ("rest", ["a:b/c", "*"], ["", "a b", "\n"]),
    ],
)
def test_a_parameter_matches_what_that_of_a_channel_matches(kind: Kind, good: list[str], bad: list[str]) -> None:
    pattern = parse({"plain": "c/{x}", "rest": "c/{x*}"}.get(kind, f"c/{{x:{kind}}}"))
    for word in (*good, *bad):
        assert z3.is_true(z3.simplify(z3.InRe(string(word), regular.parameter(kind)))) is (word in good), word
        assert (pattern.matches(f"c/{word}") is not None) is (word in good), word


@pytest.mark.parametrize("word", ["a\\b", "\\u{41}", "é😀\n}", "{u}", "", " x~", "\ud800"])
def test_a_text_comes_back_from_the_solver_as_it_was(word: str) -> None:
    variable, solver = z3.String("x"), z3.Solver()
    solver.add(variable == string(word), z3.Length(variable) == len(word))
    assert solver.check() == z3.sat
    assert text(solver.model()[variable]) == word


def test_what_is_plainly_so_leaves_no_trace() -> None:
    a, true, false = z3.Bool("a"), z3.BoolVal(True), z3.BoolVal(False)  # noqa: FBT003 - terms
    assert [str(every(each)) for each in ((), (a, true), (a, false))] == ["True", "a", "False"]
    assert [str(some(each)) for each in ((), (a, false), (a, true))] == ["False", "a", "True"]
    assert [str(opposite(each)) for each in (true, false, a, z3.Not(a))] == ["False", "True", "Not(a)", "a"]
    assert [str(implied(each, a)) for each in (true, false)] == ["a", "True"]
    assert [str(choice(each, z3.IntVal(1), z3.IntVal(2))) for each in (true, false, a)] == ["1", "2", "If(a, 1, 2)"]
    assert str(choice(a, z3.IntVal(1), z3.IntVal(1))) == "1"
