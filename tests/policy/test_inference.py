"""What the checker knows of expressions: types, what is proven, calls, and what it finds in them."""

import pytest

from proxy.policy.checking.calls import anchored
from proxy.policy.load import load
from tests.policy.policies import ACCOUNT, findings, placed, suggestions

ME = f"{ACCOUNT}let me = account(user); "
F = 'fact f(u: string) -> string { python "m:f"; timeout 50ms; invalidate on "x"; } '
LISTED = 'fact l(u: string) -> list<string?> { python "m:l"; timeout 50ms; invalidate on "x"; } '
OPEN = 'channel "x" { allow presence when'
JWT = 'jwt from header "authorization"; issuer "i"; audience "a"; algorithms ES256; keys env K;'


@pytest.mark.parametrize(
    ("fields", "meta"),
    [
        ("a: string?", '{"a": null}'),
        ("a: string?", '{"a": "x"}'),
        ("a: double", '{"a": 1}'),
        ("a: string?, b: double", '{"a": claims.a, "b": claims.b}'),
    ],
)
def test_written_meta_may_hold_what_its_type_admits(fields: str, meta: str) -> None:
    assert placed(f"meta {{ {fields} }} identity i {{ {JWT} user = claims.sub; meta = {meta}; }}") == []


@pytest.mark.parametrize("value", ['user == "a" ? null : user', 'user == "a" ? user : null'])
def test_a_conditional_with_null_in_a_branch_may_be_null(value: str) -> None:
    assert placed(f'let b = {value}; {OPEN} b != null && b.startsWith("x"); }}') == []
    assert placed(f'let b = {value}; {OPEN} §b.startsWith("x"); }}') == ["maybe-null"]
    assert placed(f"let b = {value}; {OPEN} b != null && §b + 1 == 2; }}") == ["wrong-type"]


@pytest.mark.parametrize(
    "condition",
    [
        '"a" in l(user)',
        "l(user) == [user]",
        "[user] == l(user)",
        "[][0] + 1 == 2",
        '{}["a"] + 1 == 2',
        "{}.a.b == 1",
        '(user == "a" ? {}.a : 1) == 1',
        '(user == "a" ? 1 : {}.a) == 1',
        "(null) == null",
        "[].all(x, x + 1 == 2)",
    ],
)
def test_what_can_have_a_meaning_is_accepted(condition: str) -> None:
    assert [f for f in placed(f"{LISTED}{OPEN} {condition}; }}") if not f.startswith("unused-fact")] == []


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        # One branch of a conditional proves nothing by itself.
        ("maybe-null", f'{ME}{OPEN} (user == "a" ? me != null : user == "b") && !§me.suspended; }}'),
        ("maybe-null", f'{ME}{OPEN} (user == "a" ? user == "b" : me != null) && !§me.suspended; }}'),
        ("maybe-null", f'{ME}{OPEN} (user == "a" ? me != null : true) && !§me.suspended; }}'),
        ("maybe-null", f'{ME}{OPEN} (user == "a" ? true : me != null) && !§me.suspended; }}'),
        ("unsupported", f"{OPEN} §[1] + 1 == 2; }}"),
        ("unsupported", f"{OPEN} §1 + [1] == 2; }}"),
        ("wrong-type", f"{OPEN} §user == null; }}"),
        ("wrong-type", f"{OPEN} §null != user; }}"),
        # A fact cannot be asked inside a macro, whatever stands before it.
        ("unsupported", f"{F}{OPEN} [user].all(a, §f(a) == user); }}"),
        ("unsupported", f"{F}{OPEN} [1].all(a, a == 1) && [user].all(b, §f(b) == user); }}"),
        ("too-large", f"{OPEN} [1].all(a, a == 1) && [1].all(a, [1].all(b, §[1].all(c, a + b + c == 3))); }}"),
        ("unsupported", f"{F}identity i {{ {JWT} user = §f(claims.sub); }}"),
        ("wrong-type", f"{F}{OPEN} f(§1) == user; }}"),
        ("wrong-type", f"{F}{OPEN} f(§1.5) == user; }}"),
    ],
)
def test_a_mistake_in_an_expression_is_found_at_its_place(wanted: str, text: str) -> None:
    found = [f for f in placed(text) if not f.startswith(("unused", "maybe-null 1"))]
    assert found == [wanted]


