"""The way to a decision: what was looked at, with the value of each part."""

import json

import pytest

from proxy.errors import Malformed
from proxy.policy.decision import Allow, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.load import load
from proxy.review import lines as requests
from proxy.review.trace import Trace, facts, members, trace, tree
from tests.policy.policies import Facts
from tests.policy.policies import policy as compiled
from tests.policy.test_conformance import CASES, SETS, read
from tests.review.scene import expecting, files, usable

POLICY = usable(files(""))
ACCOUNT: FactKey = ("account", "1")
FREE = Facts({ACCOUNT: Known(value=None), ("price", 1, True): Known(value=1.5)})


def told(request: Request, known: Facts = FREE) -> Trace:
    found = trace(POLICY.decider, request, known)
    assert isinstance(found, Trace)
    return found


def publish(channel: str, **given: object) -> Request:
    request = Request(op="publish", user="1", channel=channel, timestamp_ms=0)
    for name, value in given.items():
        setattr(request, name, value)
    return request


def test_denies_and_rules_stand_in_order_up_to_the_one_that_decides() -> None:
    found = told(publish("doc-1", data={"kind": "any"}))
    assert [(look.kind, look.id, look.at, look.verdict) for look in found.looks] == [
        ("deny", "deny/suspended", "p.policy:8", "does not hold"),
        ("deny", "deny/closed", "p.policy:9", "does not hold"),
        ("deny", "doc-{d}/deny/locked", "p.policy:20", "does not hold"),
        ("allow", "doc-{d}/publish/editors", "p.policy:22", "does not hold"),
        ("allow", "doc-{d}/publish/anything", "p.policy:23", "allows"),
    ]
    assert isinstance(found.found, Allow)


def test_each_part_that_was_evaluated_has_its_value() -> None:
    lines = [*tree(told(publish("doc-1", meta={"role": "editor"}, data={"kind": "bot"})))]
    assert lines == [
        "deny deny/suspended  p.policy:8  does not hold",
        "  me != null && me.suspended  false",
        "    me != null  false",
        "      me  null",
        "        account(user)  null",
        '          user  "1"',
        "deny deny/closed  p.policy:9  does not hold",
        "  timestamp_ms > 5  false",
        "    timestamp_ms  0",
        "deny doc-{d}/deny/locked  p.policy:20  does not hold",
        '  vars.d == "0"  false',
        '    vars.d  "1"',
        "allow doc-{d}/publish/editors  p.policy:22  does not hold",
        '  strong && !(data.kind == "bot")  false',
        "    strong  true",
        '      has(meta.role) && meta.role == "editor"  true',
        "        has(meta.role)  true",
        '        meta.role == "editor"  true',
        '          meta.role  "editor"',
        '    !(data.kind == "bot")  false',
        '      data.kind == "bot"  true',
        '        data.kind  "bot"',
        "allow doc-{d}/publish/anything  p.policy:23  does not hold",
        '  data.kind == "any"  false',
        '    data.kind  "bot"',
        'fact account("1") = null',
    ]


def test_a_deny_ends_the_way() -> None:
    known = Facts({ACCOUNT: Known(value={"suspended": True})})
    (look,) = told(publish("doc-1"), known).looks
    assert (look.id, look.verdict) == ("deny/suspended", "refuses: suspended")


def test_a_let_is_told_where_it_was_first_used() -> None:
    known = Facts({ACCOUNT: Known(value={"suspended": False})})
    first, *_ = told(publish("doc-1"), known).looks
    assert [*tree(Trace(found=told(publish("doc-1")).found, looks=(first,)))][1:6] == [
        "  me != null && me.suspended  false",
        "    me != null  true",
        '      me  {"suspended": false}',
        '        account(user)  {"suspended": false}',
        '          user  "1"',
    ]


