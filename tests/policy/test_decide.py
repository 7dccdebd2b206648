"""The order of a decision, the facts it asks for, and that nothing inside it can become a grant."""

import dataclasses

import pytest

from proxy.policy.deciding.decide import Decision
from proxy.policy.decision import UNCHANGED, Allow, Deny, FactKey, Forwarding, Known, Lost, NeedFacts, Reading, Request
from tests.policy.policies import ACCOUNT, Facts, known, policy

MEMBER = 'fact member(doc: string, uid: string) -> { role: string }? { python "app:member"; timeout 50ms; }\n'
BOSS = 'fact boss(uid: string) -> string { python "app:boss"; timeout 50ms; }\n'
INTEGER = '{"properties": {"n": {"type": "integer"}}, "type": "object", "required": ["n"]}'
ANN: FactKey = ("account", "ann")


def subscribe(channel: str, user: str = "ann") -> Request:
    return Request(op="subscribe", user=user, channel=channel)


def needs(found: object) -> frozenset[FactKey]:
    assert isinstance(found, NeedFacts)
    return found.keys


def test_independent_facts_are_asked_for_together() -> None:
    rules = policy(
        f"{ACCOUNT}{MEMBER}let me = account(user);\ndeny unknown when me == null;\ndeny suspended when me.suspended;\n"
        'channel "doc-{d}" { let m = member(vars.d, user); allow subscribe when m != null && m.role == "x"; }'
    )
    assert needs(rules.decide(subscribe("doc-7"), Facts())) == {ANN, ("member", "7", "ann")}


def test_nothing_is_asked_for_behind_a_certain_denial() -> None:
    rules = policy(
        f'{ACCOUNT}{MEMBER}deny odd when user == "odd";\nlet me = account(user);\n'
        'channel "doc-{d}" { deny shut when vars.d == "0"; allow subscribe when me != null && member(vars.d, user) != null; }'
    )
    assert isinstance(rules.decide(subscribe("doc-7", "odd"), Facts()), Deny)
    assert isinstance(rules.decide(subscribe("doc-0"), Facts()), Deny)


def test_what_a_condition_skips_is_not_asked_for() -> None:
    rules = policy(f'{ACCOUNT}channel "c" {{ allow subscribe when user == "bob" && account(user) != null; }}')
    found = rules.decide(subscribe("c"), Facts())
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"


def test_rules_behind_an_open_one_are_looked_at_but_not_behind_a_certain_one() -> None:
    rules = policy(
        f"{ACCOUNT}{MEMBER}{BOSS}"
        'channel "c" { allow subscribe as a when account(user) != null; allow subscribe as b when member("1", user) != null;'
        ' allow subscribe as c when user == "ann"; allow subscribe as d when boss(user) == "z"; }'
    )
    assert needs(rules.decide(subscribe("c"), Facts())) == {ANN, ("member", "1", "ann")}


def test_the_facts_of_obligations_are_asked_for_ahead() -> None:
    rules = policy(
        f'{ACCOUNT}{BOSS}channel "c" {{ allow subscribe when account(user) != null info = boss(user) data = account(user) != null; }}'
    )
    assert needs(rules.decide(subscribe("c"), Facts())) == {ANN, ("boss", "ann")}


def test_an_obligation_that_cannot_succeed_ends_the_looking_ahead() -> None:
    rules = policy(f'{ACCOUNT}{BOSS}channel "c" {{ allow subscribe when account(user) != null info = 1 / 0 data = boss(user); }}')
    assert needs(rules.decide(subscribe("c"), Facts())) == {ANN}


def test_a_fact_that_needs_another_is_asked_for_in_the_next_round() -> None:
    rules = policy(f'{ACCOUNT}{BOSS}channel "c" {{ allow subscribe when account(boss(user)) != null; }}')
    assert needs(rules.decide(subscribe("c"), Facts())) == {("boss", "ann")}
    assert needs(rules.decide(subscribe("c"), known({("boss", "ann"): "zoe"}))) == {("account", "zoe")}


