"""Parts of a comparison that few policies need, and that no difference is passed over in silence."""

import json
import random

import pytest

from proxy.policy import overlap
from proxy.policy.decision import Allow
from proxy.policy.load import load
from proxy.policy.overlap import Undecided, witness
from proxy.policy.patterns import parse
from proxy.review import lines
from proxy.review.comparing import witness as searching
from proxy.review.comparing.changes import Change, Comparison, Version
from proxy.review.comparing.compare import compare
from proxy.review.comparing.samples import payloads
from proxy.review.comparing.telling import as_lines
from proxy.review.comparing.theory import possible
from proxy.review.comparing.world import Source, View, World

HEAD = 'language 1;\nfact f(a: string) -> { b: bool, n: int?, d: double } { python "a:b"; timeout 50ms; }\n'


def version(text: str, schema: str = "{}") -> Version:
    files = {"p.policy": text.encode(), "schemas/s.json": schema.encode()}
    loaded = load(files)
    assert loaded.policy, [str(finding) for finding in loaded.findings if finding.severity == "error"]
    return Version(policy=loaded.policy, files=files)


def publishing(condition: str, more: str = "") -> str:
    return f'{HEAD}channel "x:{{a}}" {{ allow publish when {condition} {more}; }}\n'


def compared(old: str, new: str) -> Comparison:
    return compare(version(old), version(new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data.a == 1", "data.a == 2"),
        ("data.a == 1", "data.a == 1.5"),
        ("data.a < 1.5", "data.a <= 1.5"),
        ("data.a == true", "data.a == false"),
        ("data.a", "!data.a"),
        ("data.a == null", "data.a != null"),
        ("data.a == user", "data.b == user"),
        ("user in data.a", "!(user in data.a)"),
        ("data.a in [user, vars.a]", "data.a in [user]"),
        ("data.a in []", "data.a in [1]"),
        ("user in [data.a]", "user in [data.b]"),
        ('f("x").b', 'f("y").b'),
        ('data["a"] == 1', 'data["b"] == 1'),
        ("data.a[0] == 1", "data.a[1] == 1"),
        ("size(data.a) == 2", "data.a.size() == 3"),
        ("int(data.a) == 2", "int(data.a) == 3"),
        ('string(data.a) == "2"', 'string(data.a) == "3"'),
        ("-data.a == 1", "-data.a == 2"),
        ("data.a % 2 == 0", "data.a % 2 == 1"),
        ('user + "x" == "ax"', 'user + "x" == "bx"'),
        ('user.lowerAscii() == "a"', 'user.lowerAscii() == "b"'),
        ('user.contains("a")', 'user.contains("b")'),
        ('data.l.all(x, x.y == "a")', 'data.l.exists_one(x, x.y == "a")'),
        ("f(user).b", "!f(user).b"),
        ("f(data.a).b", "f(data.b).b"),
        ("f(user).n == null", "f(user).n != null"),
        ("f(user).d > 2.0", "f(user).d >= 2.0"),
        ("f(user).d / 2.0 >= 1.0", "f(user).d / 2.0 > 1.0"),
        ('labels["a"] == "x"', 'labels["a"] == "y"'),
        ("client == transport", 'client == "c"'),
        ("timestamp_ms < 5", "timestamp_ms < 6"),
        ('data == {"a": 1}', 'data == {"a": 2}'),
        ("[user] == data.a", "[user, user] == data.a"),
        ('user > "b"', 'user > "c"'),
        ('(user == "a") == (vars.a == "b")', '(user == "a") != (vars.a == "b")'),
        ("has(data.a.b)", "has(data.a.c)"),
        ("(data.a ? 1 : 2) == 1", "(data.a ? 1 : 2) == 2"),
    ],
)
def test_no_difference_is_passed_over(old: str, new: str) -> None:
    found = compared(publishing(old), publishing(new))
    assert found.kinds & {"newly allowed", "newly denied"}
    assert compared(publishing(old), publishing(f"({old})")).changes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("named", 'user == "a"'),
        ("data.l.exists(x, (x.y) == first && user == second)", 'data.l.exists(x, x.y == "a" && user == "b")'),
        ('data.l.exists(x, x["y"] == "a")', 'data.l.exists(y, y.y == "a")'),
        ("1 == 1", "true"),
        ("1 == 2", "false"),
    ],
)
def test_what_has_a_name_or_is_written_otherwise_is_the_same(old: str, new: str) -> None:
    lets = 'let first = "a";\nlet second = "b";\nlet named = user == first;\n'
    found = compared(publishing(old) + lets, publishing(new) + lets)
    assert (found.changes, found.rewritten) == ((), ("publish x:{a}",))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('tags {"a": data.a}', 'tags {"a": data.b}', "changed"),
        ("idempotency user", "idempotency channel", "changed"),
        ("skip_history", "", "changed"),
        ("limit 1/1s per client", "limit 1/1s per user", "changed"),
        ("limit 1/1s per client", "limit 1/1s per client, user", "loosened"),
        ("limit 1/1s", "limit 1/1s per client", "changed"),
        ("stamp a = user", "stamp a = user, b = user", "tightened"),
        ("stamp a = data.a && true", "stamp a = data.b && true", "changed"),
    ],
)
def test_what_comes_with_a_grant_is_compared(old: str, new: str, kind: str) -> None:
    assert kind in compared(publishing("true", old), publishing("true", new)).kinds


