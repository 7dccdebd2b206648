"""Texts and payloads that are made to exhaust time, memory or the stack. The bounds are about ten times what was measured."""

import json
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from proxy.policy.decision import Allow, Deny, NeedFacts, Request
from proxy.policy.load import load
from proxy.review import lines, probe
from tests.policy.policies import Facts, policy

T = TypeVar("T")
MANY = 20_000
MEBIBYTE = 1 << 20
SECONDS = 10.0
"""CPU time at most, where nothing else is said."""

GROWTH = 400 * MEBIBYTE
"""How much the process may grow."""


def bounded(act: Callable[[], T], seconds: float = SECONDS) -> T:
    """What the act gives, within these seconds of CPU time and GROWTH."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    found = act()
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
    return bounded(lambda: by.decide(Request(op="subscribe", user="u", channel=channel, data=data, meta={}), Facts()), seconds)


def allowing(condition: str) -> str:
    return f'channel "c" {{ allow subscribe when {condition}; }}'


@pytest.mark.parametrize(
    ("body", "fits"), [("i != -1 && j != -1", True), ("i == j || true", True), ("i == j", False), ("i + j >= 0", True)]
)
def test_two_macros_run_over_a_million_pairs_in_bounded_time(body: str, fits: bool) -> None:  # noqa: FBT001 - the expectation
    found = decided(allowing(f"data.all(i, data.all(j, {body}))"), list(range(1000)))
    assert isinstance(found, Allow) is fits


def test_a_macro_over_more_than_1000_elements_does_not_run() -> None:
    condition = allowing("data.all(i, data.all(j, true))")
    assert isinstance(decided(condition, [1] * 1000), Allow)
    assert isinstance(decided(condition, [1] * 1001), Deny)
    assert isinstance(decided(condition, [1] * 1_000_000, 1), Deny)


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


@pytest.mark.parametrize("condition", ["data.a == data.b", "data.a in [data.b]", "data.a.all(i, i == data.b)", "data.a == data.b || true"])
def test_a_payload_too_deep_to_compare_denies(condition: str) -> None:
    data = {"a": nested(200_000), "b": [nested(200_000)][0]}
    for rules in (allowing(condition), f'channel "c" {{ deny deep on subscribe when {condition}; allow subscribe; }}'):
        found = decided(rules, data)
        assert isinstance(found, Deny)
        assert found.reason == "error"


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