@pytest.mark.parametrize(
    "condition",
    [
        'account(user) != null && user == "no"',
        'account(user) != null || user == "no"',
        'account(user) != null ? user == "a" : user == "b"',
        'account(user) != null ? boss("x") == "a" : boss("x") == "b"',
        "[account(user) != null, true] == [true, 1 == 1]",
        "[account(user) != null].exists_one(x, x)",
        "[account(user) != null].exists(x, x)",
        "size([account(user) != null]) + 1 / 0 == 1",
    ],
)
def test_an_open_part_keeps_the_whole_open(condition: str) -> None:
    rules = policy(f'{ACCOUNT}{BOSS}channel "c" {{ allow subscribe when {condition}; }}')
    assert ANN in needs(rules.decide(subscribe("c"), Facts()))


def test_connect_asks_for_the_facts_of_its_channels_at_once() -> None:
    rules = policy(
        f"{ACCOUNT}{MEMBER}{BOSS}"
        'connect { allow when account(user) != null; subscribe "doc-7"; subscribe boss(user); data = boss("x"); }\n'
        'channel "doc-{d}" { allow subscribe when member(vars.d, user) != null; }'
    )
    request = Request(op="connect", user="ann")
    assert needs(rules.decide(request, Facts())) == {ANN, ("member", "7", "ann"), ("boss", "ann"), ("boss", "x")}


def test_a_refresh_is_decided_as_connect_but_without_subscriptions() -> None:
    rules = policy('connect { allow when op == "connect"; subscribe "c"; expire 1h jitter 10%; }\nchannel "c" { allow subscribe; }')
    found = rules.decide(Request(op="refresh", user="ann"), Facts())
    assert isinstance(found, Allow)
    assert (found.channels, found.expire_ms, found.jitter) == (None, 3_600_000, 10)


def test_a_sub_refresh_is_decided_as_subscribe() -> None:
    rules = policy('channel "c" { allow subscribe when op == "subscribe" expire 5m; }')
    found = rules.decide(Request(op="sub_refresh", user="ann", channel="c"), Facts())
    assert isinstance(found, Allow)
    assert found.rule == "c/subscribe/1"


def test_channels_of_a_connect_that_are_refused_are_left_out_with_their_reasons() -> None:
    rules = policy(
        f'{BOSS}connect {{ allow; subscribe "a"; subscribe "b"; subscribe "b"; subscribe boss(user); subscribe string(1 / 0); }}\n'
        'channel "a" { allow subscribe; }'
    )
    found = rules.decide(Request(op="connect", user="ann"), Facts({("boss", "ann"): Lost(why="down")}))
    assert isinstance(found, Allow)
    assert found.channels is not None
    assert found.left_out is not None
    assert list(found.channels) == ["a"]
    assert [deny.reason for deny in found.left_out.values()] == ["no_channel", "fact_error", "error"]


def test_connect_data_that_loses_a_fact_refuses() -> None:
    rules = policy(f"{BOSS}connect {{ allow; data = boss(user); }}")
    found = rules.decide(Request(op="connect", user="ann"), Facts({("boss", "ann"): Lost(why="down")}))
    assert isinstance(found, Deny)
    assert found.reason == "fact_error"


def test_an_answer_that_loses_a_fact_refuses() -> None:
    rules = policy(f'{BOSS}rpc "m" {{ allow; answer = boss(user); }}')
    found = rules.decide(Request(op="rpc", user="ann", method="m"), Facts({("boss", "ann"): Lost(why="down")}))
    assert isinstance(found, Deny)
    assert found.reason == "fact_error"


def test_an_answer_asks_for_its_facts_with_those_of_the_rule() -> None:
    rules = policy(
        f'{ACCOUNT}{BOSS}rpc "m" {{ allow when account(user) != null; answer presence boss(user); }}\nchannel "c" {{ allow presence; }}'
    )
    request = Request(op="rpc", user="ann", method="m")
    assert needs(rules.decide(request, Facts())) == {ANN, ("boss", "ann")}
    assert needs(rules.decide(request, known({("boss", "ann"): "c"}))) == {ANN}
    found = rules.decide(request, known({("boss", "ann"): "c", ANN: {"roles": [], "suspended": False, "boss": None}}))
    assert isinstance(found, Allow)
    assert found.answer == Reading(kind="presence", channel="c", limit=None)