def told(found: Comparison) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(each.kind, each.target, each.when) for each in found.changes if each.witness}


def test_a_deny_that_looks_at_the_payload_refuses_what_can_be_read_in_two_ways() -> None:
    denied = publishing("true") + 'deny bad on publish when data.a == "b";\n'
    found = compared(denied, publishing("true"))
    assert ("newly allowed", "x:{a}", ("the payload can be read in two ways",)) in told(found)
    assert all(each.witness for each in found.changes)


def test_patterns_are_compared_where_one_channel_matches_both() -> None:
    text = 'language 1;\nchannel "PATTERN" { allow subscribe; }\n'
    wider = compared(text.replace("PATTERN", "a:{x}"), text.replace("PATTERN", "a:{x*}"))
    assert told(wider) == {("newly allowed", "a:{x*}", ())}
    apart = compared(text.replace("PATTERN", "a:{x}"), text.replace("PATTERN", "a:b:{x}"))
    assert told(apart) == {("newly denied", "a:{x}", ()), ("newly allowed", "a:b:{x}", ())}


def test_variables_of_two_patterns_are_set_in_one_channel() -> None:
    text = 'language 1;\nchannel "PATTERN" { allow subscribe when CONDITION; }\n'
    old = text.replace("PATTERN", "a:{x*}").replace("CONDITION", 'vars.x == "b" || vars.x == "c:d" limit 1/1s')
    new = text.replace("PATTERN", "a:{y}").replace("CONDITION", 'vars.y == "e"')
    found = compared(old, new)
    cases = {(kind, target, tuple(each.partition(" (in")[0] for each in when)) for kind, target, when in told(found)}
    assert cases == {
        ("newly denied", "a:{x*} → a:{y}", ('vars.x == "b"', 'vars.y != "e"')),
        ("newly allowed", "a:{x*} → a:{y}", ('vars.x != "b"', 'vars.x != "c:d"', 'vars.y == "e"')),
        ("newly denied", "a:{x*}", ('vars.x == "c:d"',)),
    }
    assert {each.kind for each in found.changes if not each.witness} == {"loosened"}  # no channel has x and y so


def test_a_backend_learns_of_a_pattern_that_begins_with_a_parameter() -> None:
    text = 'language 1;\nservice s { key env K; allow publish on "{x}" when WHAT; }\n'
    found = compared(text.replace("WHAT", 'vars.x == "a"'), text.replace("WHAT", "true"))
    assert [(each.kind, each.witness and each.witness.request["channel"] != "a") for each in found.changes] == [("newly allowed", True)]


def test_a_fact_that_holds_a_map_has_a_usual_value() -> None:
    text = publishing('g(user)["k"] == data.a') + 'fact g(a: string) -> map<string, int> { python "a:g"; timeout 50ms; }\n'
    found = compared(text, text.replace("== data.a", "!= data.a"))
    assert {each.kind for each in found.changes if each.witness} == {"newly allowed", "newly denied"}


def test_a_payload_with_a_number_that_fits_into_nothing_fits_no_schema() -> None:
    text = publishing("true", 'schema "schemas/s.json"')
    schema = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
    policy = version(text, schema).policy
    rule = policy.decider.plans.channels[0][1]["publish"].rules[0]
    line = {"op": "publish", "user": "u", "channel": "x:a"}
    views = [
        View(policy, found, Source(World(asked=found), found, [policy])) for found in ({**line, "data": {"n": n}} for n in (1.0, 1e20, "x"))
    ]
    assert rule.schema
    assert [view.fits(rule.schema) for view in views] == [True, False, False]


def test_a_change_without_a_case_or_a_request_is_told_plainly() -> None:
    change = Change(kind="changed", operation="rpc", target="r", detail="the answer is another one")
    found = Comparison(changes=(change,), declared=(), rewritten=(), same=1)
    assert [each.plain for each in as_lines(found)] == ["changed", "  rpc r", "    the answer is another one", "1 changed; 1 the same"]


ATOMS = ('user == "a"', 'vars.a == "b"', "data.n > 1", 'data.k == "x"', "has(data.k)", "f(user).b", "f(user).n != null", "user == vars.a")