def test_errors_and_lost_facts_are_outcomes() -> None:
    known = Facts({ACCOUNT: Lost(why="it\u202e failed")})
    found = told(publish("doc-1"), known)
    assert [look.verdict for look in found.looks] == ["refuses: fact_error"]
    assert [*tree(found)][1:] == [
        "  me != null && me.suspended  lost",
        "    me != null  lost",
        "      me  lost",
        "        account(user)  lost",
        '          user  "1"',
        'fact account("1") = lost: it\ufffd failed',
    ]
    found = told(publish("doc-1", data=1))
    assert [look.verdict for look in found.looks][3:] == ['refuses: schema (/: the value is not of type "object")', "errs"]
    assert [*tree(found)][-3:-1] == ['  data.kind == "any"  error: int has no members', "    data.kind  error: int has no members"]


def test_a_deny_that_errs_says_why() -> None:
    found = told(publish("doc-1", timestamp_ms=None))
    assert found.looks[-1].verdict == "refuses: error (this request has no timestamp_ms)"


def test_the_reply_of_a_rule_of_connect_ends_the_way() -> None:
    request = Request(op="connect", user="1", headers={"origin": "https://app"})
    assert [(look.kind, look.verdict) for look in told(request).looks] == [
        ("deny", "does not hold"),
        ("allow", "allows"),
        ("reply", "is given"),
    ]
    lost = told(request, Facts({**FREE, ("price", 1, True): Lost(why="x")}))
    assert [look.verdict for look in lost.looks] == ["does not hold", "allows", "refuses: fact_error"]
    assert [*tree(lost)][-5:-2] == [
        "reply connect/browsers  p.policy:15  refuses: fact_error",
        '  {"price": price(1, true)}  lost',
        "    price(1, true)  lost",
    ]


def test_a_limit_by_what_is_not_there_ends_the_way_of_connect() -> None:
    rules = compiled("connect { allow limit 1/1s per client; allow as other; data = user; }")
    found = trace(rules.decider, Request(op="connect", user="1"), Facts())
    assert isinstance(found, Trace)
    assert [look.verdict for look in found.looks] == ["refuses: error (the limit counts by something that this request does not have)"]


def test_rules_of_connect_that_err_are_passed_over() -> None:
    other = told(Request(op="refresh", user="1", version="0"))
    assert [look.verdict for look in other.looks] == ["does not hold", "errs", "errs"]


def test_rules_of_other_patterns_of_a_service_are_not_looked_at() -> None:
    request = Request(op="publish", service="shop", method="publish", channel="own#1", data={}, tags={"t": "x"})
    assert [(look.id, look.verdict) for look in told(request).looks] == [("service/shop/publish/1", "allows")]
    request.channel = "doc-1"
    assert told(request).looks == ()
    request.channel = None
    assert told(request).looks == ()
    request.op = "history"
    assert told(request).looks == ()


def test_the_pattern_of_a_channel_is_told_with_what_its_variables_are() -> None:
    found = told(publish("doc-1", data={"kind": "any"}))
    assert (found.pattern, found.variables) == ("doc-{d}", {"d": "1"})
    assert {(look.pattern, *look.variables) for look in found.looks} == {("",)}
    for other in (Request(op="connect", user="1"), Request(op="rpc", user="1", method="add", data={"n": 1}, channel="else")):
        assert (told(other).pattern, told(other).variables) == ("", {})


def test_a_rule_of_a_service_has_a_pattern_of_its_own() -> None:
    found = told(Request(op="publish", service="shop", method="publish", channel="own#1", data={}, tags={"t": "x"}))
    assert (found.pattern, found.variables) == ("", {})
    (look,) = found.looks
    assert (look.pattern, look.variables) == ("own#{uid}", {"uid": "1"})
    (glance,) = members(found)
    assert (glance["pattern"], glance["variables"]) == ("own#{uid}", {"uid": "1"})


def test_the_rpc_of_a_service_is_a_method_like_others() -> None:
    (look,) = told(Request(op="rpc", service="shop", method="rpc")).looks
    assert (look.id, look.verdict) == ("service/shop/rpc/1", "allows")


def test_payloads_that_cannot_be_stamped_do_not_fit() -> None:
    refused = told(publish("open-2", data=1, timestamp_ms=0))
    assert [look.verdict for look in refused.looks][2:] == ["does not fit: only an object can be stamped", "allows"]