def test_an_answer_that_is_a_value_asks_for_its_facts_too() -> None:
    rules = policy(f'{ACCOUNT}{BOSS}rpc "m" {{ allow when account(user) != null; answer = boss(user); }}')
    request = Request(op="rpc", user="ann", method="m")
    assert needs(rules.decide(request, known({("boss", "ann"): "z"}))) == {ANN}


def test_an_allowed_rpc_says_where_it_is_forwarded_to() -> None:
    rules = policy('http app { base env APP; }\nrpc "m" { allow; forward app POST "/m"; }')
    found = rules.decide(Request(op="rpc", user="ann", method="m"), Facts())
    assert isinstance(found, Allow)
    assert found.answer == Forwarding(remote="app", path="/m")


def test_a_forwarded_rpc_waits_for_the_facts_of_its_rule() -> None:
    rules = policy(f'{ACCOUNT}http app {{ base env APP; }}\nrpc "m" {{ allow when account(user) != null; forward app POST "/m"; }}')
    assert needs(rules.decide(Request(op="rpc", user="ann", method="m"), Facts())) == {ANN}


@pytest.mark.parametrize("text", ["deny x on publish when data.a == 1;", "", 'channel "d" { allow subscribe; }'])
def test_a_payload_that_reads_two_ways_fails_as_by_a_schema_where_it_is_looked_at(text: str) -> None:
    rules = policy(f'{text}\nchannel "c" {{ allow publish when data.a == 1 || true; }}')
    request = Request(op="publish", user="ann", channel="c", data={"a": 2}, ambiguous=True)
    found = rules.decide(request, Facts())
    assert isinstance(found, Deny)
    assert found.reason == "schema"
    assert isinstance(rules.decide(dataclasses.replace(request, ambiguous=False), Facts()), Allow)


def test_a_payload_that_nobody_looks_at_stays_as_it_is() -> None:
    rules = policy('channel "c" { allow publish; }')
    found = rules.decide(Request(op="publish", user="ann", channel="c", data={"a": 1}, ambiguous=True), Facts())
    assert isinstance(found, Allow)
    assert found.data is UNCHANGED


def test_a_payload_that_was_looked_at_is_passed_on() -> None:
    rules = policy('channel "c" { allow publish when data.a == 1; }')
    found = rules.decide(Request(op="publish", user="ann", channel="c", data={"a": 1}), Facts())
    assert isinstance(found, Allow)
    assert found.data == {"a": 1}


def test_a_limit_by_something_the_request_lacks_removes_its_rule() -> None:
    rules = policy('channel "c" { allow subscribe limit 1/1s per client; }')
    assert isinstance(rules.decide(subscribe("c"), Facts()), Deny)
    found = rules.decide(dataclasses.replace(subscribe("c"), client="x"), Facts())
    assert isinstance(found, Allow)
    assert found.limit is not None
    assert found.limit.key == ("x",)


def test_an_operation_nobody_knows_is_refused() -> None:
    rules = policy('channel "c" { allow subscribe; }')
    found = rules.decide(Request(op="shout", user="ann", channel="c"), Facts())
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"


def test_a_request_without_user_or_channel_is_refused() -> None:
    rules = policy('channel "c" { allow subscribe; }')
    assert isinstance(rules.decide(Request(op="subscribe", channel="c"), Facts()), Deny)
    assert isinstance(rules.decide(Request(op="subscribe", user="ann"), Facts()), Deny)


def test_a_method_nobody_knows_is_refused_for_a_service() -> None:
    rules = policy("service s { key env K; allow info; }")
    assert isinstance(rules.decide(Request(op="explode", service="s", method="explode"), Facts()), Deny)
    assert isinstance(rules.decide(Request(op="info", service="s", method="info"), Facts()), Allow)


