import dataclasses
import json
import time
from pathlib import Path

import pytest

from proxy.policy.findings import Finding, Objection, Position
from proxy.policy.reading import clauses, obligations, statements, syntax, trials
from proxy.policy.reading.lex import MAX_CHARACTERS, MAX_FINDINGS, decoded
from proxy.policy.reading.parse import parse_expression, parse_file, parse_trials
from proxy.policy.reading.walk import MAX_DEPTH, walk

CASES = Path(__file__).parents[1] / "conformance"
EXPECTED: dict[str, dict[str, object]] = json.loads((CASES / "bad" / "expected.json").read_text())
PAGE_TESTS = '''language 1;
fixture account("42") = {"roles": ["member"], "suspended": false};
fixture tier() = "gold";
test "editors publish" {
  as "42" {
    allow connect;
    allow publish "chat:doc-7" data {"type": "message"} by "chat:doc-{doc}/publish/editors" stamps {"author": "42"};
    deny publish "chat:doc-7" data {} because schema;
  }
  fail doc_member { as "42" { deny subscribe "chat:doc-7" because fact_error; } }
  service orders { allow publish "notifications#42" data {"type": "x"}; }
}
matrix users ["42"] channels ["news:today"] operations [subscribe, publish] expect """
      news:today
  42  s-
""";
'''


def only(text: str) -> Finding:
    findings = parse_file("a.policy", text)[1]
    assert len(findings) == 1, findings
    return findings[0]


def place(finding: Finding) -> tuple[str, int, int]:
    return finding.id, finding.at.line, finding.at.column


def statement(text: str) -> statements.Statement:
    file, findings = parse_file("a.policy", f"language 1;\n{text}")
    assert not findings
    return file.statements[0]


def shown(node: object) -> str:
    """Write an expression with all brackets."""
    if isinstance(node, syntax.Literal | syntax.Name):
        return json.dumps(node.value) if isinstance(node, syntax.Literal) else node.id
    if isinstance(node, syntax.Member | syntax.Index | syntax.Method):
        return shown(node.of) + suffix(node)
    match node:
        case syntax.Binary():
            return f"({shown(node.left)} {node.op} {shown(node.right)})"
        case syntax.Chain():
            return f"({f' {node.op} '.join(shown(term) for term in node.terms)})"
        case syntax.Unary():
            return f"({node.op}{shown(node.of)})"
        case syntax.Conditional():
            return f"({shown(node.test)} ? {shown(node.then)} : {shown(node.other)})"
    raise AssertionError(node)


def suffix(node: syntax.Member | syntax.Index | syntax.Method) -> str:
    match node:
        case syntax.Member():
            return f".{node.name.text}"
        case syntax.Index():
            return f"[{shown(node.index)}]"
        case _:
            return f".{node.name.text}({', '.join(shown(argument) for argument in node.arguments)})"


@pytest.mark.parametrize("path", sorted(CASES.rglob("*.policy")), ids=lambda path: path.stem)
def test_a_file_has_the_findings_of_its_case_and_no_others(path: Path) -> None:
    findings = parse_file(path.name, path.read_text())[1]
    case = EXPECTED.get(path.name, {}) if path.parent.name == "bad" else {}
    wanted = case.get("id")
    ours = wanted == "syntax" or path.name.startswith("deep-")
    if not findings:
        assert not ours
        return
    first = findings[0]
    assert first.id in (wanted if isinstance(wanted, list) else [wanted])
    assert first.at.line == case["line"]
    assert first.at.column == case.get("column", first.at.column)


@pytest.mark.parametrize("path", sorted((CASES / "eval").glob("*.ndjson")), ids=lambda path: path.stem)
def test_an_expression_is_refused_only_where_its_case_says_so(path: Path) -> None:
    for line in path.read_text().splitlines():
        case = json.loads(line)
        wanted = case.get("error")
        found = refusal(case["expr"])
        assert found in (wanted if isinstance(wanted, list) else [wanted]) or (found is None and wanted != "syntax"), line