def test_only_the_first_rule_that_refuses_is_named_so() -> None:
    rules = compiled(
        'channel "c" { allow publish when user == "1" schema "schemas/a.json"; allow publish when user == "2" schema "schemas/a.json"; }',
        a='{"type": "object"}',
    )
    found = trace(rules.decider, publish("c", data=1), Facts())
    assert isinstance(found, Trace)
    assert [look.verdict for look in found.looks] == [
        'refuses: schema (/: the value is not of type "object")',
        'does not fit: /: the value is not of type "object"',
    ]


def test_a_rule_behind_the_first_that_loses_a_fact_says_so_too() -> None:
    rules = compiled(
        'fact f(u: string) -> string { python "a:f"; timeout 50ms; }\n'
        'channel "c" { allow publish when f(user) == "1"; allow publish when f(user) == "2"; allow publish when user == "9"; }'
    )
    found = trace(rules.decider, publish("c"), Facts({("f", "1"): Lost(why="gone")}))
    assert isinstance(found, Trace)
    assert [look.verdict for look in found.looks] == ["refuses: fact_error", "lost a fact", "does not hold"]


def test_calls_and_subscriptions_are_traced_too() -> None:
    call = told(Request(op="rpc", user="1", method="add", data={"n": 1}))
    assert [look.id for look in call.looks] == ["deny/suspended", "rpc/add/1", "rpc/add/1"]
    assert [*tree(call)][-11:-1] == [
        "allow rpc/add/1  p.policy:28  allows",
        '  data.n > 0 ? user == "1" : true  true',
        "    data.n > 0  true",
        "      data.n  1",
        '    user == "1"  true',
        '      user  "1"',
        "reply rpc/add/1  p.policy:28  is given",
        '  {"n": data.n + 1}  {"n": 2}',
        "    data.n + 1  2",
        "      data.n  1",
    ]
    renewed = told(Request(op="sub_refresh", user="1", channel="own#1"))
    assert renewed.looks[-1].verdict == "allows"


def test_the_answer_of_a_call_is_told_whether_it_is_given_or_not() -> None:
    given = told(Request(op="rpc", user="1", method="add", data={"n": 1}))
    assert [(look.kind, look.verdict) for look in given.looks][1:] == [("allow", "allows"), ("reply", "is given")]
    refused = told(Request(op="rpc", user="1", method="sum", data=1))
    assert [(look.kind, look.verdict) for look in refused.looks][1:] == [
        ("allow", "allows"),
        ("reply", "refuses: error (int has no members)"),
    ]


def test_a_deny_that_refuses_only_what_the_answer_reads_did_not_hold_before() -> None:
    rules = compiled('deny odd when op == "presence"; channel "c" { allow presence; } rpc "p" { allow; answer presence "c"; }')
    found = trace(rules.decider, Request(op="rpc", user="1", method="p"), Facts())
    assert isinstance(found, Trace)
    assert [(look.kind, look.verdict) for look in found.looks] == [
        ("deny", "does not hold"),
        ("allow", "allows"),
        ("reply", "refuses: odd"),
    ]


def test_an_answer_that_is_forwarded_is_no_reply() -> None:
    rules = compiled(
        'http app { base env A; } rpc "f" { allow when user == "2" schema "schemas/a.json"; allow; forward app POST "/"; }', a="false"
    )
    found = trace(rules.decider, Request(op="rpc", user="1", method="f"), Facts())
    assert isinstance(found, Trace)
    assert [look.verdict for look in found.looks] == ["does not fit: /: False schema does not allow the value", "allows"]


def test_a_rule_that_does_not_fit_has_not_held() -> None:
    rules = compiled(
        'rpc "f" { allow schema "schemas/a.json"; allow when user == "2"; allow when user == "1"; answer = data.x; }',
        a='{"type": "object"}',
    )
    found = trace(rules.decider, Request(op="rpc", user="1", method="f", data=1), Facts())
    assert isinstance(found, Trace)
    assert [(look.kind, look.id) for look in found.looks] == [
        ("allow", "rpc/f/1"),
        ("allow", "rpc/f/2"),
        ("allow", "rpc/f/3"),
        ("reply", "rpc/f/3"),
    ]


