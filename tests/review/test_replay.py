"""What a replay makes of logged decisions: nothing is guessed, nothing is lost."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.errors import SetupFault
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review import flips, replay
from proxy.review.flips import Tally
from proxy.review.journal import Veil, line
from proxy.review.lines import Given

POLICY = """language 1;
identity guest { guest; }
meta { role: string, tags: list<string> }
fact account(uid: string) -> { suspended: bool, note: string }? { python "app:account"; timeout 50ms; }
fact ok(b: bool) -> bool { python "app:ok"; timeout 50ms; }
let me = account(user);
deny suspended when me != null && me.suspended;
connect { allow when headers["origin"] == "o"; }
channel "x:{y}" {
  allow subscribe when vars.y == user limit 1/1s;
  allow publish as small when data.n < 3 stamp by = user;
  allow publish as checked schema "schemas/s.json";
  allow history when ok(true);
}
rpc "r" { allow when data.secret == "s"; answer = 1; }
service shop { key env K; allow publish on "x:{y}" when data.n == 1; }
"""
FILES = {"p.policy": POLICY.encode(), "schemas/s.json": b'{"type": "object", "required": ["text"]}'}
PLAIN: dict[str, Any] = {"account": {"suspended": False, "note": "n"}}


def files(old: str = "", new: str = "") -> dict[str, bytes]:
    assert old in POLICY
    return {**FILES, "p.policy": POLICY.replace(old, new).encode()}


def policy(given: dict[str, bytes]) -> Policy:
    found = load(given).policy
    assert found
    return found


def logged(mask: str = "", facts: dict[str, object] | None = None, **asked: Any) -> bytes:  # noqa: ANN401 - the fields of a request
    """A line of the log as the service writes it, with something masked."""
    running = policy(files("rpc", f"log {{ mask {mask}; }}\nrpc")) if mask else policy(FILES)
    request = Request(**{"op": "subscribe", "user": "u", "channel": "x:u", **asked})
    given = {f'account("{request.user}")': PLAIN["account"], "ok(true)": True} if facts is None else facts
    decision = running.decide(request, Given(running.facts, given))
    assert isinstance(decision, Allow | Deny)
    return line(request, decision, 1, Veil(running.logging, running.identities))


def counted(raw: bytes, given: dict[str, bytes] | None = None, before: dict[str, bytes] | None = None) -> Tally:
    by = replay.Replay(policy(given or FILES), policy(before) if before else None)
    tally = Tally()
    for number, each in enumerate(raw.splitlines(keepends=True), 1):
        by.line(each, number, tally)
    return tally


def told(raw: bytes, given: dict[str, bytes] | None = None, before: dict[str, bytes] | None = None) -> list[tuple[str, ...]]:
    found = counted(raw, given, before).flips
    return [(flip.verdict, flip.operation, flip.target, flip.before, flip.after) for flip in found]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"user": "v"},
        {"op": "publish", "data": {"n": 1}},
        {"op": "publish", "data": {"text": "t"}},
        {"op": "publish", "data": None},
        {"op": "history"},
        {"op": "connect", "channel": None, "headers": {"origin": "o", "authorization": "secret"}},
        {"op": "refresh", "channel": None, "headers": {"cookie": "c"}},
        {"op": "rpc", "channel": None, "method": "r", "data": {"secret": "s"}},
        {"op": "rpc", "channel": None, "method": "nothing"},
        {"op": "publish", "user": None, "service": "shop", "method": "publish", "data": {"n": 1}},
        {"op": "publish", "user": None, "service": "nobody", "method": "publish", "data": {"n": 1}},
        {"channel": "nothing"},
        {"op": "publish", "channel": "nothing", "data": {"text": "***"}},
        {"op": "rpc", "channel": None, "method": "nothing", "data": "***"},
        {"op": "connect", "channel": None, "headers": {"origin": "o"}, "data": "***"},
        {"op": "publish", "data": {"n": 1}, "ambiguous": True},
    ],
)
def test_what_the_same_policy_decided_does_not_flip(asked: dict[str, Any]) -> None:
    tally = counted(logged(**asked))
    assert (tally.read, tally.same, tally.flips) == (1, 1, {})


@pytest.mark.parametrize(
    ("asked", "old", "new", "flip"),
    [
        ({"user": "v"}, "vars.y == user", "true", ("newly allowed", "subscribe", "x:{y}", "no_rule", "x:{y}/subscribe/1")),
        ({}, "vars.y == user", "false", ("newly denied", "subscribe", "x:{y}", "x:{y}/subscribe/1", "no_rule")),
        ({}, "subscribe when", "subscribe as own when", ("another rule", "subscribe", "x:{y}", "x:{y}/subscribe/1", "x:{y}/subscribe/own")),
        (
            {"op": "publish", "data": {}},
            ' schema "schemas/s.json"',
            " when false",
            ("another reason", "publish", "x:{y}", "schema", "no_rule"),
        ),
        ({}, 'channel "x:', 'channel "z:', ("newly denied", "subscribe", "(no pattern)", "x:{y}/subscribe/1", "no_channel")),
        (
            {"op": "publish", "user": None, "service": "shop", "method": "publish", "data": {"n": 1}},
            "data.n == 1",
            "data.n == 2",
            ("newly denied", "publish", "service shop", "service/shop/publish/1", "no_rule"),
        ),
        (
            {"op": "rpc", "channel": None, "method": "r", "data": {"secret": "s"}},
            'data.secret == "s"',
            "false",
            ("newly denied", "rpc", "r", "rpc/r/1", "no_rule"),
        ),
    ],
)
def test_a_flip_is_counted_by_rule_and_pattern(asked: dict[str, Any], old: str, new: str, flip: tuple[str, ...]) -> None:
    assert told(logged(**asked), files(old, new)) == [flip]
    assert told(logged(**asked), files(old, new), FILES) == [flip]


def test_who_was_over_the_limit_was_allowed_by_the_policy() -> None:
    entry = json.loads(logged())
    entry["decision"] = {"effect": "deny", "reason": "limit", "rule": "x:{y}/subscribe/1"}
    assert told(json.dumps(entry).encode()) == []


def test_a_decision_of_no_policy_is_passed_over() -> None:
    tally = counted(json.dumps({**json.loads(logged()), "revision": ""}).encode())
    assert (tally.read, tally.passed, tally.same) == (1, 1, 0)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, "the log lacks what the fact account was"),
        ({'account("u")': {"suspended": "no"}}, "the log lacks what the fact account was"),
    ],
)
def test_a_fact_that_the_log_lacks_makes_it_unknown(facts: dict[str, object], why: str) -> None:
    entry = json.loads(logged())
    entry["request"]["facts"] = facts
    assert [(flip[0], flip[4]) for flip in told(json.dumps(entry).encode())] == [("unknown", why)]


def test_a_fact_that_was_lost_is_lost_again() -> None:
    raw = logged(facts={'account("u")': {"$error": "away"}})
    assert told(raw) == []


def test_a_fact_of_another_source_is_unknown() -> None:
    moved = files('python "app:account"', 'python "app:other"')
    assert [flip[0] for flip in told(logged(), moved, FILES)] == ["unknown"]


@pytest.mark.parametrize(
    ("mask", "asked", "why"),
    [
        ("data.secret", {"op": "rpc", "channel": None, "method": "r", "data": {"secret": "s"}}, "data.secret is masked"),
        ("data.text", {"op": "publish", "data": {"n": 5, "text": "t"}}, "data is masked, which a schema looks at"),
        ("meta.tags", {"meta": {"role": "a", "tags": ["t"]}, "op": "history"}, ""),
        ("account.note", {}, ""),
        ("account.suspended", {}, "the log lacks what the fact account was"),
        ("data.text", {"op": "publish", "data": {"n": 1, "text": "t"}}, ""),
        ("data.text", {"op": "publish", "user": "s", "data": {"text": "t"}}, ""),
    ],
)
def test_what_looks_at_something_masked_is_unknown(mask: str, asked: dict[str, Any], why: str) -> None:
    facts: dict[str, object] = {'account("s")': {"suspended": True, "note": "n"}, 'account("u")': PLAIN["account"], "ok(true)": True}
    raw = logged(mask, facts, **asked)
    assert b'"***"' in raw
    assert [(flip[0], flip[4]) for flip in told(raw)] == ([("unknown", why)] if why else [])


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ('meta.role == "a"', "meta is masked"),
        ("size(data.list) == 1", "a masked part is looked at"),
        ('data == {"list": ["***"]}', "a masked part is looked at"),
        ('data.list.exists(x, x == "t")', "x is masked"),
        ("has(data.list)", ""),
        ('"***" == "***"', ""),
    ],
)
def test_a_whole_that_holds_something_masked_is_not_compared_either(condition: str, why: str) -> None:
    asked: dict[str, Any] = {"op": "rpc", "channel": None, "method": "r", "data": {"list": ["***"]}, "meta": {"role": "a", "tags": "***"}}
    other = files('data.secret == "s"', condition)
    found = [flip[4] for flip in told(logged(**asked), other)]
    assert (found == [why]) if why else (found == ["rpc/r/1"])


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"nonsense", b'{"request": {"op": "x"}, "decision": {}, "revision": "r"}'])
def test_a_line_that_is_no_decision_is_counted(raw: bytes) -> None:
    tally = counted((raw or b" ") + b"\n" + logged())
    assert (tally.read, tally.unreadable, tally.first) == (1, 1, 1)
    assert flips.summary(tally) == "1 decisions, 1 the same, 1 lines cannot be read, the first is 1"


@pytest.mark.parametrize("change", [{"effect": "perhaps"}, {"reason": None}, {"rule": 5}])
def test_a_decision_of_another_kind_is_no_decision(change: dict[str, object]) -> None:
    entry = json.loads(logged())
    assert counted(json.dumps({**entry, "decision": {**entry["decision"], **change}}).encode()).unreadable == 1
    assert counted(json.dumps({**entry, "revision": 5}).encode()).unreadable == 1


def test_a_long_log_is_read_in_parts_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LONGEST", 2000)
    raw = b"".join([logged(), b"\n", b"nonsense\n", logged(user="v"), b"x" * 5000 + b"\n", logged(user="w"), b"y" * 2500])
    whole, opened = tmp_path / "log", files("vars.y == user", "true")
    whole.write_bytes(raw)
    one = replay.replay(whole, opened, progress=lambda _done, _all: None)
    for size in (37, 700, 2000, 4000):
        joined = Tally()
        replay._prepare(opened, None)
        for start in range(0, len(raw), size):
            joined.join(replay.chunk(whole, start, size))
        assert joined == one
    assert (one.read, one.same, one.unreadable, one.first) == (3, 1, 3, 2)
    assert one.examples[next(iter(one.flips))] == [(3, "user v subscribe x:u"), (5, "user w subscribe x:u")]


def test_several_processes_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "log"
    whole.write_bytes(logged(user="v") * 10)
    monkeypatch.setattr(replay, "CHUNK", whole.stat().st_size // 2 + 1)
    done: list[int] = []
    tally = replay.replay(whole, files("vars.y == user", "true"), FILES, progress=lambda now, _all: done.append(now))
    assert (tally.read, sum(tally.flips.values())) == (10, 10)
    assert done[-1] == whole.stat().st_size


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(logged() * 3)))
    assert replay.replay(None, FILES, FILES, progress=lambda _done, _all: None).same == 3


def test_a_policy_that_does_not_load_is_said() -> None:
    with pytest.raises(SetupFault, match="cannot be used"):
        replay.replay(None, {}, progress=lambda _done, _all: None)


def test_many_kinds_of_flips_are_cut() -> None:
    tally = Tally()
    for number in range(flips.ROWS + 2):
        tally.note(flips.Flip(verdict="newly allowed", operation="subscribe", target=f"t{number}", before="a", after="b"), 1, "e")
    assert "and 2 more kinds of flips" in [str(each) for each in flips.as_lines(tally)]
    assert flips.as_markdown(Tally()).startswith("**Logged decisions:** 0 decisions")
