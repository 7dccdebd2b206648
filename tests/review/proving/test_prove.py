"""Invariants that are proved, refuted by a request that is decided so, or left open with the reason."""

import json
from pathlib import Path

import pytest

from proxy.policy.decision import Allow
from proxy.review import lines
from tests.review.proving.scene import loaded, one, proved

MESSAGE = json.dumps(
    {
        "type": "object",
        "required": ["kind", "text"],
        "properties": {
            "kind": {"enum": ["message", "reaction"]},
            "text": {"type": "string", "minLength": 2, "maxLength": 5},
            "level": {"type": "integer", "minimum": 1, "maximum": 3},
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1.5},
            "sub": {"$ref": "#/$defs/sub"},
            "flag": {"const": True},
            "list": {"type": "array"},
            "mixed": {"type": ["integer", "null"]},
            "many": {"enum": [[1], 2]},
            "rare": {"const": "\U000e0001"},
            "none": False,
            "any": True,
        },
        "allOf": [{"required": ["kind"]}, {"properties": {"kind": {"type": "string"}}}],
        "additionalProperties": False,
        "$defs": {"sub": {"type": "object", "properties": {"x": {"type": "boolean"}}}},
    }
)
OPEN = 'channel "c:{x}" { allow subscribe, publish, presence expire 5m; } '
WHEN = 'channel "c:{x}" { allow subscribe when %s expire 5m; } never allow subscribe on "c:{x}" when %s;'


def table(state: str) -> list[str]:
    """The policies of `invariants.tsv` whose invariant ends in this state."""
    rows = [line.split("\t") for line in (Path(__file__).parent / "invariants.tsv").read_text().splitlines()[1:]]
    return [rest[0] if len(rest) == 1 else WHEN % (rest[0], rest[1]) for each, *rest in rows if each == state]


@pytest.mark.parametrize("text", table("proved"))
def test_an_invariant_that_holds_is_proved(text: str) -> None:
    assert [found.state for found in proved(text, {"message": MESSAGE})] == ["proved"]


@pytest.mark.parametrize("text", table("refuted"))
def test_an_invariant_that_does_not_hold_is_refuted_by_a_request_that_is_allowed(text: str) -> None:
    policy, _ = loaded(text, message=MESSAGE)
    found = one(text, message=MESSAGE)
    assert found.state == "refuted"
    assert found.shown is not None
    line = found.shown.request
    decided = policy.decide(lines.request(line), lines.Given(policy.facts, line["facts"]))
    assert isinstance(decided, Allow)
    assert (decided.rule, decided.at) == (found.shown.rule, found.shown.at)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WHEN % ("data.list.all(i, i > 3)", "data.list == [3]"), "data.list.all(i, i > 3), data.list == [3]"),
        (WHEN % ("data.a + 1.5 == 3.0", "data.a == 2.5"), "data.a + 1.5"),
        (WHEN % ('user.matches("(?i)^a$")', 'user == "b"'), 'user.matches("(?i)^a$")'),
        (WHEN % ("data.a[0] == 1", "data.a[1 - 1] == 2"), "data.a[1 - 1]"),
        (WHEN % ('me != null && {"a": 1, "b": "x"}.a in me.roles', "true"), '{"a": 1, "b": "x"}.a in me.roles'),
        (WHEN % ('user.lowerAscii() == "A"', "true"), "user.lowerAscii()"),
    ],
)
def test_what_hangs_on_an_expression_that_is_not_looked_into_is_unknown(text: str, why: str) -> None:
    found = one(text)
    assert (found.state, found.shown) == ("unknown", None)
    assert found.why.startswith("subscribe on c:{x}: what the solver found is not so, since it cannot look into: ")
    assert why in found.why


def test_what_no_schema_of_the_policy_lets_pass_is_unknown() -> None:
    text = 'channel "c:{x}" { allow publish when user != "" schema "schemas/s.json" limit 1/1s; } never allow publish on "c:{x}";'
    found = one(text, s='{"type": "string", "pattern": "^[ab]{3}$", "not": {"const": "aaa"}}')
    assert (found.state, found.why) == ("unknown", "publish on c:{x}: what the solver found is not so")


def test_a_payload_is_looked_for_where_the_schema_is_not_understood() -> None:
    text = 'channel "c:{x}" { allow publish when data.n == 2 schema "schemas/s.json" limit 1/1s; } never allow publish on "c:{x}";'
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}, "anyOf": [{"required": ["m"]}]}
    nested = {"type": "object", "required": ["m"], "properties": {"m": {"const": "x"}}, "oneOf": [{"required": ["m"]}]}
    assert one(text, s=json.dumps(schema)).state == "unknown"
    either = one(text.replace("data.n == 2", 'data.m == "x"'), s=json.dumps(nested))
    assert either.shown is not None
    assert either.shown.request["data"] == {"m": "x"}


def test_time_that_is_up_leaves_an_invariant_unknown() -> None:
    a, b, c = (f'limits()["{name}"]' for name in "abc")
    hard = f"{a} > 1 && {b} > 1 && {c} > 1 && {a} * {a} * {a} + {b} * {b} * {b} == {c} * {c} * {c}"
    (found,) = proved(WHEN % (hard, "true"), {}, 200)
    assert (found.state, found.why) == ("unknown", "subscribe on c:{x}: time was up")


def test_who_refutes_first_decides() -> None:
    text = 'channel "c:{x}" { allow subscribe when data.list.all(i, i > 3) expire 5m; allow presence; } never allow %s on "c:{x}";'
    assert one(text % "subscribe, presence, history").state == "refuted"


def test_a_request_holds_no_more_than_it_needs() -> None:
    found = one(WHEN % ("me != null && me.age >= 18", "me != null && !me.suspended"))
    assert found.shown is not None
    assert set(found.shown.request) == {"op", "user", "channel", "facts"}
    (key,) = found.shown.request["facts"]
    assert key == f'account("{found.shown.request["user"]}")'


def test_where_no_rule_allows_any_of_it_this_is_said() -> None:
    assert [
        found.why
        for found in proved('always deny history on "c:{x}" for users; ' + OPEN + 'never allow subscribe on "c:{x}" when user == "";', {})
    ] == [
        "no rule allows any of it",
        "",
    ]