def test_nothing_was_looked_at_where_the_request_comes_to_nothing() -> None:
    for request in (Request(op="rpc", user="1", method="x"), Request(op="publish"), publish("?"), publish("\n"), publish("own#")):
        assert told(request).looks == ()


def test_an_operation_that_no_channel_has_is_looked_at_by_denies_alone() -> None:
    assert told(Request(op="nothing", user="1", channel="own#1")).looks == ()


def test_missing_facts_are_asked_for() -> None:
    assert trace(POLICY.decider, publish("doc-1"), Facts()) == NeedFacts(keys=frozenset((ACCOUNT,)))


def test_macros_show_what_they_ran_over() -> None:
    rules = compiled('channel "c" { allow publish when data.exists(x, x == user) && !([1, 2].all(y, y < 2)); }')
    found = trace(rules.decider, publish("c", data=["0", "1"]), Facts())
    assert isinstance(found, Trace)
    assert [*tree(found)] == [
        "allow c/publish/1  p.policy:2  allows",
        "  data.exists(x, x == user) && !([1, 2].all(y, y < 2))  true",
        "    data.exists(x, x == user)  true",
        '      data  ["0", "1"]',
        "      x == user  false",
        '        x  "0"',
        '        user  "1"',
        "      x == user  true",
        '        x  "1"',
        '        user  "1"',
        "    !([1, 2].all(y, y < 2))  true",
        "      [1, 2].all(y, y < 2)  false",
        "        y < 2  true",
        "          y  1",
        "        y < 2  false",
        "          y  2",
    ]


def test_a_trace_is_json_too() -> None:
    found = told(publish("doc-0"))
    assert members(found)[2] == {
        "kind": "deny",
        "rule": "doc-{d}/deny/locked",
        "at": "p.policy:20",
        "verdict": "refuses: locked",
        "pattern": None,
        "variables": {},
        "steps": [
            {
                "expression": 'vars.d == "0"',
                "at": "p.policy:20:31",
                "result": "true",
                "steps": [{"expression": "vars.d", "at": "p.policy:20:31", "result": '"0"', "steps": []}],
            }
        ],
    }
    assert facts({ACCOUNT: Known(value=1), ("f",): Lost(why="x")}) == {'account("1")': 1, "f()": {"$error": "x"}}


def test_long_values_are_cut() -> None:
    (failure,) = expecting(f'deny publish "doc-1" data {{"kind": "any", "text": "{"x" * 300}"}};')
    assert not [line for line in tree(failure.told) if len(line) > 220]


@pytest.mark.parametrize("name", SETS)
def test_a_trace_ends_with_what_decided(name: str) -> None:
    policy = load(read(CASES / "decide" / name)).policy
    assert policy is not None
    for line in filter(str.strip, (CASES / "decide" / name / "requests.ndjson").read_text(encoding="utf-8").split("\n")):
        try:
            asked = requests.strict(line)
            request = requests.request(asked)
        except (Malformed, AttributeError):
            continue
        known = requests.Given(policy.facts, asked.get("facts") or {})
        found = trace(policy.decider, request, known)
        assert isinstance(found, Trace)
        assert found.found == policy.decide(request, known)
        json.dumps(members(found))
        verdicts = {(look.id, look.verdict.split(":")[0]) for look in found.looks}
        if isinstance(found.found, Allow):
            assert (found.found.rule, "allows") in verdicts
        elif found.looks and found.found.rule:
            assert found.looks[-1].kind == "reply" or (found.found.rule, "refuses") in verdicts
        assert len([look for look in found.looks if look.verdict == "allows"]) <= 1


def test_a_service_that_refreshes_connections_is_shown_its_rules() -> None:
    policy = compiled("service web { key env WEB_KEY; allow refresh; }")
    found = trace(policy.decider, Request(op="refresh", service="web"), FREE)
    assert isinstance(found, Trace)
    assert [look.verdict for look in found.looks] == ["allows"]
