import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from proxy.policy.findings import Objection, Position
from proxy.policy.reading.format import format_text
from proxy.policy.reading.layout import WIDTH
from proxy.policy.reading.lex import lex
from proxy.policy.reading.parse import parse_file, parse_lexemes, parse_trials

CASES = Path(__file__).parents[1] / "conformance"
POLICIES = Path(__file__).parents[2] / "policies"
FILES = sorted([*CASES.rglob("*.policy"), *POLICIES.glob("*.policy")])

ROUGH = """\
// top

language 1; // first
fact a ( x : string , y:int ) -> list < { a : map<string,int> , b ? : list<string>? , } > ? { // facts
   python 'm:"f"' ; cache 10s negative 2s max 5;


   // last
}
meta {
  a: string, // first
  b?: { c: int }
}
meta {}
let x=not(a and b)or - c . d [ 0 ]+-1 <2 ? {'k':1,}["k"] : [ 1,2, ];
let y = a
    // why
  && b; let z = has(a.b)&&[1].all(i,i>0 && [ // one
  1 ] == [1]
  );
channel "x" {
}
channel "y" { allow subscribe; deny z on publish when !x ; }
log { sample allow 0.5 % ; mask data.text,meta.a; }
channel 'a"b\\'' {
  allow subscribe expire 5m jitter 10 % ; // end
  allow publish when [-1, 7 % 2, 7-2].exists(i, i==-x) limit 10/1s burst 5 per user,channel;
}
database main { url env A default ''; }
fact q() -> bool { sql main \"\"\"
   select 1
     from x
\"\"\"; }
// end

"""
SMOOTH = """\
// top

language 1;  // first
fact a(x: string, y: int) -> list<{ a: map<string, int>, b?: list<string>? }>? {  // facts
  python "m:\\"f\\"";
  cache 10s negative 2s max 5;

  // last
}
meta {
  a: string, // first
  b?: { c: int }
}
meta {}
let x = !(a && b) || -c.d[0] + -1 < 2 ? {"k": 1}["k"] : [1, 2];
let y = a
  // why
  && b;
let z = has(a.b) && [1].all(i, i > 0 && [ // one
  1] == [1]
);
channel "x" {}
channel "y" { allow subscribe; deny z on publish when !x; }
log { sample allow 0.5%; mask data.text, meta.a; }
channel "a\\"b'" {
  allow subscribe expire 5m jitter 10%;  // end
  allow publish when [-1, 7 % 2, 7 - 2].exists(i, i == -x) limit 10/1s burst 5 per user, channel;
}
database main { url env A default ""; }
fact q() -> bool {
  sql main \"\"\"
   select 1
     from x
\"\"\";
}
// end
"""


def bare(value: object) -> object:
    """A tree without its positions, and comments without what surrounds them."""
    if isinstance(value, Position):
        return None
    if isinstance(value, tuple):
        return tuple(bare(part) for part in value)
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.name != "alone"]
        return type(value).__name__, *(bare(getattr(value, name)) for name in fields)
    return value


def meaning(path: str, text: str) -> object:
    tree, findings = parse_trials(path, text) if path.endswith(".test.policy") else parse_file(path, text)
    assert all(finding.message == "this rpc has no answer" for finding in findings)
    comments = [(note.text.rstrip(), note.alone) for note in tree.comments]
    return bare(dataclasses.replace(tree, comments=())), comments


def unchanged(path: str, text: str) -> str:
    """Format, and see that nothing but the layout changed and that doing it again changes nothing."""
    once = format_text(path, text)
    assert meaning(path, once) == meaning(path, text)
    assert format_text(path, once) == once
    assert not [line for line in once.split("\n") if line != line.rstrip()]
    assert once.endswith("\n")
    return once


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_formatting_changes_no_meaning_and_is_stable(path: Path) -> None:
    text = path.read_text()
    if parse_lexemes(path.name, text, "trials" if path.name.endswith(".test.policy") else "policy")[1].findings:
        with pytest.raises(Objection):
            format_text(path.name, text)
    else:
        unchanged(path.name, text)


def test_there_is_one_way_to_write_each_thing() -> None:
    assert unchanged("a.policy", ROUGH) == SMOOTH


