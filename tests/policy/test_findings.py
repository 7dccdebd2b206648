"""Mistakes that the conformance cases do not make, each found where it stands."""

import pytest

from tests.policy.policies import ACCOUNT, findings

JWT = 'jwt from header "authorization"; issuer "i"; audience "a";'
IDENTITY = f'identity i {{ {JWT} algorithms ES256; keys env K; user = claims.sub; meta = {{"a": ["x"], "b": {{"n": 1}}}}; }}'
F = 'fact f(u: string) -> string { python "m:f"; timeout 50ms; invalidate on "x"; } '
LISTED = 'fact l(u: string) -> list<{ x: string?, y?: string }> { python "m:l"; timeout 50ms; } '
OPEN = 'channel "x" { allow presence'


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("duplicate-name", 'channel "x" { allow presence, §presence; }'),
        ("syntax", "service §s { allow info; }"),
        ("syntax", "§http app { timeout 1s; }"),
        ("bad-fact", 'fact f(u: §list<string>) -> bool { python "m:f"; }'),
        ("bad-fact", 'fact f(u: string) -> bool { §python "m.f"; timeout 1s; }'),
        ("bad-identity", f"identity i {{ {JWT} algorithms §HS256, ES256; keys env K; user = claims.sub; }}"),
        ("bad-identity", f'identity i {{ {JWT} algorithms ES256; keys jwks §"http://id.example"; user = claims.sub; }}'),
        ("duplicate-name", f"identity i {{ {JWT} algorithms ES256; keys env K; user = claims.sub; §user = claims.id; }}"),
        ("wrong-type", f"identity i {{ {JWT} algorithms ES256; keys env K; user = §true; }}"),
        ("unsupported", f"{F}identity i {{ {JWT} algorithms ES256; keys env K; user = §f(claims.sub); }}"),
        ("wrong-type", f"{F}{OPEN} when §f(user, user) == user; }}"),
        ("wrong-type", f'{OPEN} when §user.contains("a", "b"); }}'),
        ("bad-fact", f"{F}{OPEN} when §f(f(f(f(f(user))))) == user; }}"),
        ("wrong-type", f'{OPEN} when §["a"] == [1]; }}'),
        ("maybe-null", f'{ACCOUNT}{OPEN} when §account(user) == {{"a": 1}}; }}'),
        ("wrong-type", f"{OPEN} when -§user == user; }}"),
        # What is known of one value is not known of another that is reached likewise.
        ("maybe-null", f'{ACCOUNT}{OPEN} when account(user + "a") != null && §account(user + "b").suspended; }}'),
        ("maybe-null", f'{ACCOUNT}{OPEN} when account("a") != null && §account("b").suspended; }}'),
        ("maybe-null", f"{LISTED}{OPEN} when l(user)[0].x != null && §l(user)[1].x == user; }}"),
        ("missing-optional", f"{LISTED}{OPEN} when has(l(user)[0].y) && l(user)[1].§y == user; }}"),
        ("maybe-null", f'{ACCOUNT}let me = account(user); {OPEN} when (user == "a" || me != null) && !§me.suspended; }}'),
        ("maybe-null", f'{ACCOUNT}let me = account(user); {OPEN} when !(user == "a" && me == null) && !§me.suspended; }}'),
    ],
)
def test_a_mistake_is_found_at_its_place(wanted: str, text: str) -> None:
    """The sign § stands before the place and is taken out."""
    before = f"language 1; {text}".split("§")[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert f"{wanted} {line}:{column}" in findings(text.replace("§", ""))


@pytest.mark.parametrize(
    "text",
    [
        f'{ACCOUNT}{OPEN} when account(user) != null && account(user).boss != null && account(user)["boss"] == user; }}',
        f"{ACCOUNT}let me = account(user); {OPEN} when (me) == null ? false : !me.suspended; }}",
        f"{ACCOUNT}let me = account(user); {OPEN} when (me == null ? (false) : true) && !me.suspended; }}",
        f"{ACCOUNT}let me = account(user); {OPEN} when (me != null ? true : (false)) && !me.suspended; }}",
        f"{ACCOUNT}let me = account(user); deny a when me == null; {OPEN} when me == me && me != {{}}; }}",
        f'{ACCOUNT}let me = account(user); deny a when me == null; {OPEN} when me == {{"roles": ["a"]}} || {{"roles": ["a"]}} == me; }}',
        f'{ACCOUNT}let boss = user == "a" ? null : user; let b = user == "a" ? user : null; {OPEN} when boss == null || b != null; }}',
        f'{ACCOUNT}{OPEN} when account("a") != null && !account("a").suspended; }}',
        f"{ACCOUNT}let me = account(user); {OPEN} when me != (null) && !me.suspended; }}",
        f"{OPEN} when [1] == [2.0] && [] == [user]; }}",
        f"meta {{ a: list<string?>, b: map<string, int>, c?: {{ d: double }} }} {IDENTITY}",
    ],
)
def test_what_is_meant_well_is_accepted(text: str) -> None:
    assert [f for f in findings(text) if not f.startswith(("unused", "subscribe"))] == []


@pytest.mark.parametrize(
    ("meta", "written"),
    [
        ("a: string?", '{"a": 1}'),
        ("a: list<int>", '{"a": ["x"]}'),
        ("a: { b: int }", '{"a": {"b": "x"}}'),
        ("a: map<string, int>", '{"a": {"b": "x"}}'),
        ("a: double", '{"a": "x"}'),
        ("a: string, b: string", '{"a": "x"}'),
    ],
)
def test_written_meta_must_fit_its_type(meta: str, written: str) -> None:
    text = f"meta {{ {meta} }} identity i {{ {JWT} algorithms ES256; keys env K; user = claims.sub; meta = {written}; }}"
    assert [f.split()[0] for f in findings(text)] == ["wrong-type"]


def test_an_identity_without_algorithms_is_found_and_nothing_else_breaks() -> None:
    assert findings(f"identity i {{ {JWT} keys env K; user = claims.sub; }}") == ["bad-identity 1:22"]


def test_a_record_may_stand_where_its_members_fit() -> None:
    fact = 'fact who(u: string) -> { a: { b: int, c: string } } { python "m:f"; timeout 50ms; }'
    text = f'{fact} fact g(u: string) -> bool {{ python "m:g"; timeout 50ms; }} {OPEN} when who(user).a == who(user).a && g(user); }}'
    assert findings(text) == []


def test_a_connect_rule_that_reads_data_cannot_be_renewed() -> None:
    assert findings('connect { allow when data.token == "x"; expire 1h; }') == ["unrenewable-connect 1:23"]
    assert findings('connect { allow when data.token == "x"; }') == []
