"""What is allowed on each pattern, as people and programs read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.policy.decision import FactKey
from proxy.policy.load import load
from proxy.review.reaching import table
from proxy.review.reaching.table import Table
from tests.review.reaching.asking import SCHEMAS, Given

POLICY = """language 1;
fact account(uid: string) -> { locked: bool }? { python "a:b"; timeout 50ms; }
deny locked when account(user) != null && account(user).locked;
channel "open" { allow subscribe; }
channel "own#{uid}" { allow subscribe, history when vars.uid == user; allow publish when user == "a" schema "schemas/text.json"; }
channel "room:{n:int}" {
  deny full on publish when vars.n > 100;
  allow publish when has(data.text) && data.text == "x" || user == "a" schema "schemas/text.json" stamp by = int(user);
}
"""
FACTS: Mapping[FactKey, object] = {("account", "42"): {"locked": False}, ("account", "66"): {"locked": True}}
CLOSED = 'language 1; deny shut when true; channel "a|b" { allow subscribe; }'


def tables(
    text: str = POLICY, users: Sequence[str] = (), channels: Sequence[str] = (), facts: Mapping[FactKey, object] = FACTS
) -> list[Table]:
    loaded = load({"p.policy": text.encode(), **SCHEMAS})
    assert loaded.policy, [str(finding) for finding in loaded.findings]
    return [*table.tables(loaded.policy, users, channels, Given(facts))]


def rows(told: Mapping[str, Any]) -> list[Any]:
    return list(told["rows"])


def lines(found: Table) -> list[str]:
    return [str(line).rstrip() for line in table.as_lines(found)]


def test_each_pattern_is_allowed_conditional_or_denied_and_what_comes_before_is_said_below() -> None:
    (found,) = tables()
    assert lines(found) == [
        "              subscribe    publish      history",
        "open          allowed      denied       denied",
        "own#{uid}     conditional  conditional  conditional",
        "room:{n:int}  denied       conditional  denied",
        "denied everywhere: presence, map_publish, map_remove",
        "unless account(user) != null && account(user).locked  deny/locked  p.policy:3",
        "unless vars.n > 100  room:{n:int}/deny/full  p.policy:7  on publish",
    ]


def test_each_user_has_a_table_by_the_facts_at_hand() -> None:
    _, free, locked, lost = tables(users=("42", "66", "1"))
    assert lines(free) == [
        'user "42"',
        "              subscribe    publish      history",
        "open          allowed      denied       denied",
        "own#{uid}     conditional  denied       conditional",
        "room:{n:int}  denied       conditional  denied",
        "denied everywhere: presence, map_publish, map_remove",
        "unless vars.n > 100  room:{n:int}/deny/full  p.policy:7  on publish",
    ]
    assert lines(locked) == [
        'user "66"',
        "denied everywhere: subscribe, publish, presence, history, map_publish, map_remove",
        "denied: deny/locked (p.policy:3) applies",
    ]
    assert lines(lost)[1:] == lines(locked)[1:]


def test_single_channels_are_asked_instead_of_patterns() -> None:
    (_, found) = tables(users=("42",), channels=("own#42", "own#43", "room:101", "away", "open"))
    assert lines(found) == [
        'user "42"',
        "          subscribe  history",
        "own#42    allowed    allowed",
        "own#43    denied     denied",
        "room:101  denied     denied",
        "away      denied     denied",
        "open      allowed    denied",
        "denied everywhere: publish, presence, map_publish, map_remove",
        "denied: room:{n:int}/deny/full (p.policy:7) applies",
        "no pattern matches away",
    ]


def test_a_pull_request_shows_code_whatever_stands_in_a_pattern() -> None:
    (found,) = tables(CLOSED.replace("deny shut when true; ", ""))
    assert table.as_markdown(found).splitlines() == [
        "### Who may do what",
        "",
        "| | subscribe |",
        "|---|---|",
        "| `a\\|b` | allowed |",
        "",
        "- denied everywhere: `publish, presence, history, map_publish, map_remove`",
        "",
    ]


def test_a_pull_request_shows_users_and_why_they_are_denied() -> None:
    (_, found) = tables(CLOSED, users=("`x`",))
    assert table.as_markdown(found).splitlines() == [
        '### User ``` "`x`" ```',
        "",
        "- denied everywhere: `subscribe, publish, presence, history, map_publish, map_remove`",
        "- denied: `deny/shut (p.policy:1) applies`",
        "",
    ]


def test_where_every_operation_is_allowed_none_is_said_to_be_denied() -> None:
    (found,) = tables('language 1; channel "a" { allow subscribe, publish, presence, history, map_publish, map_remove; }')
    assert len(lines(found)) == 2
    assert table.as_markdown(found).splitlines()[-2:] == ["| `a` | allowed | allowed | allowed | allowed | allowed | allowed |", ""]


def test_programs_read_rules_and_denies_of_each_cell() -> None:
    found, own = (table.as_object(each) for each in tables(users=("66",), channels=("room:7", "away")))
    room, away = rows(found)
    locked = {"rule": "deny/locked", "at": "p.policy:3", "when": "account(user) != null && account(user).locked"}
    assert (found["user"], own["user"]) == (None, "66")
    assert (room["name"], room["pattern"]) == ("room:7", "room:{n:int}")
    assert room["cells"]["publish"] == {"is": "conditional", "by": ["room:{n:int}/publish/1"], "unless": [locked], "why": None}
    assert room["cells"]["subscribe"] == {"is": "denied", "by": [], "unless": [], "why": "no rule allows this"}
    assert (away["pattern"], away["cells"]["publish"]["why"]) == (None, "no pattern matches")
    denied, _ = rows(own)
    assert denied["cells"]["publish"] == {"is": "denied", "by": [], "unless": [], "why": "deny/locked (p.policy:3) applies"}