def test_comparing_with_anything_but_null_proves_nothing() -> None:
    found = findings(f'{ME}{OPEN} me != {{"a": "b"}} && !me.suspended; }}')
    assert [f.split()[0] for f in found] == ["maybe-null", "maybe-null"]


@pytest.mark.parametrize(("items", "found"), [(297, []), (298, ["too-large"])])
def test_an_expression_has_300_terms_at_most(items: int, found: list[str]) -> None:
    assert placed(f"{OPEN} §user in [{', '.join(['user'] * items)}]; }}") == found
    assert placed(f"{OPEN} §user in [{', '.join(['(user)'] * items)}]; }}") == found


@pytest.mark.parametrize(("depth", "found"), [(4, []), (5, ["bad-fact"])])
def test_four_facts_may_follow_one_another(depth: int, found: list[str]) -> None:
    assert placed(f"{F}let a = user; {OPEN} §{'f(' * depth}a{')' * depth} == user; }}") == found
    assert placed(f"{F}let a = f(user); {OPEN} §{'f(' * (depth - 1)}a{')' * (depth - 1)} == user; }}") == found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('channel "x" { allow map_publish, map_remove when kee == "a"; }', 'did you mean "key"?'),
        (f"{ME}{OPEN} me != null && me.suspendet; }}", 'did you mean "suspended"?'),
        (f"{ME}{OPEN} me != null && me.zzz; }}", "it has: roles, suspended, boss"),
        ('meta { } channel "x" { allow presence when meta.zzz; }', "it has: nothing"),
        (f"{OPEN} [user].exits(a, a == user); }}", 'did you mean "exists"?'),
        (f'{OPEN} user.startWith("a"); }}', 'did you mean "startsWith"?'),
    ],
)
def test_a_mistake_in_an_expression_is_answered_with_a_way_out(text: str, hint: str) -> None:
    assert hint in suggestions(text)


@pytest.mark.parametrize(
    ("pattern", "whole"),
    [
        ("^a$", True),
        (r"\Aa\z", True),
        ("^(a|b)$", True),
        ("^[|)]$", True),
        ("^[]|]$", True),
        (r"^[\]|]$", True),
        (r"^[[:alpha:]|]$", True),
        (r"^a\|b$", True),
        (r"^\(a|b$", False),
        ("^a|b$", False),
        ("^(a)|(b)$", False),
        (r"^a\$", False),
        (r"^a\\$", True),
        ("^a", False),
        ("a$", False),
        ("a", False),
        ("", False),
        ("^?a$", False),
        ("^(?m)a$", False),
        ("^(?i)a$", True),
        (r"^\Qa$", False),
    ],
)
def test_a_pattern_that_may_match_in_the_middle_is_found(pattern: str, whole: bool) -> None:  # noqa: FBT001 - the expectation
    assert anchored(pattern) is whole
    written = pattern.replace("\\", "\\\\")
    assert placed(f'{OPEN} user.matches(§"{written}"); }}') == ([] if whole else ["unanchored-match"])


def test_a_pattern_that_cannot_be_read_is_found_with_its_reason() -> None:
    assert placed(f'{OPEN} user.matches(§"("); }}') == ["bad-pattern"]
    (found,) = load({"a.policy": f'language 1; {OPEN} user.matches("("); }}'.encode(), "a.test.policy": b"language 1;"}).findings
    assert found.message == "RE2 cannot read this pattern: missing ): ("


def test_re2_itself_says_nothing_of_a_bad_pattern(capfd: pytest.CaptureFixture[str]) -> None:
    placed(f'{OPEN} user.matches(§"("); }}')
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("size", "found"), [(80, []), (100, ["bad-pattern"])])
def test_a_pattern_may_take_a_megabyte(size: int, found: list[str]) -> None:
    assert placed(f'{OPEN} user.matches(§"^({"a" * size}){{1000}}$"); }}') == found


def test_what_a_deny_proves_holds_for_its_own_operations_only() -> None:
    others = f'{ME}deny z on subscribe when user == "z"; deny a on publish when me == null; '
    assert placed(f"{others}deny b on subscribe when §me.suspended;") == ["maybe-null"]
    assert placed(f"{others}deny b on publish when me.suspended;") == []
    assert placed(f'{others}channel "c" {{ deny b on publish when me.suspended; }}') == []
    assert placed(f'{others}channel "c" {{ deny b when §me.suspended; }}') == ["maybe-null"]
