import pytest

from proxy.policy.difference import changed
from proxy.policy.load import load
from proxy.policy.policy import Policy

BASE = """
language 1;
database main { url env URL; }
fact account(uid: string) -> { suspended: bool } { sql main "select suspended from a where id = :uid"; cache 10s; }
fact member(doc: string, uid: string) -> bool { sql main "select 1 from m where d = :doc and u = :uid"; }
let me = account(user);
deny suspended on subscribe when me.suspended;
connect { allow when headers["origin"] == "https://a"; expire 1h; }
channel "doc:{d}" {
  let there = member(vars.d, user);
  allow subscribe as members when there expire 5m;
  allow publish when there schema "schemas/note.json";
}
channel "news:{t}" { allow subscribe when true schema "schemas/note.json"; }
channel "open:{t}" { allow subscribe; }
"""
NOTE = b'{"type": "object"}'
RULES = ("connect/1", "doc:{d}/subscribe/members", "doc:{d}/publish/1", "news:{t}/subscribe/1", "open:{t}/subscribe/1")
SUBSCRIBE = {rule for rule in RULES if "/subscribe/" in rule}


def policy(text: str, note: bytes = NOTE) -> Policy:
    loaded = load({"base.policy": text.encode(), "schemas/note.json": note})
    assert loaded.policy, loaded.findings
    return loaded.policy


def differing(before: Policy, after: Policy) -> set[str]:
    differs = changed(before, after)
    return {rule for rule in RULES if differs(rule)}


def test_a_policy_differs_from_itself_in_nothing() -> None:
    assert differing(policy(BASE), policy(BASE)) == set()


def test_layout_comments_and_order_of_blocks_are_no_change() -> None:
    head, *blocks = BASE.split("channel ")
    moved = head + "// a word\n\n" + "".join(f"channel {block}" for block in reversed(blocks)).replace("{ allow", "{\n  allow")
    assert differing(policy(BASE), policy(moved)) == set()


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("expire 1h", "expire 2h", {"connect/1"}),
        ('"https://a"', '"https://b"', {"connect/1"}),
        ("expire 5m", "expire 6m", {"doc:{d}/subscribe/members"}),
        ("there = member(vars.d, user)", 'there = member("x", user)', {"doc:{d}/subscribe/members", "doc:{d}/publish/1"}),
        ("select 1 from m", "select 2 from m", {"doc:{d}/subscribe/members", "doc:{d}/publish/1"}),
        ("when true", "when false", {"news:{t}/subscribe/1"}),
        ("when me.suspended", "when !me.suspended", SUBSCRIBE),
        ("let me = account(user)", 'let me = account("1")', SUBSCRIBE),
        ("cache 10s", "cache 11s", SUBSCRIBE),
        ("cache 10s", 'invalidate on "account:{uid}"; cache 10s', SUBSCRIBE),
        ("deny suspended", "deny barred", SUBSCRIBE),
        ("deny suspended on subscribe", "deny suspended on subscribe, publish", {"doc:{d}/publish/1"}),
        ('channel "open:{t}" { allow subscribe; }', "", {"open:{t}/subscribe/1"}),
        ('channel "open:{t}"', 'channel "open:{other}"', {"open:{t}/subscribe/1"}),
        ("url env URL", "url env OTHER", set(RULES)),
        ("language 1;", "language 1;\nmeta { role: string }", set(RULES)),
        ("language 1;", "language 1;\nidentity anyone { guest; }", set(RULES)),
    ],
)
def test_a_change_is_seen_in_exactly_the_rules_that_it_touches(old: str, new: str, rules: set[str]) -> None:
    assert old in BASE
    assert differing(policy(BASE), policy(BASE.replace(old, new, 1))) == rules


def test_another_schema_touches_the_rules_that_use_it() -> None:
    assert differing(policy(BASE), policy(BASE, b'{"type": "array"}')) == {"doc:{d}/publish/1", "news:{t}/subscribe/1"}