def refusal(text: str) -> str | None:
    try:
        parse_expression(text)
    except Objection as objection:
        return objection.finding.id
    return None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a || b && c", "(a || (b && c))"),
        ("a && b || c && d", "((a && b) || (c && d))"),
        ("a or b and not c", "(a || (b && (!c)))"),
        ("a && b && c && d", "(a && b && c && d)"),
        ("a == b && c != d", "((a == b) && (c != d))"),
        ("a < b == c", "((a < b) == c)"),
        ("a in b && c", "((a in b) && c)"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d", "(((a / b) * c) % d)"),
        ("a + b < c", "((a + b) < c)"),
        ("!a == b", "((!a) == b)"),
        ("not a in b", "((!a) in b)"),
        ("!a.b[0]", "(!a.b[0])"),
        ("-a + b", "((-a) + b)"),
        ("-1 + 2", "(-1 + 2)"),
        ("1 - -1", "(1 - -1)"),
        ("1 -1", "(1 - 1)"),
        ("--1", "(--1)"),
        ("-1.5", "-1.5"),
        ("-a.b()", "(-a.b())"),
        ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
        ("a || b ? c : d", "((a || b) ? c : d)"),
        ("a.map(x, y)", "a.map(x, y)"),
        ('"a".size()', '"a".size()'),
        (".5 + 1e2", "(0.5 + 100.0)"),
        ("true != null", "(true != null)"),
        ("false", "false"),
    ],
)
def test_operators_bind_as_in_cel(text: str, tree: str) -> None:
    assert shown(parse_expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("(a) == b", [1, 1, 2, 8]),
        ("a.b.c", [1, 1, 1]),
        ("x ? a + 1 : !b", [1, 1, 5, 5, 9, 13, 14]),
        ('[1, {"k": f(2)}]', [1, 2, 5, 11, 13]),
        ("l.all(i, has(i.a))", [1, 1, 10, 14]),
        ("a[1].b(c)", [1, 1, 1, 3, 8]),
        ("-a && -1", [1, 1, 2, 7]),
    ],
)
def test_every_node_knows_where_it_begins(text: str, columns: list[int]) -> None:
    assert [node.at.column for node, _ in walk(parse_expression(text))] == columns