def test_a_service_rule_of_a_pattern_needs_a_channel() -> None:
    rules = policy('service s { key env K; allow publish on "c:{x}"; }')
    assert isinstance(rules.decide(Request(op="publish", service="s", method="publish"), Facts()), Deny)


def test_an_accepted_integer_that_does_not_fit_64_bits_fails_as_by_the_schema() -> None:
    rules = policy(
        'channel "c" { allow publish when data.n > 1 schema "schemas/n.json"; }',
        n=INTEGER,
    )
    found = rules.decide(Request(op="publish", user="ann", channel="c", data={"n": 1e30}), Facts())
    assert isinstance(found, Deny)
    assert (found.reason, found.rule) == ("schema", "c/publish/1")


def test_membership_is_looked_up_in_written_and_computed_lists() -> None:
    rules = policy('channel "c" { allow subscribe when user in ["ann", op] && user in ["ann"]; }')
    assert isinstance(rules.decide(subscribe("c"), Facts()), Allow)
    assert isinstance(rules.decide(subscribe("c", "bob"), Facts()), Deny)


def test_an_argument_whose_type_shows_only_now_must_fit() -> None:
    rules = policy(f'{ACCOUNT}channel "c" {{ allow subscribe when account(meta.boss) != null; }}')
    member = {"roles": [], "suspended": False, "boss": None}
    request = dataclasses.replace(subscribe("c"), meta={"boss": "zoe"})
    assert isinstance(rules.decide(request, known({("account", "zoe"): member})), Allow)
    found = rules.decide(dataclasses.replace(request, meta={"boss": 7}), known({}))
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"


class Broken:
    def get(self, key: FactKey, /) -> Known | Lost | None:
        raise RuntimeError(key)


def test_whatever_breaks_inside_denies() -> None:
    rules = policy(f'{ACCOUNT}channel "c" {{ allow subscribe when account(user) == null || true; }}')
    found = rules.decide(subscribe("c"), Broken())
    assert isinstance(found, Deny)
    assert (found.reason, found.detail) == ("error", "RuntimeError")


def test_a_watched_decision_shows_every_part_and_decides_alike() -> None:
    rules = policy(f'{ACCOUNT}let me = account(user);\nchannel "c" {{ allow subscribe when me != null && "a" in me.roles; }}')
    facts = known({ANN: {"roles": ["a"], "suspended": False, "boss": None}})
    seen: list[object] = []
    found = Decision(rules.decider, subscribe("c"), facts, {}, lambda _, outcome: seen.append(outcome)).decide()
    assert isinstance(found, Allow)
    assert seen.count(True) == 3
    assert {"roles": ["a"], "suspended": False, "boss": None} in seen


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"op": "subscribe", "user": "1", "channel": "c"}, 'channel "c" { allow subscribe when client != "x"; }'),
        ({"op": "subscribe", "user": "1", "channel": "c"}, 'channel "c" { allow subscribe when transport != "x"; }'),
        ({"op": "subscribe", "user": "1", "channel": "c"}, 'channel "c" { allow subscribe when timestamp_ms != 1; }'),
        ({"op": "map_publish", "user": "1", "channel": "c"}, 'channel "c" { allow map_publish when key != "x"; }'),
        ({"op": "publish", "service": "s"}, 'service s { key env K; allow publish when channel != "x"; }'),
    ],
)
def test_what_a_request_does_not_have_is_no_value_to_compare(asked: dict[str, str], text: str) -> None:
    found = policy(text).decide(Request(**asked), known({}))  # type: ignore[arg-type]  # fields by name
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"


def test_what_was_found_is_the_same_whatever_invalidates_it() -> None:
    assert Known(value=1, topics=("a",)) == Known(value=1) != Known(value=2)
    assert Lost(why="timeout", topics=("a",)) == Lost(why="timeout") != Lost(why="stopped")
