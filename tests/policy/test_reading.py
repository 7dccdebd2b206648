"""Limits and corners of reading a policy file."""

import pytest

from proxy.policy.findings import Finding
from proxy.policy.reading.lex import MAX_CHARACTERS, MAX_FINDINGS, MAX_LEXEMES, lex
from proxy.policy.reading.parse import parse_expression, parse_file
from proxy.policy.reading.syntax import Binary, Chain, Literal, Unary
from tests.policy.policies import placed, policy

BEGIN = "language 1;"


def places(findings: list[Finding]) -> list[tuple[str, int, int]]:
    return [(f.id, f.at.line, f.at.column) for f in findings]


@pytest.mark.parametrize(("more", "found"), [(0, []), (1, [("too-large", 1, 1)])])
def test_a_file_has_so_many_characters_at_most(more: int, found: list[object]) -> None:
    text = f"{BEGIN}//"
    assert places(parse_file("a.policy", text + "a" * (MAX_CHARACTERS - len(text) + more))[1]) == found


def test_the_limits_of_files_are_these() -> None:
    assert (MAX_CHARACTERS, MAX_LEXEMES, MAX_FINDINGS) == (1_048_576, 100_000, 20)


@pytest.mark.parametrize("piece", [";", "//\n"])
def test_a_file_has_so_many_pieces_at_most(piece: str) -> None:
    assert lex("a.policy", piece * MAX_LEXEMES).findings == []
    (finding,) = lex("a.policy", piece * (MAX_LEXEMES + 1)).findings
    assert finding.id == "too-large"


@pytest.mark.parametrize("piece", ["@", "\0"])
def test_findings_about_the_characters_of_a_file_come_to_an_end(piece: str) -> None:
    assert len(lex("a.policy", piece * (MAX_FINDINGS * 2)).findings) == MAX_FINDINGS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n\x1b", [("syntax", 2, 1)]),
        ("\ufefflet = @", [("syntax", 1, 1)]),
        ("@", [("syntax", 1, 1)]),
        ("let a = 1;\n@", [("syntax", 1, 1), ("syntax", 2, 1)]),
        ("", [("syntax", 1, 1)]),
        ("language 2; let a = ;", [("syntax", 1, 10), ("syntax", 1, 21)]),
    ],
)
def test_a_file_that_does_not_begin_well_is_complained_of_once_for_each_mistake(text: str, found: list[object]) -> None:
    assert places(parse_file("a.policy", text)[1]) == found


@pytest.mark.parametrize("text", ["has()", "has(data)", "has(data.a, data.b)"])
def test_has_takes_one_field(text: str) -> None:
    assert placed(f'channel "c" {{ allow publish when §{text}; }}') == ["syntax"]


@pytest.mark.parametrize(("text", "value"), [("-1", -1), ("-0", 0), ("-0.5", -0.5), ("-0.0", 0.0)])
def test_a_minus_before_a_number_belongs_to_it(text: str, value: float) -> None:
    found = parse_expression(text)
    assert isinstance(found, Literal)
    assert found.value == value


def test_a_minus_before_anything_else_is_an_operator() -> None:
    for text in ("-a", "--1", "-true", '-"a"', "-null"):
        assert isinstance(parse_expression(text), Unary), text


def test_a_chain_takes_its_own_terms_and_no_others() -> None:
    for text in ("a || b && c && d", "a == b && c && d || e", "a || b && c && d && e || f"):
        found = parse_expression(text)
        assert isinstance(found, Chain)
        assert found.op == "||", text
    inner = parse_expression("a || b && c && d")
    assert isinstance(inner, Chain)
    assert [type(term).__name__ for term in inner.terms] == ["Name", "Chain"]
    sums = parse_expression("a + b - c")
    assert isinstance(sums, Binary)
    assert (sums.op, isinstance(sums.left, Binary)) == ("-", True)


@pytest.mark.parametrize(
    ("clause", "found"),
    [
        ("expire 5m jitter §0%", ["syntax"]),
        ("expire 5m jitter §1%", []),
        ("expire 5m jitter §100%", []),
        ("expire 5m jitter §101%", ["syntax"]),
        ("expire §36500d", []),
        ("expire §36501d", ["syntax"]),
        (f"expire §{7:020}s", []),
        (f"expire §{7:021}s", ["syntax"]),
        (f"expire 5m limit 1/1s burst §{2**63 - 1} per user", []),
        (f"expire 5m limit 1/1s burst §{2**63} per user", ["syntax"]),
    ],
)
def test_the_numbers_of_obligations_have_limits(clause: str, found: list[str]) -> None:
    assert placed(f'channel "c" {{ allow subscribe {clause}; }}') == found


def test_the_longest_lifetime_is_a_century() -> None:
    rule = policy('channel "c" { allow subscribe expire 36500d; }').decider.plans.channels[0][1]["subscribe"].rules[0]
    assert rule.obligations.expire_ms == 36_500 * 24 * 3_600_000


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("\ufeff", "the file holds a byte order mark", "save the file as UTF-8 without BOM"),
        ("\r", "the file holds a carriage return without a line feed", "end lines with a line feed"),
        ("\x1b", "the file holds the invisible character U+001B", "write it as an escape in a string: \\u001b"),
        ("1" + "a" * 25, f"1{'a' * 19} is neither a number nor a duration", "ints are decimal, durations are like 150ms 10s 5m 24h 30d"),
    ],
)
def test_what_is_no_piece_of_the_language_is_named(text: str, message: str, hint: str) -> None:
    (found,) = lex("a.policy", text).findings
    assert (found.message, found.hint) == (message, hint)


@pytest.mark.parametrize("data", ['{"a": }', '{"a": {"b": }}', '{"a": {"b": 1}, "c": }'])
def test_behind_brackets_that_belong_to_a_mistake_the_next_block_is_read(data: str) -> None:
    text = f'language 1;\nconnect {{ data = {data}}}\nchannel "c" {{ x; }}\nlet = 3;\n'
    assert [line for _, line, _ in places(parse_file("a.policy", text)[1])] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("language 1{{}\n\n,", ["1:11 found `{`, expected `;`"]),
        ("language 1\n\n)channel", ["3:1 a `;` is missing before `)`"]),
        ("language 1\n\n}users", ["3:1 a `;` is missing before `}`"]),
        ("language 1}users", ["1:11 a `;` is missing before `}`"]),
        (
            'language 1;\nchannel "a" {{}\n\nb',
            ["2:14 found `{`, expected `allow`, `deny`, `let` or `}`", "4:2 the `{` of line 2 is not closed"],
        ),
        (
            'language 1;\nchannel "a" {\n  allow subscribe as ;\n{}\n\nb',
            [
                "3:22 found `;`, expected a name",
                "4:1 found `{`, expected `allow`, `deny`, `let` or `}`",
                "6:2 the `{` of line 2 is not closed",
            ],
        ),
    ],
)
def test_what_belongs_to_a_mistake_is_complained_of_only_once(text: str, found: list[str]) -> None:
    assert [f"{f.at.line}:{f.at.column} {f.message}" for f in parse_file("a.policy", text)[1]] == found