def test_columns_count_characters_and_lines_end_with_or_without_carriage_return() -> None:
    for newline in ("\n", "\r\n"):
        text = newline.join(("language 1;", "// é", '\tlet a = "é😀" + """x', 'y""" + b;'))
        let = parse_file("a.policy", text)[0].statements[0]
        assert isinstance(let, statements.Let)
        assert let.at == Position(file="a.policy", line=3, column=2)
        outer = let.value
        assert isinstance(outer, syntax.Binary)
        assert (outer.right.at.line, outer.right.at.column) == (4, 8)
        assert isinstance(outer.left, syntax.Binary)
        assert isinstance(outer.left.right, syntax.Literal)
        assert outer.left.right.value == "x\ny"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\a\b\f\n\r\t\v\\\?\"\'\`"', "\a\b\f\n\r\t\v\\?\"'`"),
        (r'"\x41\101\u00e9\U0001F600"', "AAé😀"),
        ("'say \"hi\"'", 'say "hi"'),
        ("'''it's\n'''", "it's\n"),
        ('"""a"b""c"""', 'a"b""c'),
        ('""""""', ""),
        ("''", ""),
        ('"""\\\\"""', "\\"),
    ],
)
def test_strings_are_what_they_mean(text: str, value: str) -> None:
    assert parse_expression(text) == syntax.Literal(at=Position(file="expr", line=1, column=1), value=value)


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\UFFFFFFFF"', r'"\400"', r'"\x4"', '"""\\\n"""', '"a', "'", '"\\"', '"""a""'])
def test_a_string_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Objection) as refused:
        parse_expression(text)
    assert place(refused.value.finding) == ("syntax", 1, 1)


@pytest.mark.parametrize(
    ("text", "id_", "column", "words"),
    [
        ('b"a"', "unsupported", 1, "bytes"),
        ('r"a"', "unsupported", 1, "raw"),
        ('Rb"""a"""', "unsupported", 1, "bytes"),
        ("1u", "syntax", 1, "neither a number nor a duration"),
        ("0x1f", "syntax", 1, "neither a number nor a duration"),
        ("1e999", "syntax", 1, "64 bits"),
        ("9" * 5000, "syntax", 1, "64 bits"),
        ("1 - 9223372036854775808", "syntax", 5, "64 bits"),
        ("a | b", "syntax", 3, "write || for or"),
        ("a # b", "syntax", 3, "comments begin with //"),
        ("é", "syntax", 1, "é"),
        ("a\rb", "syntax", 2, "carriage return"),
        ("a\0", "syntax", 2, "U+0000"),
        ('"\u202e"', "syntax", 2, "\\u202e"),
        ("\ufeffa", "syntax", 1, "byte order mark"),
        ("a.b{c: 1}", "unsupported", 4, "messages"),
        ("10/1s", "syntax", 1, "milliseconds"),
        ("a = b", "syntax", 3, "use == to compare"),
        ("a is b", "syntax", 3, "use == to compare"),
        ("a if b", "syntax", 3, "condition ? value : other"),
        ("a when b", "syntax", 3, "one condition"),
        ("x." + "y" * 60 + " z" * 2, "syntax", 64, "`z`"),
        ("x " + "z" * 60, "syntax", 3, "`" + "z" * 40 + "…`"),
        ("[1, (2]", "syntax", 7, "found `]`, expected `)`"),
        ("[1, (2", "syntax", 7, "the `(` of line 1 is not closed"),
        ("has(a, b)", "syntax", 1, "has(data.text)"),
        ("has()", "syntax", 1, "has(data.text)"),
        ("a.all(b)", "syntax", 3, "variable and a condition"),
        ("a.exists(B, true)", "syntax", 10, "write b"),
        ("a.exists_one(b, true, 1)", "syntax", 3, "variable and a condition"),
    ],
)
def test_a_refusal_says_where_and_why(text: str, id_: str, column: int, words: str) -> None:
    with pytest.raises(Objection) as refused:
        parse_expression(text)
    finding = refused.value.finding
    assert (finding.id, finding.at.line, finding.at.column) == (id_, 1, column)
    assert words in str(finding)


def test_the_smallest_int_fits() -> None:
    for text in ("-9223372036854775808", "- 9223372036854775808"):
        assert parse_expression(text) == syntax.Literal(at=Position(file="expr", line=1, column=1), value=-(1 << 63))


def test_commas_may_trail_in_lists_maps_and_records() -> None:
    assert shown(parse_expression("f[1]")) == "f[1]"
    assert isinstance(parse_expression("[1, 2,]"), syntax.ListOf)
    assert isinstance(parse_expression('{"a": 1,}'), syntax.MapOf)
    assert parse_expression("[]") == syntax.ListOf(at=Position(file="expr", line=1, column=1), items=())
    record = statement("meta { a?: list<map<string, {b: int?}>>, }")
    assert isinstance(record, statements.Meta)
    assert record.fields[0].optional


def test_macros_and_has_are_told_from_calls() -> None:
    macro = parse_expression("a.b.exists(x, has(x.y))")
    assert isinstance(macro, syntax.Macro)
    assert (macro.name.text, macro.name.at.column, macro.variable.text, macro.variable.at.column) == ("exists", 5, "x", 12)
    assert isinstance(macro.body, syntax.Has)
    assert macro.body.name.text == "y"
    call = parse_expression("f()")
    assert isinstance(call, syntax.Call)
    assert call.arguments == ()


@pytest.mark.parametrize(
    "word", ["limit", "allow", "when", "schema", "not", "in", "or", "channel", "true", "has", "data", "env", "list", "language"]
)
def test_words_of_the_language_are_names_where_names_stand(word: str) -> None:
    rule = f"allow publish, {word} as {word} stamp {word} = data.{word};"
    let = statement(f'let {word} = data.{word} + f.{word}(1);\nchannel "x" {{ {rule} }}')
    assert isinstance(let, statements.Let)
    assert let.name.text == word


def test_every_statement_is_built() -> None:
    text = (CASES / "decide" / "example" / "chat.policy").read_text()
    more = """
http b { header "x" "y"; }
identity guest { guest; }
identity raw { keys "s"; keys env K default "d"; jwt from cookie "c"; expire = claims.exp; }
fact f(a: string, b: map<string, int>) -> list<bool>? { http app GET "/{a}" pick "/x"; python "m:f"; }
fact g() -> int { sql main "select 1"; }
deny d on publish, subscribe when true;
rpc "h" { allow; answer history "x" limit 10; }
rpc "v" { allow as all; answer = 1; }
service t { allow publish as p on "x" when true skip_history idempotency data.id; delivery direct; }
channel "e" { allow subscribe data = 1 expire 1h jitter 5%; }
log { sample allow 0.5%; mask a; }
always deny publish, history on "e" for users;
"""
    file, findings = parse_file("a.policy", text + more)
    assert not findings
    kinds = {type(node).__name__ for node in nodes(file.statements)}
    every = {kind.__name__ for kind in vars(statements).values() if isinstance(kind, type) and kind.__module__ == statements.__name__}
    assert every - kinds == {"Comment", "PolicyFile"}


def nodes(value: object) -> list[object]:
    if isinstance(value, tuple):
        return [node for part in value for node in nodes(part)]
    if dataclasses.is_dataclass(value):
        return [value, *(node for field in dataclasses.fields(value) for node in nodes(getattr(value, field.name)))]
    return []


def test_clauses_keep_their_values() -> None:
    fact = statement('fact f(a: string) -> int { cache 10s negative 2s max 5; timeout 150ms; invalidate on "a", "b"; }')
    assert isinstance(fact, statements.Fact)
    cache, timeout, invalidate = fact.clauses
    assert isinstance(cache, clauses.Cache)
    assert (cache.ttl.ms, cache.negative and cache.negative.ms, cache.max and cache.max.value) == (10_000, 2_000, 5)
    assert isinstance(timeout, clauses.Timeout)
    assert (timeout.duration.ms, timeout.duration.text) == (150, "150ms")
    assert isinstance(invalidate, clauses.Invalidate)
    assert [topic.value for topic in invalidate.topics] == ["a", "b"]
    connect = statement("connect { allow when true limit 10/5m burst 3 per user, channel; expire 2d; data = 1; subscribe user; }")
    assert isinstance(connect, statements.Connect)
    allow, expire, data, subscribe = connect.clauses
    assert isinstance(allow, obligations.Allow)
    limit = allow.obligations[0]
    assert isinstance(limit, obligations.Limit)
    assert (limit.count.value, limit.every.ms, limit.burst and limit.burst.value) == (10, 300_000, 3)
    assert [word.text for word in limit.per] == ["user", "channel"]
    assert (allow.operations, allow.name, allow.pattern) == ((), None, None)
    assert isinstance(expire, obligations.Expire)
    assert (expire.duration.ms, expire.jitter) == (172_800_000, None)
    assert isinstance(data, clauses.Assign)
    assert data.name.text == "data"
    assert isinstance(subscribe, clauses.Subscribe)
    keys = statement('identity a { keys jwks "u"; keys env A default "b"; http app GET "/s" forward header "x", "y"; }')
    assert isinstance(keys, statements.Identity)
    jwks, env, ask = keys.clauses
    assert isinstance(jwks, clauses.Keys)
    assert isinstance(env, clauses.Keys)
    assert (jwks.kind, env.kind) == ("jwks", "env")
    assert isinstance(env.value, clauses.Env)
    assert env.value.default is not None
    assert isinstance(ask, clauses.Ask)
    assert [text.value for text in ask.forwards] == ["x", "y"]


def test_clauses_of_services_logs_and_rules_keep_their_values() -> None:
    log = statement("log { sample allow 0.5%; mask data.text, meta.a.b; }")
    assert isinstance(log, statements.Log)
    sample, mask = log.clauses
    assert isinstance(sample, clauses.Sample)
    assert sample.percent == 0.5
    assert isinstance(mask, clauses.Mask)
    assert [[word.text for word in path] for path in mask.paths] == [["data", "text"], ["meta", "a", "b"]]
    service = statement("service s { delivery durable; key env A; allow publish; }")
    assert isinstance(service, statements.Service)
    assert isinstance(service.clauses[0], clauses.Delivery)
    assert service.clauses[0].mode == "durable"
    stamped = statement('channel "x" { allow publish stamp a = 1, "b c" = 2 tags {"k": "v"}; }')
    assert isinstance(stamped, statements.Channel)
    rule = stamped.statements[0]
    assert isinstance(rule, obligations.Allow)
    stamp = rule.obligations[0]
    assert isinstance(stamp, obligations.Stamp)
    assert [key.value for key, _ in stamp.members] == ["a", "b c"]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("let x = 1", 10, "the text ends too early, expected `;`"),
        ("let A = 1;", 5, "write a"),
        ("log { sample allow 101%; }", 20, "at most 100%"),
        ('channel "x" { allow subscribe expire 5m jitter 0%; }', 48, "between 1% and 100%"),
        ('channel "x" { allow subscribe expire 5m jitter 101%; }', 48, "between 1% and 100%"),
        ('channel "x" { allow subscribe expire 36501d; }', 38, "at most 36500d"),
        ('channel "x" { allow subscribe expire 99999999999999999999999s; }', 38, "64 bits"),
        ('channel "x" { allow subscribe expire 9223372036854775808s; }', 38, "64 bits"),
        ('channel "x" { allow subscribe expire 5; }', 38, "write a unit"),
        ('channel "x" { allow subscribe limit 10/1s burst 0; }', 49, "allows nothing"),
        ('channel "x" { allow subscribe limit 1 / 1s; }', 37, "expected a rate like 10/1s"),
        ("fact f() -> int { cache 1s max 0; }", 32, "holds nothing"),
        ('rpc "m" { allow; answer = 1; answer presence "x"; }', 30, "has an answer already"),
        ('rpc "m" { allow publish; answer = 1; }', 17, "found `publish`"),
        ("connect { allow subscribe; }", 17, "found `subscribe`"),
        ('channel "x" { allow publish on "y"; }', 29, "found `on`"),
        ("language 1;", 1, "once, at the top"),
        ("}", 1, "found `}`, expected a statement like channel or deny"),
        ("meta { a: }", 11, "found `}`, expected a name, `list`, `map` or `{`"),
        ('http a { base "x" }', 19, "a `;` is missing before `}`"),
        ("identity a { from x; }", 14, "found `from`"),
        ('channel "x" { alow publish; }', 15, "did you mean allow?"),
        ("connect {", 10, "the `{` of line 2 is not closed"),
        ("fact f(a: int -> int { }", 15, "found `->`, expected `)`, `,` or `?`"),
        ("let x = " + "!" * 2000 + "a b;", 2011, "found `b`, expected an operator"),
        ("let x = " + "a." * MAX_DEPTH + "b;", 9, "nested more than 60 deep"),
        ("meta { a: " + "list<" * MAX_DEPTH + "int" + ">" * MAX_DEPTH + " }", 11 + 5 * MAX_DEPTH, "nested more than 60 deep"),
        ("fact f() -> " + "list<" * MAX_DEPTH + "int" + ">" * MAX_DEPTH + " {}", 13 + 5 * MAX_DEPTH, "nested more than 60 deep"),
        ("fact f(a: " + "{a: " * MAX_DEPTH + "int" + "}" * MAX_DEPTH + ") -> int {}", 11 + 4 * MAX_DEPTH, "60 deep"),
        ('channel "x" { allow publish tags {"a": ' + "!" * MAX_DEPTH + "b}; }", 40 + MAX_DEPTH - 1, "nested more than 60 deep"),
    ],
)
def test_a_statement_that_cannot_be_read_says_where_and_why(text: str, column: int, words: str) -> None:
    finding = only(f"language 1;\n{text}")
    assert (finding.at.line, finding.at.column) == (2, column)
    assert words in str(finding)


def test_depth_sixty_is_allowed() -> None:
    for text in ("a" + ".b" * (MAX_DEPTH - 1), "(" * (MAX_DEPTH - 1) + "a" + ")" * (MAX_DEPTH - 1), "!" * (MAX_DEPTH - 1) + "a"):
        assert max(depth for _, depth in walk(parse_expression(text))) == MAX_DEPTH
        with pytest.raises(Objection, match="too-large"):
            parse_expression(f"({text})")


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "begins with `language 1;`"),
        ("// a\n\nlet a = 1;", 3, 1, "begins with `language 1;`"),
        ("language 2;", 1, 10, "language 2 is not known"),
        ("language;", 1, 9, "found `;`, expected a number"),
        ("\ufefflanguage 1;", 1, 1, "byte order mark"),
        ("language 1;\n\n\x1b", 3, 1, "U+001B"),
        ("language 1 let a = 1;", 1, 12, "found `let`, expected `;`"),
        ("a" * (MAX_CHARACTERS + 1), 1, 1, "longer than"),
    ],
)
def test_a_file_begins_with_its_language_and_is_plain_text(text: str, line: int, column: int, words: str) -> None:
    finding = parse_file("a.policy", text)[1][0]
    assert (finding.at.line, finding.at.column) == (line, column)
    assert words in str(finding)


def test_errors_hide_neither_each_other_nor_the_statements_between() -> None:
    text = """language 1;
let a = = 1;
let b = 2;
chanel "x" { let q = 1; allow subscribe; }
chanel "y" {}
channel "z" {
  allow publish tags {"a" 1};
  allow subscribe
  let c = "open;
  deny d when user == "x";
  allow history info = {"a": 1] expire 5m;
  allow presence when (user == "a";
}
let d = 4; let e == 5; let f = 6;
}
let g = 7 /* no */ + 1;
rpc "m" { allow when data = {"a": 1} && b; answer = 1; }
meta { a }
let h = 8;
log { mask data.; mask data.a;
"""
    file, findings = parse_file("a.policy", text)
    assert [finding.at.line for finding in findings] == [2, 4, 5, 7, 9, 9, 11, 12, 14, 15, 16, 17, 18, 20, 21]
    names = [node.name.text for node in file.statements if isinstance(node, statements.Let)]
    assert names == ["b", "d", "f", "h"]
    channel = next(node for node in file.statements if isinstance(node, statements.Channel))
    assert [type(node).__name__ for node in channel.statements] == ["Deny"]


def test_a_statement_is_judged_even_where_the_next_cannot_be_read() -> None:
    file, findings = parse_file("a.policy", "language 1; log { sample allow 101%; oops; mask a; }")
    assert [finding.at.column for finding in findings] == [32, 38]
    assert isinstance(file.statements[0], statements.Log)
    assert [type(clause).__name__ for clause in file.statements[0].clauses] == ["Mask"]


def test_twenty_findings_of_a_file_are_enough() -> None:
    for text in ("language 1;\n" + "let = 1;\n" * 50, "language 1;\n" + "\0" * 50, "language 1;\n" + "let a = @;\n" * 50):
        assert len(parse_file("a.policy", text)[1]) == MAX_FINDINGS


def test_comments_are_kept_beside_the_tree() -> None:
    text = '// top\nlanguage 1; // here \n  // allow: open-publish why\nlet a = 1; let b = "// no";'
    file = parse_file("a.policy", text)[0]
    assert [(note.text, note.alone, note.at.line, note.at.column) for note in file.comments] == [
        (" top", True, 1, 1),
        (" here ", False, 2, 13),
        (" allow: open-publish why", True, 3, 3),
    ]


def test_a_test_file_is_built() -> None:
    file, findings = parse_trials("a.test.policy", PAGE_TESTS)
    assert not findings
    account, tier, test, matrix = file.trials
    assert isinstance(account, trials.Fixture)
    assert (account.name.text, len(account.arguments)) == ("account", 1)
    assert isinstance(tier, trials.Fixture)
    assert tier.arguments == ()
    assert isinstance(test, trials.Test)
    as_user, fail, service = test.cases
    assert isinstance(as_user, trials.As)
    connect, allow, deny = as_user.expectations
    assert (connect.operation.text, connect.target, connect.clauses) == ("connect", None, ())
    assert (allow.effect, deny.effect) == ("allow", "deny")
    assert [type(clause).__name__ for clause in allow.clauses] == ["Given", "By", "Stamps"]
    assert isinstance(deny.clauses[1], trials.Because)
    assert deny.clauses[1].reason.text == "schema"
    assert isinstance(fail, trials.Fail)
    assert (fail.fact.text, len(fail.cases)) == ("doc_member", 1)
    assert isinstance(service, trials.ServiceCase)
    assert service.service.text == "orders"
    assert isinstance(matrix, trials.Matrix)
    assert [word.text for word in matrix.operations] == ["subscribe", "publish"]
    assert ([user.value for user in matrix.users], [channel.value for channel in matrix.channels]) == (["42"], ["news:today"])
    assert "s-" in matrix.expect.value


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('test "a" { as "1" { allow subscribe "x" because no_rule; } }', 41, "allow has no because"),
        ('test "a" { as "1" { deny subscribe "x" stamps {"a": 1}; } }', 40, "deny has no stamps"),
        ('channel "x" {}', 1, "found `channel`"),
        ("fixture f(" + "!" * MAX_DEPTH + "a) = 1;", 11 + MAX_DEPTH, "nested more than"),
        ('test "a" { as "1" { allow publish "x" stamps {"a": ' + "!" * MAX_DEPTH + "b}; } }", 52 + MAX_DEPTH - 1, "nested more than"),
    ],
)
def test_a_test_that_cannot_be_read_says_where_and_why(text: str, column: int, words: str) -> None:
    (finding,) = parse_trials("a.test.policy", f"language 1;\n{text}")[1]
    assert (finding.at.line, finding.at.column) == (2, column)
    assert words in finding.message


def test_bytes_that_are_no_utf8_are_refused_where_they_stand() -> None:
    assert decoded("a.policy", "é".encode()) == "é"
    with pytest.raises(Objection) as refused:
        decoded("a.policy", "language 1;\né".encode() + b"\xff")
    assert place(refused.value.finding) == ("syntax", 2, 2)


HOSTILE = {
    "parentheses": "let x = " + "(" * 20_000 + "1" + ")" * 20_000 + ";",
    "open parentheses": "let x = " + "(" * 20_000,
    "chain": "let x = " + " && ".join("a" * 20_000) + ";",
    "sum": "let x = " + " + ".join("a" * 20_000) + ";",
    "nots": "let x = " + "!" * 20_000 + "a;",
    "members": "let x = a" + ".b" * 20_000 + ";",
    "conditionals": "let x = " + "a ? b : " * 20_000 + "c;",
    "maps": "let x = " + '{"a":' * 20_000,
    "records": "meta { a: " + "{a:" * 20_000 + "int" + "}" * 20_001,
    "types": "meta { a: " + "list<" * 20_000,
    "blocks": 'channel "x" {' * 20_000,
    "a mebibyte of quotes": '"' * (1 << 20),
    "a mebibyte of brackets": "{" * (1 << 20),
    "a mebibyte of string": 'let x = """' + 'a"' * 520_000,
    "a mebibyte of comments": "//\n" * 340_000,
    "a mebibyte of digits": "let x = " + "9" * 1_000_000 + ";",
    "errors": "let x = = ;\n" * 5000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_little_and_breaks_nothing(name: str) -> None:
    begin = time.process_time()
    findings = parse_file("a.policy", f"language 1;\n{HOSTILE[name]}")[1]
    assert bool(findings) == (name != "chain")
    assert time.process_time() - begin < 4


def test_a_chain_of_any_length_is_flat() -> None:
    chain = parse_expression(" || ".join("a" * 20_000))
    assert isinstance(chain, syntax.Chain)
    assert len(chain.terms) == 20_000