def condition(dice: random.Random, depth: int = 2) -> str:
    if depth == 0 or dice.random() < 0.2:
        return dice.choice(ATOMS)
    shape = dice.choice(("({} && {})", "({} || {})", "!({})", "({} ? {} : {})"))
    return shape.format(*(condition(dice, depth - 1) for _ in range(shape.count("{}"))))


def request(dice: random.Random) -> dict[str, object]:
    user = dice.choice("abc")
    data = dice.choice([None, {}, {"n": dice.choice([0, 2, "x"])}, {"k": dice.choice(["x", "y", 1]), "n": 2}])
    fact = dice.choice([{"$error": "away"}, {"b": dice.random() < 0.5, "n": dice.choice([None, 1]), "d": 1.0}])
    return {"op": "publish", "user": user, "channel": f"x:{dice.choice('abc')}", "data": data, "facts": {f'f("{user}")': fact}}


@pytest.mark.parametrize("seed", range(20))
def test_what_flips_on_some_request_was_said_before(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "TRIES", 30)
    dice = random.Random(seed)  # noqa: S311 - policies, not secrets
    old, new = (version(publishing(condition(dice), "limit 1/1s")) for _ in range(2))
    kinds = compare(old, new).kinds
    for _ in range(150):
        asked = request(dice)
        facts = asked["facts"]
        assert isinstance(facts, dict)
        ends = [isinstance(each.policy.decide(lines.request(asked), lines.Given(each.policy.facts, facts)), Allow) for each in (old, new)]
        if ends[0] != ends[1]:
            assert ("newly allowed" if ends[1] else "newly denied") in kinds, json.dumps(asked)


def test_samples_of_a_schema_reach_both_sides_of_its_bounds() -> None:
    schema = {
        "type": "object",
        "required": ["a", "b", "c", "d", "e", "f"],
        "properties": {
            "a": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "b": {"type": ["boolean", "null"]},
            "c": {"type": "null"},
            "d": {"const": 7},
            "e": {"$ref": "#/$defs/e"},
            "f": {"$ref": "#/nowhere"},
            "g": {"type": "number", "minimum": 3},
            "h": True,
        },
        "$defs": {"e": {"enum": ["x", "y"]}},
    }
    found = list(payloads(schema))
    first = {"a": [-1 + 1], "b": True, "c": None, "d": 7, "e": "x", "f": "x"}
    assert found[0] == first
    assert {"a": [], "b": True, "c": None, "d": 7, "e": "x", "f": "x"} in found
    assert [next(iter(payloads({"type": "integer"}))), next(iter(payloads({})))] == [0, "x"]
    assert len(found) <= 60


def test_answers_that_exclude_each_other_stand_in_no_request() -> None:
    x, one, two, text = ("name", "x"), ("const", "int", 1), ("const", "int", 2), ("const", "str", "a")
    yes, no = True, False
    same, less = ("==", x, one), ("<", x, two)
    assert not possible({same: yes, ("==", x, two): yes}, same)
    assert not possible({same: yes, less: no}, less)
    assert not possible({same: yes, ("null", x): yes}, same)
    assert not possible({("<", x, one): yes, ("<", two, x): yes}, less)
    assert not possible({("<", x, text): yes, same: yes}, less)
    assert not possible({("==", x, x): no}, ("==", x, x))
    assert possible({("<", x, two): no, ("<", two, x): no}, less)
    assert possible({("<", x, two): yes, ("<", x, ("name", "y")): yes}, less)
    assert possible({("null", x): yes, ("==", ("name", "y"), one): yes}, same)


def test_patterns_that_cannot_be_told_apart_in_time_may_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    some, other = parse("a:{x}:{y}"), parse("a:{x*}")
    assert witness([other], [some]) == "a:x"
    assert witness([some], [other]) is None
    key = ("on", (), some)
    assert possible({key: True}, key)
    monkeypatch.setattr(overlap, "MOST", 2)
    with pytest.raises(Undecided):
        witness([other], [some])
    assert possible({key: True}, key)
    text = 'language 1;\nchannel "PATTERN" { allow subscribe; }\nservice s { key env K; allow info; allow publish on "PATTERN"; }\n'
    found = compared(text.replace("PATTERN", "a:{x}:{y}"), text.replace("PATTERN", "a:{x*}"))
    assert "newly allowed" in found.kinds


def test_a_backend_that_is_new_gains() -> None:
    text = "language 1;\nservice a { key env A; allow info; }\n"
    found = compared(text, text + "service b { key env B; allow info, publish; }\n")
    assert {(each.kind, each.operation, each.target) for each in found.changes} == {
        ("newly allowed", "info", "service b"),
        ("newly allowed", "publish", "service b"),
    }
    assert all(each.before == "denied: no_identity" for each in found.changes)
