"""What is said about a text that the grammar does not admit: found, expected, and the way out."""

import pytest

from proxy.policy.findings import Objection
from proxy.policy.reading.parse import parse_expression, parse_file


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("a b", 3, "found `b`, expected an operator or the end", ""),
        ("a +", 4, "the text ends too early, expected an expression", ""),
        ("(a", 3, "the `(` of line 1 is not closed", ""),
        ("a ? b", 6, "the text ends too early, expected `:`", ""),
        ("a.", 3, "the text ends too early, expected a name", ""),
        ("a[1", 4, "the `[` of line 1 is not closed", ""),
        ("f(a", 4, "the `(` of line 1 is not closed", ""),
        ("[a b]", 4, "found `b`, expected an operator, `,` or `]`", ""),
        ('{"a": 1 2}', 9, "found the number 2, expected an operator, `,` or `}`", ""),
        ("a && b) c", 7, "found `)`, expected the end", ""),
        ("!", 2, "the text ends too early, expected an expression", ""),
        ("a = b", 3, "found `=`, expected an operator or the end", "use == to compare"),
        ("a is b", 3, "found `is`, expected an operator or the end", "use == to compare"),
        ("a if b", 3, "found `if`, expected an operator or the end", "write condition ? value : other"),
        ("a 10s", 3, "found the duration 10s, expected an operator or the end", "in expressions times are ints of milliseconds"),
        ("a 10/1s", 3, "found the rate 10/1s, expected an operator or the end", "in expressions times are ints of milliseconds"),
        ("a 5", 3, "found the number 5, expected an operator or the end", ""),
        ("a when", 3, "found `when`, expected an operator or the end", "a rule has one condition; join its parts with &&"),
        ("x{a", 2, "messages are not in the language", 'maps are {"key": value}'),
        (
            "a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            3,
            "found `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`, expected an operator or the end",
            "",
        ),
        (
            "a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            3,
            "found `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…`, expected an operator or the end",
            "",
        ),
        (
            'a "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"',
            3,
            'found the string "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", expected an operator or the end',
            "",
        ),
        ("a 1.5", 3, "found the number 1.5, expected an operator or the end", ""),
    ],
)
def test_an_expression_is_refused_in_words(text: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(Objection) as refused:
        parse_expression(text)
    found = refused.value.finding
    assert (found.at.line, found.at.column, found.message, found.hint) == (1, column, message, hint)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("chanel", 1, "found `chanel`, expected a statement like channel or deny", "did you mean channel?"),
        ('channel "a" { alow presence; }', 15, "found `alow`, expected `allow`, `deny`, `let` or `}`", "did you mean allow?"),
        (
            'channel "a" { allow when user == "a" presence; }',
            26,
            "found `user`, expected an obligation, `,`, `;`, `as` or `when`",
            "the operations of a rule stand before when",
        ),
        ('channel "a" { when user presence; }', 15, "found `when`, expected `allow`, `deny`, `let` or `}`", ""),
        ("fact f() -> bool { cache 10; }", 26, "found the number 10, expected a duration like 10s", "write a unit: 150ms 10s 5m 24h 30d"),
        ("fact f() -> bool { cache 10 s; }", 26, "found the number 10, expected a duration like 10s", "write 10s as one word"),
        ("fact f() -> bool { cache 10 x; }", 26, "found the number 10, expected a duration like 10s", "write a unit: 150ms 10s 5m 24h 30d"),
        ("fact f() -> bool { timeout 5; }", 28, "found the number 5, expected a duration like 10s", "write a unit: 150ms 10s 5m 24h 30d"),
        ("log { sample allow 5; }", 21, "found `;`, expected `%`", ""),
        ('channel "a" { allow presence when user == 5 s; }', 45, "found `s`, expected an operator, an obligation or `;`", ""),
        ('channel "a" { allow publish limit 5; }', 35, "found the number 5, expected a rate like 10/1s", ""),
        (
            'channel "a" { allow publish limit 10s; }',
            35,
            "found the duration 10s, expected a rate like 10/1s",
            "in expressions times are ints of milliseconds",
        ),
        (
            'channel "a" { allow publish expire 10/1s; }',
            36,
            "found the rate 10/1s, expected a duration like 10s",
            "in expressions times are ints of milliseconds",
        ),
        ('channel "a" { allow presence\n allow history; }', 0, "a `;` is missing before `allow`", ""),
        ('channel "a" { allow presence }', 30, "a `;` is missing before `}`", ""),
        ("meta { a: }", 11, "found `}`, expected a name, `list`, `map` or `{`", ""),
        ("service s { key K; }", 17, "found `K`, expected a string or `env`", ""),
        ('rpc "a" { answer 5; }', 18, "found the number 5, expected `=`, `history` or `presence`", ""),
        ("language 1;", 1, "found `language`, expected a statement like channel or deny", "language 1; stands once, at the top"),
        ('channel "a" { deny }', 20, "found `}`, expected a name", ""),
        ("let a = 1", 10, "the text ends too early, expected `;`", ""),
        ("let a", 6, "the text ends too early, expected `=`", ""),
        (
            'channel "a" { allow presence deny b when true; }',
            30,
            "found `deny`, expected an obligation, `,`, `;`, `as` or `when`",
            "deny stands at the top level or in a channel, before the rules",
        ),
        ('channel "a" { allow publish max 5; }', 29, "found `max`, expected an obligation, `,`, `;`, `as` or `when`", ""),
        ('channel when "x" {}', 9, "found `when`, expected a string", ""),
        ("when x;", 1, "found `when`, expected a statement like channel or deny", ""),
        ('"when" x;', 1, 'found the string "when", expected a statement like channel or deny', ""),
        (
            'channel "c" { allow publish "when" x; }',
            29,
            'found the string "when", expected an obligation, `,`, `;`, `as` or `when`',
            "did you mean when?",
        ),
        ("let a = x when y;", 11, "found `when`, expected an operator or `;`", "a rule has one condition; join its parts with &&"),
    ],
)
def test_a_statement_is_refused_in_words(text: str, column: int, message: str, hint: str) -> None:
    found = parse_file("a.policy", f"language 1;\n{text}")[1][-1]
    assert (found.at.line if column else 2, found.at.column if column else 0, found.message, found.hint) == (2, column, message, hint)
