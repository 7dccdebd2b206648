"""Texts and payloads that are made to exhaust time, memory or the stack. The bounds are about ten times what was measured."""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from proxy.policy.checking.world import meant
from proxy.policy.decision import Allow, Deny, NeedFacts, Request
from proxy.policy.findings import MAX_ERRORS, MAX_FINDINGS
from proxy.policy.load import load
from proxy.policy.schemas import compile_schema
from proxy.review import lines, probe, trials
from proxy.review.trace import Trace, members, trace
from tests.policy.policies import Facts, policy

T = TypeVar("T")
MANY = 20_000
MEBIBYTE = 1 << 20
SECONDS = 10.0
"""CPU time at most, where nothing else is said."""

GROWTH = 400 * MEBIBYTE
"""How much the process may grow."""


def bounded(act: Callable[[], T], seconds: float = SECONDS) -> T:
    """What the act gives, within these seconds of CPU time and GROWTH; nobody traces it, which would take several times as long."""
    before, begun, tracer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), sys.gettrace()
    sys.settrace(None)
    try:
        found = act()
    finally:
        sys.settrace(tracer)
    assert time.process_time() - begun < seconds
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH
    return found


def errors(text: str, seconds: float = SECONDS) -> set[str]:
    """Ids of the errors of a policy file."""
    files = {"p.policy": f"language 1;\n{text}".encode(errors="surrogatepass")}
    return {finding.id for finding in bounded(lambda: load(files), seconds).findings if finding.severity == "error"}


NESTED = {
    "parentheses": "(" * MANY + "ok" + ")" * MANY,
    "open parentheses": "(" * MANY,
    "closed parentheses": ")" * MANY,
    "negations": "!" * MANY + "ok",
    "signs": "- " * MANY + "1",
    "lists": "[" * MANY + "]" * MANY,
    "open lists": "[" * MANY,
    "maps": '{"a": ' * MANY + "1" + "}" * MANY,
    "open maps": '{"a": ' * MANY,
    "calls": "size(" * MANY + "ok" + ")" * MANY,
    "macros": "x.all(i, " * (MANY // 2) + "ok" + ")" * (MANY // 2),
    "conditionals": "ok ? 1 : " * MANY + "1",
    "conditionals in conditionals": "(ok ? " * (MANY // 2) + "1" + " : 1)" * (MANY // 2),
    "members": "x" + ".a" * MANY,
    "positions": "x" + "[0]" * MANY,
    "methods": "x" + ".size()" * MANY,
}
CHAINS = {sign: f" {sign} ".join(["x"] * MANY) for sign in ("&&", "||", "==", "in", "+", "&& x ||")}
WIDE = {
    "list": f"[{','.join('1' * MANY)}]",
    "map": "{" + ",".join(f'"k{n}": 1' for n in range(MANY)) + "}",
    "call": f"size({','.join('1' * MANY)})",
}
REFUSED = {"too-large", "syntax", "wrong-type"}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in (NESTED | CHAINS | WIDE).items()])
def test_no_expression_is_too_deep_or_too_long_to_be_refused(text: str) -> None:
    answer = bounded(lambda: probe.evaluate(text, {"ok": "bool"}, {"x": 1, "ok": True}))
    assert answer.finding is not None
    assert answer.finding.id in REFUSED


@pytest.mark.parametrize("name", ["parentheses", "negations", "lists", "open maps"])
def test_no_rule_is_too_deep_to_be_refused(name: str) -> None:
    assert errors(f'channel "c" {{ allow subscribe when {NESTED[name]}; }}') <= REFUSED


