"""Corners of the formatter: what stands on one line, what is spread, and what stands close."""

import pytest

from proxy.policy.reading.format import format_text

A, B, C, D = "a" * 36, "b" * 39, "c" * 23, "d" * 17


@pytest.mark.parametrize(
    ("rough", "smooth"),
    [
        ('\n\nchannel "a" {\n\n  allow presence;\n\n}', 'channel "a" {\n  allow presence;\n}'),
        ('channel "a" { allow presence; }', 'channel "a" { allow presence; }'),
        ('channel "a" { allow presence;\n}', 'channel "a" {\n  allow presence;\n}'),
        ('channel\n"a" { allow presence; }', 'channel "a" {\n  allow presence;\n}'),
        ("deny\n// why\na when true;", "deny\n  // why\n  a when true;"),
        ('let a = f([\n"x"\n], ["long", "list"]);', 'let a = f([\n  "x"\n], ["long", "list"]);'),
        ("let a = [\n[1, 2], [3, 4]\n];", "let a = [\n  [1, 2],\n  [3, 4]\n];"),
        (f"let a = [({A} && {B}) || ({C} && {D})];", f"let a = [\n  ({A} && {B})\n      || ({C} && {D})\n];"),
        ('let a = """x\ny""";\nlet b = 1;', 'let a = """x\ny""";\nlet b = 1;'),
        ('let a = """x\ny""";\n\n\nlet b = 1;', 'let a = """x\ny""";\n\nlet b = 1;'),
        ("let a = '\"a';\nlet b = '\"'; let c = '';", 'let a = "\\"a";\nlet b = "\\"";\nlet c = "";'),
        ("meta { a: { b?: list <int> }, c : map<string,int> ? }", "meta { a: { b?: list<int> }, c: map<string, int>? }"),
        ('let a = {"a" : x?y:z, "b": x ? (y ? 1 : 2):z, "c":1};', 'let a = {"a": x ? y : z, "b": x ? (y ? 1 : 2) : z, "c": 1};'),
        ("let a = x && y in [\n1,2\n];", "let a = x && y in [\n  1,\n  2\n];"),
        (
            'channel "a" {\n allow publish when user == """a\nb""" limit 10/1s;\n}',
            'channel "a" {\n  allow publish when user == """a\nb""" limit 10/1s;\n}',
        ),
        ("let a = x?y:z?u:v; let b = [x ? y:z, x?y : z];", "let a = x ? y : z ? u : v;\nlet b = [x ? y : z, x ? y : z];"),
        (
            'fact f(a : string) -> { a: { b? : list<int ?> } } { python "m:f"; }',
            'fact f(a: string) -> { a: { b?: list<int?> } } { python "m:f"; }',
        ),
    ],
)
def test_a_text_is_laid_out_in_one_way(rough: str, smooth: str) -> None:
    assert format_text("a.policy", f"language 1;\n{rough}").replace("language 1;\n", "", 1).strip() == smooth
    assert format_text("a.policy", f"language 1;\n{smooth}\n") == f"language 1;\n{smooth}\n"


def test_nothing_stands_before_the_first_statement() -> None:
    assert format_text("a.policy", "\n\n\nlanguage 1;") == "language 1;\n"