def test_a_file_that_does_not_parse_is_refused_with_its_first_finding() -> None:
    with pytest.raises(Objection) as refused:
        format_text("a.policy", "language 1;\nlet a = ;\nlet b = 'x\n")
    assert refused.value.finding.at.line == 2


LONG = '"' + "x" * 40 + '"'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            f'channel "x" {{ allow publish when user == {LONG} info = {{"a": 1}} stamp a = 1, b = 2 limit 1/1s; }}',
            [
                'channel "x" {',
                f"  allow publish when user == {LONG}",
                '    info = {"a": 1}',
                "    stamp a = 1, b = 2",
                "    limit 1/1s;",
                "}",
            ],
        ),
        (
            'channel "x" { allow publish\n limit 1/1s; }',
            ['channel "x" {', "  allow publish", "    limit 1/1s;", "}"],
        ),
        ('channel "x" { allow publish when\n a limit 1/1s; }', ['channel "x" {', "  allow publish when a limit 1/1s;", "}"]),
        (f"let a = {LONG} == b && c || {LONG} == d;", [f"let a = {LONG} == b && c", f"    || {LONG} == d;"]),
        (f"let a = {LONG} == b && (c || d) && {LONG} == e;", [f"let a = {LONG} == b", "    && (c || d)", f"    && {LONG} == e;"]),
        (f"let a = b in [{LONG}, [1], {LONG}];", ["let a = b in [", f"  {LONG},", "  [1],", f"  {LONG}", "];"]),
        (
            f'let a = f([1], {{"k": {LONG}, "l": [{{}}, {LONG}]}}, [2]);',
            ["let a = f([1], {", f'  "k": {LONG},', f'  "l": [{{}}, {LONG}]', "}, [2]);"],
        ),
        (f"let a = {LONG} + {LONG} + {LONG};", [f"let a = {LONG} + {LONG} + {LONG};"]),
        ("let a = [\n1, [\n2], [3]];", ["let a = [", "  1,", "  [", "    2", "  ],", "  [3]", "];"]),
        ('let a = [1] == {\n"k": 1};', ["let a = [1] == {", '  "k": 1', "};"]),
        ("let a = [\n];", ["let a = [];"]),
        (
            'channel "x" {\nallow publish info = {\n"a": 1}; }',
            ['channel "x" {', "  allow publish", "    info = {", '      "a": 1', "    };", "}"],
        ),
        ('channel "x" { let a = 1; // why\n allow publish; }', ['channel "x" {', "  let a = 1;  // why", "  allow publish;", "}"]),
        (
            'channel "x" // why\n{ allow publish; } // end',
            ['channel "x" // why', "{", "  allow publish;", "}  // end"],
        ),
        (
            'channel "x" { allow publish when user == "' + "y" * 60 + '"; }',
            ['channel "x" {', '  allow publish when user == "' + "y" * 60 + '";', "}"],
        ),
        ("let a = not not b;\n\n\n\nlet c = - d;", ["let a = !!b;", "", "let c = -d;"]),
        ("let a = '\\'\"\\\\' + '''x\"\n''' + '';", ['let a = "\'\\"\\\\" + """x\\"', '""" + "";']),
        ("let a = ( ( b ) ) . c ( ) [ d ] ( x );", []),
        ("let a = (b) [0] in [0] ? - 1 : [ ] [0];", ["let a = (b)[0] in [0] ? -1 : [][0];"]),
        ('let a = b ? (c ? {"k": d} : e) : f;', ['let a = b ? (c ? {"k": d} : e) : f;']),
        ("let a = jitter % 2 == allow % 3;", ["let a = jitter % 2 == allow % 3;"]),
        ("fact a() -> { b?: int? }? {}", ["fact a() -> { b?: int? }? {}"]),
        ("identity a { meta = {}; guest; }", ["identity a { meta = {}; guest; }"]),
        ("log {\n// why\n}", ["log {", "  // why", "}"]),
    ],
)
def test_lines_break_where_they_must_or_the_author_broke_them(text: str, lines: list[str]) -> None:
    if lines:
        assert unchanged("a.policy", f"language 1;\n{text}").split("\n")[1:-1] == lines
    else:
        with pytest.raises(Objection):
            format_text("a.policy", f"language 1;\n{text}")