TYPES = {
    "lists": "list<" * MANY + "int" + ">" * MANY,
    "open lists": "list<" * MANY,
    "maps": "map<string, " * (MANY // 2) + "int" + ">" * (MANY // 2),
    "records": "{a: " * MANY + "int" + "}" * MANY,
    "questions": "int" + "?" * MANY,
}


@pytest.mark.parametrize("name", TYPES)
def test_no_type_is_too_deep_to_be_refused(name: str) -> None:
    found = errors(f"meta {{ x: {TYPES[name]} }}")
    assert found
    assert found <= REFUSED


@pytest.mark.parametrize(("text", "count"), [(" && ".join(["ok"] * 299), 300), ("[" + ", ".join(["ok"] * 299) + "] == [ok]", 302)])
def test_300_nodes_are_the_limit(text: str, count: int) -> None:
    answer = probe.evaluate(text, {"ok": "bool"}, {"ok": True})
    assert (answer.finding is None) is (count <= 300)
    longer = probe.evaluate(" && ".join(["ok"] * 300), {"ok": "bool"}, {"ok": True})
    assert longer.finding is not None
    assert longer.finding.id == "too-large"


def decided(rules: str, data: object, seconds: float = SECONDS, channel: str = "c") -> Allow | Deny | NeedFacts:
    """The decision on a subscription with this payload."""
    by = policy(rules)
    return bounded(lambda: by.decide(request(data, channel), Facts()), seconds)


def request(data: object, channel: str = "c") -> Request:
    """A subscription with this payload."""
    return Request(op="subscribe", user="u", channel=channel, data=data, meta={})


def allowing(condition: str) -> str:
    return f'channel "c" {{ allow subscribe when {condition}; }}'


@pytest.mark.parametrize(("body", "fits"), [("i != -1", True), ("i == j || true", True), ("i == j", False), ("i + j >= 0", True)])
def test_two_macros_run_over_a_million_pairs_in_bounded_time(body: str, fits: bool) -> None:  # noqa: FBT001 - the expectation
    found = decided(allowing(f"data.all(i, data.all(j, {body}))"), list(range(1000)))
    assert isinstance(found, Allow) is fits


def test_a_macro_over_more_than_1000_elements_does_not_run() -> None:
    condition = allowing("data.all(i, data.all(j, true))")
    assert isinstance(decided(condition, [1] * 1000), Allow)
    assert isinstance(decided(condition, [1] * 1001), Deny)
    assert isinstance(decided(condition, [1] * 1_000_000, 1), Deny)


LONG = "x" * 60_000
SAME = (LONG + "y")[:-1]
"""Equal to LONG, but not the same object, so that comparing both takes time."""

NUMBERS: list[object] = list(range(1000))
EXPENSIVE: dict[str, tuple[str, dict[str, object]]] = {
    "in a list": ("j in data.l", {}),
    "in a list of lists": ("[j] in data.x", {"x": [[n] for n in range(1000)]}),
    "equal lists": ("data.l == data.m", {"m": NUMBERS}),
    "equal maps": ("data.x == data.y", {"x": {str(n): n for n in NUMBERS}, "y": {str(n): n for n in NUMBERS}}),
    "many terms": (" && ".join(f"i != {-n}" for n in range(1, 90)), {}),
    "errors": ("data.x[i] == 1", {"x": {}}),
    "contains": ("!data.x.contains(data.y)", {"x": "a" * 29_000, "y": "a" * 49 + "b" + "a" * 49}),
    "startsWith": ("data.x.startsWith(data.y)", {"x": LONG, "y": SAME}),
    "endsWith": ("data.x.endsWith(data.y)", {"x": LONG, "y": SAME}),
    "lowerAscii": ('data.x.lowerAscii() != ""', {"x": LONG + "\u00e9"}),
    "matches": ('data.x.matches("x[a-z]{200}y") || true', {"x": LONG}),
    "equal texts": ("data.x == data.y", {"x": LONG, "y": SAME}),
    "ordered texts": ("data.x <= data.y", {"x": LONG, "y": SAME}),
    "joined texts": ('data.x + data.x != ""', {"x": LONG}),
    "key of a map": ("data.x in data.y", {"x": LONG, "y": {SAME: 1}}),
    "member of a map": ("data.y[data.x] == 1", {"x": LONG, "y": {SAME: 1}}),
    "text in a list": ("!(data.x in data.y)", {"x": LONG, "y": [SAME[:-1] + "y"] * 10}),
    "texts in a list": ("[data.x] == data.y", {"x": LONG, "y": [SAME]}),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_what_a_macro_does_a_million_times_ends_when_the_steps_are_spent(name: str) -> None:
    body, more = EXPENSIVE[name]
    condition = f"data.l.all(i, data.l.all(j, {body}))"
    data = {"l": NUMBERS, **more}
    assert isinstance(decided(allowing(condition), data), Deny)
    denied = decided(f'channel "c" {{ deny some on subscribe when {condition} || true; allow subscribe; }}', data)
    assert isinstance(denied, Deny)
    assert (denied.reason, denied.detail) == ("error", "the decision takes too much work")


def test_rules_share_the_steps_of_their_decision() -> None:
    rule = "allow subscribe when data.all(i, data.all(j, j in data));"
    by = policy(f'channel "c" {{ {rule * 50} }}')
    assert isinstance(bounded(lambda: by.decide(request(NUMBERS), Facts())), Deny)


def test_a_let_that_fails_is_computed_once() -> None:
    rules = "".join("allow subscribe when slow && true;" for _ in range(50))
    by = policy(f'let slow = data.all(i, data.all(j, i + j == ""));\nchannel "c" {{ {rules} }}')
    assert isinstance(bounded(lambda: by.decide(request([*range(300)]), Facts())), Deny)


def test_the_subscriptions_of_a_connection_share_its_steps() -> None:
    subscriptions = "".join(f'subscribe "c:{n}";' for n in range(40))
    rule = 'channel "c:{n}" { allow subscribe when meta.l.all(i, meta.l.all(j, i + j >= 0)); }'
    by = policy(f"meta {{ l: list<int> }} connect {{ allow; {subscriptions} }} {rule}")
    found = bounded(lambda: by.decide(Request(op="connect", user="u", meta={"l": NUMBERS}), Facts()))
    assert isinstance(found, Allow)
    assert [*(found.channels or ())] == ["c:0"]
    assert len(found.left_out or ()) == 39


@pytest.mark.parametrize("body", ["i + j >= 0", "i != j || true", 'i + j == "" || true'])
def test_a_trace_is_bounded(body: str) -> None:
    by = policy(allowing(f"data.all(i, data.all(j, {body}))"))
    told = bounded(lambda: trace(by.decider, request(NUMBERS), Facts()), 20)
    assert isinstance(told, Trace)
    assert len(json.dumps(members(told))) < MEBIBYTE


def test_a_trace_says_that_the_steps_were_spent() -> None:
    by = policy(allowing("data.all(i, data.all(j, j in data))"))
    told = trace(by.decider, request(NUMBERS), Facts())
    assert isinstance(told, Trace)
    assert [step.result for look in told.looks for step in look.steps] == ["error: the decision takes too much work"]
    assert told.looks[0].verdict == "errs"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(x+x+)+y", "(a|aa)*b", "(.*)(.*)(.*)(.*)z$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    assert isinstance(decided(allowing(f'data.matches("{pattern}")'), "a" * 65_536 + "!", 1), Deny)


@pytest.mark.parametrize("pattern", ["(a|b)" * 100_000, "((a{100}){100}){10}", "(" * 5000])
def test_a_pattern_that_is_too_large_is_refused(pattern: str) -> None:
    assert errors(allowing(f'user.matches("{pattern}")')) == {"bad-pattern"}


LITERALS = {
    "characters": ('"' + "x" * 1_000_000 + '" == user', set[str]()),
    "escapes": ('"' + "\\u00e9" * 150_000 + '" == user', set[str]()),
    "too many characters": ('"' + "x" * 2_000_000 + '" == user', {"too-large"}),
    "open": ('"' + "x" * 1_000_000, {"syntax"}),
    "quotes": ('"' * 1_000_000, {"too-large"}),
    "digits": ("9" * 1_000_000 + " == 1", {"syntax"}),
    "fraction": ("9" * 400_000 + "." + "9" * 400_000 + " == 1.0", {"syntax"}),
    "exponent": ("1e" + "9" * 1_000_000 + " == 1.0", {"syntax"}),
    "name": ("a" * 1_000_000, {"unknown-name"}),
    "NUL": ('user == "\0"', {"syntax"}),
    "lone surrogate": ('user == "\ud800"', {"syntax"}),
}


@pytest.mark.parametrize("name", LITERALS)
def test_a_huge_or_broken_literal_is_read_or_refused(name: str) -> None:
    text, wanted = LITERALS[name]
    assert errors(allowing(text)) == wanted


@pytest.mark.parametrize(("text", "wanted"), [("\n" * 1_000_000, set()), ("// x" * 250_000, set()), (";" * 1_000_000, {"too-large"})])
def test_a_huge_file_is_read_or_refused(text: str, wanted: set[str]) -> None:
    assert errors(text) == wanted


def test_ten_thousand_channels_load() -> None:
    blocks = "".join(f'channel "c{number}:{{x}}" {{}}\n' for number in range(10_000))
    assert errors(blocks, 30) == set()


def repeated(count: int, text: str) -> str:
    """The text so many times, each `@` its number."""
    return "".join(text.replace("@", str(number)) for number in range(count))


ERRORS = {
    "names in denies": repeated(10_000, "deny d@ when unk_@;\n"),
    "names in lets": repeated(10_000, "let l@ = unk_@;\n"),
    "members": f"meta {{ {', '.join(f'm{n}: int' for n in range(5000))} }}\n" + repeated(5000, "deny d@ when meta.n@ == 1;\n"),
    "databases": repeated(3000, 'database d@ { url env X; }\nfact f@(u: string) -> int? { sql e@ "select :u"; timeout 5ms; }\n'),
    "operations": repeated(10_000, 'deny d@ on publish@ when user == "";\n'),
    "types": f"meta {{ {', '.join(f'm{n}: strin{n}' for n in range(10_000))} }}",
    "functions": repeated(5000, "deny d@ when fun@(user);\n"),
    "duplicates": repeated(10_000, "let same = 1;\n"),
    "overlaps": repeated(2000, 'channel "{a@}:x" {}\n'),
}


@pytest.mark.parametrize("name", ERRORS)
def test_thousands_of_errors_end_the_search_for_more(name: str) -> None:
    found = bounded(lambda: load({"p.policy": f"language 1;\n{ERRORS[name]}".encode()}), 5)
    assert found.policy is None
    wrong = [finding for finding in found.findings if finding.severity == "error"]
    assert len(wrong) == MAX_ERRORS + 1
    last = max(wrong, key=lambda finding: finding.id == "too-large")
    assert str(MAX_ERRORS) in last.message


FINE = {
    "lets": repeated(5000, "let l@ = user;\n"),
    "lets on lets": "let l0 = user;\n" + "".join(f"let l{n} = l{n - 1};\n" for n in range(1, 5000)),
    "denies": repeated(5000, 'deny d@ when user == "@";\n'),
    "denies that prove": f"meta {{ {', '.join(f'm{n}: int?' for n in range(3000))} }}\n"
    + repeated(3000, "deny d@ when meta.m@ == null;\n"),
    "denies of a channel": 'channel "c" {' + repeated(5000, 'deny d@ when user == "@";\n') + "}",
    "denies before channels": repeated(3000, 'deny d@ when user == "@";\n') + repeated(3000, 'channel "c@" { allow presence; }\n'),
    "rules": 'channel "c" {' + repeated(5000, 'allow presence when user == "@";\n') + "}",
    "facts": repeated(2000, 'fact f@(u: string) -> string? { python "m:f"; timeout 50ms; }\nlet l@ = f@(user);\n'),
    "patterns": repeated(1000, 'channel "a{x}b@" {}\n') + repeated(1000, 'channel "a{x}:@" {}\n'),
}


@pytest.mark.parametrize("name", FINE)
def test_thousands_of_statements_load(name: str) -> None:
    assert errors(FINE[name], 5) == set()


def test_a_mebibyte_of_parentheses_is_refused() -> None:
    files = {"p.policy": b"language 1;\n" + b"(" * (MEBIBYTE - 20)}
    assert [finding.id for finding in bounded(lambda: load(files), 5).findings] == ["too-large"]


def test_of_many_findings_the_worst_are_told() -> None:
    rules = repeated(1500, '  allow presence as p@ when user == "@"; allow subscribe as s@ when user == "@";\n')
    text = f'language 1;\nchannel "c" {{\n{rules}\n}}\nchannel "d" {{ allow publish; }}\n'
    found = load({"p.policy": text.encode()})
    assert found.policy is not None
    *told, last = found.findings
    assert len(told) == MAX_FINDINGS
    assert {finding.id for finding in told if finding.severity == "security"} == {"publish-without-schema", "open-publish"}
    assert (last.id, last.severity, last.at) == ("further-findings", "hint", told[-1].at)
    assert last.message.startswith("there are 504 findings more")


def test_thousands_of_errors_in_tests_end_the_search_for_more() -> None:
    fixtures = f"language 1;\n{repeated(5000, 'fixture unk_@() = 1;')}".encode()
    by = policy(repeated(500, 'fact f@(u: string) -> string? { python "m:f"; timeout 50ms; }\n'))
    report = bounded(lambda: trials.run(by, {"p.test.policy": fixtures}), 5)
    assert len(report.findings) == MAX_ERRORS + 1


@pytest.mark.parametrize("types", [{}, {"x": "{" + ", ".join(f"m{n}: strin{n}" for n in range(5000)) + "}"}])
def test_thousands_of_errors_in_an_expression_end_the_search_for_more(types: dict[str, str]) -> None:
    text = " && ".join(f"unk_{n}" for n in range(5000)) if not types else "x == x"
    answer = bounded(lambda: probe.evaluate(text, types, {f"v{n}": 1 for n in range(500)}), 5)
    assert answer.finding is not None
    assert answer.finding.id == "too-large"


def test_a_word_that_is_long_or_one_of_very_many_gets_no_suggestion() -> None:
    assert meant("usr", ["user"]) == 'did you mean "user"?'
    assert meant("u" * 65, ["u" * 64]) == ""
    assert meant("usr", ["user", *(f"n{n}" for n in range(1000))]) == ""


RECURSIVE = {
    "anyOf": {"anyOf": [{"type": "array", "items": {"$ref": "#"}}] * 2},
    "allOf": {"$defs": {"n": {"allOf": [{"type": "array", "items": {"$ref": "#/$defs/n"}}] * 2}}, "$ref": "#/$defs/n"},
    "by anchor": {"$defs": {"n": {"$anchor": "n", "anyOf": [{"type": "array", "items": {"$ref": "#n"}}] * 2}}, "$ref": "#n"},
    "dynamic": {"$dynamicAnchor": "n", "anyOf": [{"type": "array", "items": {"$dynamicRef": "#n"}}] * 2},
}


@pytest.mark.parametrize("name", RECURSIVE)
def test_a_schema_that_refers_to_itself_says_no_at_once(name: str) -> None:
    schema = compile_schema(json.dumps(RECURSIVE[name]).encode())
    value: object = "x"
    for _ in range(60):
        value = [value]
    assert bounded(lambda: schema.problem(value), 1) == "/: the value does not fit the schema"
    assert schema.problem([]) == ""


PAYLOADS: dict[str, tuple[object, object]] = {
    "pattern": ({"pattern": "^(a+)+$"}, "a" * 65_536 + "!"),
    "alternatives": ({"pattern": "(a|aa)*b"}, "a" * 65_536),
    "member names": ({"patternProperties": {f"^(a+)+{n}$": False for n in range(20)}, "type": "array"}, {"a" * n: 1 for n in range(2000)}),
    "different numbers": ({"uniqueItems": True, "minItems": 20_001}, list(range(20_000))),
    "different objects": ({"uniqueItems": True, "minItems": 5001}, [{"a": [n, {"b": n}]} for n in range(5000)]),
    "different lists": ({"uniqueItems": True, "minItems": 501}, [[0] * 500 + [n] for n in range(500)]),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_cannot_make_a_schema_slow(name: str) -> None:
    schema, value = PAYLOADS[name]
    compiled = compile_schema(json.dumps(schema).encode())
    assert not bounded(lambda: compiled.accepts(value), 1)
    assert bounded(lambda: compiled.problem(value), 1)


def test_ten_thousand_mistakes_make_a_few_findings() -> None:
    text = "language 1;\n" + "let x = ;\n" * 10_000
    found = bounded(lambda: load({"p.policy": text.encode()}))
    assert 0 < len(found.findings) <= 20


def nested(levels: int) -> list[object]:
    """A list in a list in a list, which JSON texts cannot hold this deep."""
    outer: list[object] = []
    inner = outer
    for _ in range(levels):
        fresh: list[object] = []
        inner.append(fresh)
        inner = fresh
    return outer


@pytest.mark.parametrize("condition", ["data.a == data.b", "data.a in [data.b]", "data.a.all(i, i == data.b[0])", "!(data.a != data.b)"])
def test_payloads_too_deep_to_compare_are_an_error_that_is_absorbed_like_others(condition: str) -> None:
    data = {"a": nested(200_000), "b": nested(200_000)}
    found = decided(allowing(condition), data)
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"
    denied = decided(f'channel "c" {{ deny deep on subscribe when {condition}; allow subscribe; }}', data)
    assert isinstance(denied, Deny)
    assert (denied.reason, denied.detail) == ("error", "nested too deeply to compare")
    assert isinstance(decided(allowing(f"{condition} || true"), data), Allow)


def test_a_difference_that_is_not_deep_absorbs_what_is_too_deep() -> None:
    data = {"a": [nested(200_000), 1], "b": [nested(200_000), 2]}
    assert isinstance(decided(allowing("data.a != data.b"), data), Allow)


@pytest.mark.parametrize(("levels", "same"), [(900, True), (1100, False)])
def test_a_thousand_levels_can_be_compared(levels: int, same: bool) -> None:  # noqa: FBT001 - the expectation
    data = {"a": nested(levels), "b": nested(levels)}
    assert isinstance(decided(allowing("data.a == data.b"), data), Allow) is same


def test_a_line_too_deep_for_json_is_malformed() -> None:
    by = policy('channel "c" { allow subscribe; }')
    for data in ("[" * 200_000 + "]" * 200_000, '{"a": ' * 200_000, "[" * MEBIBYTE, "9" * MEBIBYTE):
        line = f'{{"op": "subscribe", "user": "u", "channel": "c", "data": {data}}}'
        [(answer, fine)] = bounded(lambda text=line: list(lines.decide(by, [text])))  # type: ignore[misc]
        assert not fine
        assert "error" in json.loads(answer)


@pytest.mark.parametrize(
    "channel",
    ["c:" + "a" * MEBIBYTE, "," * MEBIBYTE, "c:\ud800", "\ud800" * MEBIBYTE, "c:a\0", "\0", "c:a\n", "c:\u00e9", "", "c:" + "a" * 254],
)
def test_a_channel_that_is_no_name_is_refused_at_once(channel: str) -> None:
    found = decided('channel "c:{x*}" { allow subscribe; } channel "{a},{b}" { allow subscribe; }', None, 1, channel)
    assert isinstance(found, Deny)
    assert found.reason == "bad_channel"


TEXTS = ["\ud800", "a\0", "\0" * MEBIBYTE, "9" * MEBIBYTE, "\ud800" * MEBIBYTE, "\U0001f600" * MEBIBYTE]


@pytest.mark.parametrize("text", TEXTS, ids=["surrogate", "NUL", "NULs", "digits", "surrogates", "wide"])
@pytest.mark.parametrize(
    "condition", ['data.matches("^a$")', 'data.lowerAscii() == "x"', 'data + "y" == "z"', "int(data) == 1", 'data < ""']
)
def test_a_text_of_strange_characters_allows_nothing(condition: str, text: str) -> None:
    assert isinstance(decided(allowing(condition), text, 1), Deny)


def test_half_a_character_is_an_error_that_is_absorbed_like_others() -> None:
    for body in ('data.matches("^a$")', 'data.matches("^a$") && true', '[data].all(i, i.matches("^a$"))'):
        denied = decided(f'channel "c" {{ deny odd on subscribe when {body}; allow subscribe; }}', "\ud800")
        assert isinstance(denied, Deny)
        assert (denied.reason, denied.detail) == ("error", "the string holds half of a character")
        assert isinstance(decided(allowing(f"{body} || true"), "\ud800"), Allow)


def test_meta_that_does_not_fit_is_looked_at_once() -> None:
    by = policy("meta { l: list<int> }\n" + allowing("data.all(i, data.all(j, meta.l == []))"))
    wrong: dict[str, object] = {"l": [*range(100_000), "x"]}
    asked = Request(op="subscribe", user="u", channel="c", data=NUMBERS, meta=wrong)
    assert isinstance(bounded(lambda: by.decide(asked, Facts())), Deny)
