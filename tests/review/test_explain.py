"""One decision explained: what it holds, how it reads, and what a running service knows."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from proxy.errors import Malformed
from proxy.gate import ROUNDS, Gate
from proxy.policy.decision import FactKey, Known, Limit, Lost
from proxy.policy.policy import Policy
from proxy.review.explain import UNLIKE, Explainer, Explanation, as_lines
from tests.policy.policies import policy

NOW = 1_700_000_000_000
RULES = policy(
    """
    database main { url env URL; }
    http app { base env APP; }
    fact account(uid: string) -> { suspended: bool }? { sql main "select suspended from a where id = :uid"; }
    fact role(doc: string, uid: string) -> string { http app GET "/role/{doc}/{uid}"; }
    fact age(uid: string) -> int { python "app:age"; timeout 50ms; }
    deny suspended when account(user) != null && account(user).suspended;
    connect { allow; subscribe "own#" + user; subscribe "nowhere"; data = {"hello": user}; }
    channel "own#{uid}" { allow subscribe when vars.uid == user expire 5m; }
    channel "doc-{d}" {
      allow subscribe when role(vars.d, user) == "editor" info = {"age": age(user)} limit 1/1s;
      allow publish when data.n > 1 stamp by = user tags {"n": "1"} idempotency "k" skip_history;
      allow history when timestamp_ms > 5;
    }
    rpc "sum" { allow; answer = data.a + 1; }
    service shop { key env K; allow publish on "own#{uid}" when vars.uid == "1"; }
    """
)
ACCOUNT: FactKey = ("account", "1")
ROLE: FactKey = ("role", "7", "1")
AGE: FactKey = ("age", "1")
KNOWN: Mapping[FactKey, Known | Lost] = {
    ACCOUNT: Known(value=None, at_ms=NOW - 1500),
    ROLE: Known(value="editor"),
    AGE: Known(value=30, at_ms=NOW),
}


class Source:
    """Facts at hand, and others that are loaded."""

    def __init__(self, near: Mapping[FactKey, Known | Lost] = KNOWN, far: Mapping[FactKey, Known | Lost] | None = None) -> None:
        self._near, self._far = near, far or {}
        self.loads: list[frozenset[FactKey]] = []
        self.looks: dict[FactKey, int] = {}

    def get(self, key: FactKey, /) -> Known | Lost | None:
        self.looks[key] = self.looks.get(key, 0) + 1
        return self._near.get(key)

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        self.loads.append(frozenset(keys))
        return {key: self._far[key] for key in keys if key in self._far}


class Tokens:
    """Limits that must not be asked."""

    def take(self, _limit: Limit) -> bool:
        raise AssertionError


async def told(source: Source | None = None, rules: Policy = RULES, barred: Collection[str | None] = (), **asked: object) -> Explanation:
    gate = Gate(policy=rules, source=source or Source(), limits=Tokens(), barred=barred)
    return await Explainer(gate, lambda: NOW).explain({"user": "1", **asked})


def text(found: Explanation) -> list[str]:
    return [line.plain for line in as_lines(found)]


async def test_an_explanation_holds_all_that_led_to_the_decision() -> None:
    found = await told(op="subscribe", channel="doc-7", headers={"cookie": "secret"})
    looks = found.pop("trace")  # type: ignore[misc]
    assert [(look["rule"], look["verdict"]) for look in looks] == [
        ("deny/suspended", "does not hold"),
        ("doc-{d}/subscribe/1", "allows"),
    ]
    assert found == {
        "request": {"op": "subscribe", "user": "1", "channel": "doc-7"},
        "revision": RULES.revision,
        "decision": {
            "effect": "allow",
            "reason": "allowed",
            "rule": "doc-{d}/subscribe/1",
            "at": "p.policy:12",
            "limit": {"rate": 1, "per_ms": 1000, "burst": 1, "key": ["1"]},
            "facts": ['account("1")', 'role("7","1")', 'age("1")'],
            "info": {"age": 30},
        },
        "detail": "",
        "pattern": "doc-{d}",
        "variables": {"d": "7"},
        "facts": [
            {"fact": 'account("1")', "value": None, "error": None, "source": "sql main", "age_ms": 1500},
            {"fact": 'role("7","1")', "value": "editor", "error": None, "source": "http app GET /role/{doc}/{uid}", "age_ms": None},
            {"fact": 'age("1")', "value": 30, "error": None, "source": "python app:age", "age_ms": 0},
        ],
        "channels": {},
        "notes": [],
    }


async def test_it_reads_from_the_decision_over_the_way_to_the_facts() -> None:
    assert text(await told(op="subscribe", channel="doc-7")) == [
        'user "1" subscribe doc-7',
        "allow by doc-{d}/subscribe/1 (p.policy:12)",
        '  info {"age": 30}',
        '  limit {"rate": 1, "per_ms": 1000, "burst": 1, "key": ["1"]}',
        'pattern doc-{d}  d = "7"',
        "deny deny/suspended  p.policy:8  does not hold",
        "  account(user) != null && account(user).suspended  false",
        "    account(user) != null  false",
        "      account(user)  null",
        '        user  "1"',
        "allow doc-{d}/subscribe/1  p.policy:12  allows",
        '  role(vars.d, user) == "editor"  true',
        '    role(vars.d, user)  "editor"',
        '      vars.d  "7"',
        '      user  "1"',
        '  {"age": age(user)}  {"age": 30}',
        "    age(user)  30",
        '      user  "1"',
        'fact account("1") = null  (sql main, 1.5 s old)',
        'fact role("7","1") = "editor"  (http app GET /role/{doc}/{uid})',
        'fact age("1") = 30  (python app:age, 0.0 s old)',
    ]


async def test_what_allows_is_green_and_what_refuses_red() -> None:
    def styles(found: Explanation) -> set[tuple[str, str]]:
        return {
            (line.plain[span.start : span.end].partition(":")[0], str(span.style)) for line in as_lines(found) for span in line.spans
        } - {("on ", "dim"), ("pattern ", "dim")}

    assert {("allow", "green"), ("allows", "green")} <= styles(await told(op="subscribe", channel="own#1"))
    assert ("is given", "green") in styles(await told(op="rpc", method="sum", data={"a": 1}))
    refused = styles(await told(Source({ACCOUNT: Known(value={"suspended": True})}), op="subscribe", channel="own#1"))
    assert {("deny because suspended", "red"), ("refuses", "red")} <= refused


async def test_all_that_a_rule_gives_is_named() -> None:
    lines = text(await told(op="publish", channel="doc-7", data={"n": 2}))
    assert lines[2:7] == [
        '  data {"n": 2, "by": "1"}',
        '  tags {"n": "1"}',
        "  skip_history true",
        '  idempotency_key "k"',
        'pattern doc-{d}  d = "7"',
    ]
    assert "  expire_ms 300000" in text(await told(op="subscribe", channel="own#1"))


async def test_a_refusal_says_what_was_wrong() -> None:
    found = await told(op="rpc", method="sum", data=1)
    assert (found["decision"]["reason"], found["detail"]) == ("error", "int has no members")
    assert text(found)[:2] == ['user "1" rpc sum', "deny because error (int has no members)"]
    found = await told(op="history", channel="doc-7", timestamp_ms=5)
    assert text(found)[1] == "deny because no_rule"


async def test_the_subscriptions_of_a_connect_are_decisions_of_their_own() -> None:
    found = await told(op="connect")
    assert found["channels"] == {
        "own#1": {"effect": "allow", "reason": "allowed", "rule": "own#{uid}/subscribe/1", "at": "p.policy:10", "expire_ms": 300000},
        "nowhere": {"effect": "deny", "reason": "no_channel"},
    }
    assert text(found)[0] == 'user "1" connect'
    assert text(found)[-2:] == [
        "subscribe own#1  allow by own#{uid}/subscribe/1 (p.policy:10)",
        "subscribe nowhere  deny because no_channel",
    ]


async def test_who_asks_and_for_what_is_said_in_one_line() -> None:
    assert text(await told(op="rpc", method="sum"))[0] == 'user "1" rpc sum'
    assert text(await told(op="subscribe", channel="own#\u202e"))[0] == 'user "1" subscribe own#\ufffd'
    found = await told(service="shop", method="publish", user=None, channel="own#1")
    assert (found["request"], found["pattern"]) == ({"op": "publish", "service": "shop", "channel": "own#1", "method": "publish"}, None)
    assert text(found)[0] == "service shop publish own#1"
    assert text(found)[3] == '  on own#{uid}  uid = "1"'


async def test_a_request_is_made_now_unless_it_says_when() -> None:
    assert (await told(op="history", channel="doc-7"))["decision"]["effect"] == "allow"
    assert (await told(op="history", channel="doc-7", timestamp_ms=5))["decision"]["effect"] == "deny"


async def test_a_request_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed, match='"op" must name an operation'):
        await told(op="nothing")


async def test_what_is_not_at_hand_is_loaded_and_what_is_lost_says_why() -> None:
    source = Source({}, {ACCOUNT: Known(value=None, at_ms=NOW - 10), ROLE: Lost(why="late\n")})
    found = await told(source, op="subscribe", channel="doc-7")
    assert source.loads == [frozenset((ACCOUNT, ROLE, AGE))]
    assert [fact["error"] for fact in found["facts"]] == [None, "late\n"]
    assert text(found)[-1] == 'fact role("7","1") = lost: late\ufffd  (http app GET /role/{doc}/{uid})'


async def test_a_fact_at_hand_is_looked_at_once_so_that_decision_and_trace_see_the_same() -> None:
    source = Source({ACCOUNT: Known(value=None), AGE: Known(value=1)}, {ROLE: Known(value="editor")})
    assert (await told(source, op="subscribe", channel="doc-7"))["decision"]["info"] == {"age": 1}
    assert (source.looks[ACCOUNT], source.looks[AGE], source.loads) == (1, 1, [frozenset((ROLE,))])


CHAIN = policy(
    'fact next(uid: string) -> string { python "app:next"; timeout 50ms; invalidate on "a:{uid}"; }\n'
    'channel "c" { allow subscribe when next(next(next(next("0")))) == "4"; }'
)


async def test_facts_may_need_facts_as_often_as_the_gate_loads_them() -> None:
    source = Source({}, {("next", str(n)): Known(value=str(n + 1)) for n in range(9)})
    assert (await told(source, CHAIN, op="subscribe", channel="c"))["decision"]["effect"] == "allow"
    assert source.loads == [frozenset((("next", str(n)),)) for n in range(ROUNDS)]


async def test_a_fact_that_never_comes_is_lost() -> None:
    source = Source({("next", "0"): Known(value="1")})
    found = await told(source, CHAIN, op="subscribe", channel="c")
    assert len(source.loads) == ROUNDS
    assert (found["decision"]["effect"], found["decision"]["reason"]) == ("deny", "fact_error")
    assert [(fact["fact"], fact["value"], fact["error"]) for fact in found["facts"]] == [
        ('next("0")', "1", None),
        ('next("1")', None, "not loaded"),
    ]


async def test_a_blocked_user_is_refused_whatever_the_policy_says() -> None:
    source = Source()
    found = await told(source, barred=["1"], op="subscribe", channel="own#1")
    assert found["decision"] == {"effect": "deny", "reason": "blocked", "facts": []}
    assert found["revision"] == RULES.revision
    assert source.looks == {}
    assert text(found) == ['user "1" subscribe own#1', "deny because blocked", "note: the user is blocked, whatever the policy says"]


@pytest.mark.parametrize(
    "change",
    [
        {"decision": {}},
        {"decision": []},
        {"request": 1},
        {"trace": [{"verdict": 1}]},
        {"facts": [{"fact": "f", "value": 1, "error": None, "source": "", "age_ms": 10**400}]},
        {"facts": ["x"]},
        {"notes": [1]},
        {"variables": 7},
    ],
)
async def test_an_object_that_is_no_explanation_is_told_apart(change: Mapping[str, object]) -> None:
    found: Any = {**await told(op="subscribe", channel="own#1"), **change}
    with pytest.raises(UNLIKE):
        text(found)


async def test_an_explanation_is_the_same_after_it_was_sent() -> None:
    found = await told(op="connect")
    assert json.loads(json.dumps(found)) == found