def test_parts_of_expectations_break_like_obligations() -> None:
    expectations = f'allow publish "x" data {{"a": {LONG}}} by "y" stamps {{"a": "b"}}; deny publish "x" because schema;'
    assert unchanged("a.test.policy", f'language 1;\ntest "a" {{ as "1" {{ {expectations} }} }}').split("\n")[2:6] == [
        '  as "1" {',
        '    allow publish "x"',
        f'      data {{"a": {LONG}}}',
        '      by "y"',
    ]


def test_parts_of_a_matrix_that_is_too_long_stand_on_lines_of_their_own() -> None:
    matrix = f'matrix users ["1", {LONG}] channels ["x", {LONG}] operations [subscribe, publish] expect """\n  x\n""";'
    assert unchanged("a.test.policy", f"language 1;\n{matrix}").split("\n")[1:] == [
        f'matrix users ["1", {LONG}]',
        f'  channels ["x", {LONG}]',
        "  operations [subscribe, publish]",
        '  expect """',
        "  x",
        '""";',
        "",
    ]


NAMES = some.sampled_from(["a", "limit", "user", "allow", "x_1"])


def expressions() -> some.SearchStrategy[str]:
    atoms = NAMES | some.sampled_from(["1", "-1", "1.5", "'a\"b'", '"a"', "true", "null", '"""x\ny"""', "[]", "{}"])
    operators = some.sampled_from(["&&", "||", "and", "or", "==", "!=", "<", ">=", "in", "+", "-", "*", "/", "%"])
    gaps = some.sampled_from([" ", "  ", "\n", " // c\n"])

    def larger(inner: some.SearchStrategy[str]) -> some.SearchStrategy[str]:
        return some.one_of(
            some.builds("{0}{3}{1}{3}{2}".format, inner, operators, inner, gaps),
            some.builds("({}{})".format, inner, gaps),
            some.builds("{}{}".format, some.sampled_from(["!", "not ", "- "]), inner),
            some.builds("[{2}{0},{2}{1}{2}]".format, inner, inner, gaps),
            some.builds('{{{1}"k":{0},}}'.format, inner, gaps),
            some.builds("f({},{})[0].b".format, inner, inner),
            some.builds("a.exists(x,{})".format, inner),
            some.builds("({} ? {}:{})".format, inner, inner, inner),
        )

    return some.recursive(atoms, larger, max_leaves=20)


@settings(deadline=None, max_examples=60)
@given(expressions(), expressions())
def test_any_rule_survives_formatting(when: str, value: str) -> None:
    rule = f"allow publish as p when {when} info = {value} limit 1/1s;"
    unchanged("a.policy", f'language 1;\nchannel "x" {{ {rule} }} // e\nlet a = {value};')


@settings(deadline=None, max_examples=60)
@given(some.text(some.sampled_from("language 1;{}()[]\"'/*\\\n\r aé&|=!<>?:.,-+%\0"), max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for source in (text, f"language 1;\n{text}"):
        findings = parse_file("a.policy", source)[1]
        assert all(finding.message and finding.at.line <= source.count("\n") + 1 for finding in findings)
        if not findings:
            unchanged("a.policy", source)


WORDS = sorted({lexeme.text for path in FILES for lexeme in lex(path.name, path.read_text()).lexemes if len(lexeme.text) < 30})


@settings(deadline=None, max_examples=100)
@given(some.lists(some.sampled_from(WORDS), max_size=30))
def test_no_order_of_words_breaks_the_parser(words: list[str]) -> None:
    text = "language 1;\n" + " ".join(words)
    assert len(parse_file("a.policy", text)[1]) <= 20
    parse_trials("a.test.policy", text)


def test_long_lines_are_those_that_cannot_be_broken() -> None:
    for path in FILES:
        if not parse_file(path.name, path.read_text())[1]:
            for line in format_text(path.name, path.read_text()).split("\n"):
                assert len(line.partition("//")[0]) <= WIDTH or '"' in line


@pytest.mark.parametrize(("width", "lines"), [(100, 1), (101, 2)])
def test_a_line_has_100_characters_at_most(width: int, lines: int) -> None:
    begin, end = 'deny d when user == "', '" && client == "b";'
    text = f"language 1;\n{begin}{'a' * (width - len(begin) - len(end))}{end}\n"
    assert len(format_text("a.policy", text).splitlines()) == 1 + lines
