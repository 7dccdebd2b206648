"""Lines of the decision log, explained as they would be decided now."""

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.errors import Malformed
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.policy import Policy
from proxy.review import logged
from proxy.review.explain import Explanation
from proxy.review.journal import Veil, line
from proxy.review.replay import LONGEST
from tests.policy.policies import policy

NOW = 1_700_000_000_000
RULES = """
database main { url env URL; }
fact account(uid: string) -> { level: int, name: string } { sql main "select level, name from a where id = :uid"; cache 1s; timeout 50ms; }
fact friend(uid: string) -> string? { sql main "select name from f where id = :uid"; cache 1s; timeout 50ms; }
channel "c:{x}" {
  allow subscribe when account(user).level > 1 expire 5m;
  allow publish when data.n > 1 || data.text == "x" limit 1/1s;
}
channel "d:{x}" { allow publish schema "schemas/any.json" limit 1/1s; }
service orders { key env KEY; allow publish on "c:{x}"; }
log { %s }
"""
ANY = '{"type": "object"}'
OPEN = policy(RULES % "sample allow 100%;", any=ANY)
VEILED = policy(RULES % "mask data.text, account.level;", any=ANY)
KEY: FactKey = ("account", "42")
ACCOUNT = Known(value={"level": 2, "name": "Ann"}, at_ms=NOW - 250)
SUBSCRIBE = Request(op="subscribe", user="42", channel="c:1", timestamp_ms=NOW)


def written(request: Request, rules: Policy = OPEN, decision: Allow | Deny | None = None) -> bytes:
    """The line of a decision as the service writes it."""
    found = decision or rules.decide(request, {KEY: ACCOUNT})
    assert isinstance(found, Allow | Deny)
    return line(request, found, NOW, Veil(rules.logging, rules.identities))


def told(raw: bytes, rules: Policy = OPEN) -> Explanation:
    return logged.read(raw).explained(rules, "line 1")


def test_a_line_is_explained_with_the_facts_of_its_moment() -> None:
    found = told(written(SUBSCRIBE))
    assert found["request"] == {"op": "subscribe", "user": "42", "channel": "c:1"}
    assert found["decision"]["rule"] == "c:{x}/subscribe/1"
    assert found["facts"] == [{"fact": 'account("42")', "value": ACCOUNT.value, "error": None, "source": "sql main", "age_ms": 250}]
    assert found["notes"] == ["line 1"]


def test_the_call_of_a_service_is_explained_too() -> None:
    found = told(written(Request(op="publish", service="orders", method="publish", channel="c:1", data=1, timestamp_ms=NOW)))
    assert (found["decision"]["rule"], found["notes"]) == ("service/orders/publish/1", ["line 1"])


def test_a_fact_without_an_age_has_none() -> None:
    entry = json.loads(written(SUBSCRIBE))
    entry["ages_ms"] = {}
    (fact,) = told(json.dumps(entry).encode())["facts"]
    assert (fact["value"], fact["age_ms"]) == (ACCOUNT.value, None)


def test_a_fact_that_was_lost_is_lost_again() -> None:
    found = OPEN.decide(SUBSCRIBE, {KEY: Lost(why="late")})
    assert isinstance(found, Deny)
    again = told(written(SUBSCRIBE, decision=found))
    assert [fact["error"] for fact in again["facts"]] == ["late"]
    assert again["notes"] == ["line 1"]


def test_a_fact_that_is_not_in_the_log_is_lost_even_where_its_type_has_null() -> None:
    other = policy(RULES.replace("account(user).level > 1", "account(user).level > 1 && friend(user) == null") % "", any=ANY)
    found = told(written(SUBSCRIBE), other)
    assert [(fact["fact"], fact["error"]) for fact in found["facts"]] == [('account("42")', None), ('friend("42")', "not in the log")]
    assert found["notes"] == [
        "line 1",
        f"the policy was another one then: {OPEN.revision}, now {other.revision}",
        "it was decided otherwise: allow because allowed by c:{x}/subscribe/1",
    ]


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Deny(reason="no_rule", revision=OPEN.revision), ["it was decided otherwise: deny because no_rule"]),
        (
            Deny(reason="limit", rule="c:{x}/subscribe/1", revision=OPEN.revision, facts={KEY: ACCOUNT}),
            ["it was decided otherwise: deny because limit by c:{x}/subscribe/1", "the limit was used up then; here nothing is counted"],
        ),
        (
            Deny(reason="blocked", revision="", facts={KEY: ACCOUNT}),
            [f"the policy was another one then: none, now {OPEN.revision}", "it was decided otherwise: deny because blocked"],
        ),
    ],
)
def test_what_was_decided_otherwise_is_said(decision: Deny, said: list[str]) -> None:
    assert told(written(SUBSCRIBE, decision=decision))["notes"] == ["line 1", *said]


@pytest.mark.parametrize(
    ("request_", "hidden"),
    [
        (Request(op="publish", user="42", channel="c:1", data={"n": 1, "text": "x"}), "data.text is masked"),
        (Request(op="publish", user="42", channel="c:1", data={"n": 2, "text": "x"}), ""),
        (Request(op="publish", user="42", channel="d:1", data={"text": "x"}), "data is masked, which a schema looks at"),
        (SUBSCRIBE, 'account("42") is masked'),
    ],
)
def test_a_decision_that_looks_at_what_is_masked_may_have_been_otherwise(request_: Request, hidden: str) -> None:
    notes = told(written(request_, VEILED), VEILED)["notes"]
    assert [note for note in notes if note.endswith("so that it may have been otherwise")] == (
        [f"{hidden}, so that it may have been otherwise"] if hidden else []
    )


def test_data_with_two_readings_has_them_still() -> None:
    found = Request(op="publish", user="42", channel="c:1", data={"n": 2}, ambiguous=True)
    raw = written(found)
    assert logged.read(raw).request.ambiguous
    assert not logged.read(written(Request(op="publish", user="42", channel="c:1", data={"n": 2}))).request.ambiguous
    assert told(raw)["notes"] == ["line 1"]


def _changed(change: Mapping[str, Any]) -> bytes:
    return json.dumps({**json.loads(written(SUBSCRIBE)), **change}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"nonsense",
        b"\xff",
        b"[]",
        b'"request"',
        b"[" * 5000,
        b"{}",
        _changed({"revision": 1}),
        _changed({"request": []}),
        _changed({"request": {"op": "subscribe"}}),
        _changed({"request": {"facts": []}}),
        _changed({"decision": {"effect": 1}}),
        _changed({"decision": "allow"}),
        _changed({"at_ms": "now"}),
        _changed({"at_ms": True}),
        _changed({"at_ms": 10**400}),
        _changed({"ages_ms": {"account": 1.5}}),
        _changed({"ages_ms": {"account": 2**63}}),
        _changed({"ages_ms": []}),
    ],
)
def test_what_is_no_line_of_this_version_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match=r"^this is no line of the decision log$"):
        logged.read(raw)


def test_a_request_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed, match='"op" must name an operation'):
        logged.read(_changed({"request": {"op": "nothing", "facts": {}}}))


def test_lines_that_are_too_long_are_empty_and_count() -> None:
    longest, long = b"x" * (LONGEST - 1) + b"\n", b"y" * LONGEST + b"\n"
    found = [*logged.lines(io.BytesIO(b"a\n" + long + longest + b"\n" + b"z" * (3 * LONGEST) + b"\nlast"))]
    assert found == [b"a\n", b"", longest, b"\n", b"", b"last"]
    assert [*logged.lines(io.BytesIO(b"z" * LONGEST))] == [b""]
