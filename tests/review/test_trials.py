"""Tests beside a policy: what is asked, what counts as met, what is no test."""

import pytest

from proxy.policy.decision import Deny
from proxy.policy.findings import MAX_ERRORS
from tests.review.scene import expecting, failures, faults, tried


def test_an_expectation_is_met_by_its_effect() -> None:
    assert expecting('allow history "own#1";', 'deny history "own#2";') == ()
    one, other = expecting('deny history "own#1";', 'allow history "own#2";')
    assert (one.found.reason, other.found.reason) == ("allowed", "no_rule")
    assert str(one.expectation.at) == "t.test.policy:2:21"


def test_a_rule_that_is_named_must_be_the_one_that_decides() -> None:
    allow = 'allow subscribe "doc-1" labels {"team": "red"} by '
    assert expecting(f'{allow}"doc-{{d}}/subscribe/labelled";', 'deny publish "doc-0" by "doc-{d}/deny/locked";') == ()
    assert len(expecting(f'{allow}"own#{{uid}}/subscribe/1";', 'deny publish "doc-0" by "deny/closed";')) == 2


def test_a_reason_that_is_named_must_be_the_one_given() -> None:
    assert expecting('deny publish "doc-0" because locked;', 'deny history "x" because no_channel;') == ()
    assert len(expecting('deny publish "doc-0" because no_rule;')) == 1


def test_stamps_are_members_of_the_payload_that_goes_out() -> None:
    allow = 'allow publish "doc-1" meta {"role": "editor"} data {"kind": "x", "n": [1], "author": "9"} stamps '
    good = ["{}", '{"author": "1"}', '{"author": "1", "at": 0, "kind": "x"}', '{"n": [1.0]}']
    assert expecting(*(f"{allow}{stamps};" for stamps in good)) == ()
    bad = ['{"author": "9"}', '{"athor": "1"}', '{"at": "0"}', '{"at": null}', '{"n": [1, 2]}']
    assert len(expecting(*(f"{allow}{stamps};" for stamps in bad))) == len(bad)


def test_a_payload_that_no_rule_touches_goes_out_as_it_was_sent() -> None:
    assert expecting('allow publish "open-2" data {"a": 1} stamps {"a": 1};') == ()
    assert len(expecting('allow publish "open-2" data 1 stamps {};')) == 1
    assert len(expecting('deny publish "open-2" data 1;', 'allow rpc "add" data {"n": 1} stamps {"n": 1};')) == 2


def test_requests_carry_what_is_given() -> None:
    assert expecting(
        'allow map_publish "doc-1" key "a";',
        'allow map_publish "doc-1" key "a" data {"n": 2};',
        'deny map_publish "doc-1" key "b";',
        'deny map_publish "doc-1";',
        'allow rpc "add" data {"n": 1} stamps {"n": 2};',
        'deny subscribe "doc-1" labels {"team": "blue"};',
        'allow publish "doc-1" data {"kind": "any"} by "doc-{d}/publish/anything";',
    ) == ()  # fmt: skip


def test_headers_have_lower_case_names_as_in_the_service() -> None:
    price = "fixture price(1, true) = 2;"
    origin = '{"Origin": "https://app"}'
    assert failures(tried(f'{price} test "t" {{ as "1" {{ allow connect headers {origin}; allow refresh headers {origin}; }} }}')) == ()


def test_every_request_has_a_client_a_transport_and_the_time_zero() -> None:
    assert expecting('allow subscribe "doc-1" labels {"team": "red"};', 'allow map_remove "doc-1" key "k";', 'deny publish "doc-1";') == ()


def test_services_ask_for_methods() -> None:
    cases = """
      allow publish "own#7" tags {"t": "x"} data {} by "service/shop/publish/1" stamps {"by": "shop"};
      allow broadcast "own#7" tags {"t": "x"} data {} stamps {"by": "shop", "how": "broadcast"};
      deny publish "own#7" data {} because no_rule;
      deny publish "doc-1" tags {"t": "x"} data {} because no_rule;
      deny publish "own#7" tags {"t": "x"} data 1 because schema;
      allow info;
      allow disconnect;
      deny channels;
      deny history "own#7";
    """
    assert failures(tried(f'test "t" {{ service shop {{ {cases} }} }}')) == ()


def test_fixtures_hold_for_every_test() -> None:
    fixture = 'fixture account("7") = {"suspended": true, "level": null, "more": 1};'
    text = f'test "a" {{ as "7" {{ deny history "own#7" because suspended; }} as "8" {{ allow history "own#8"; }} }}\n{fixture}'
    report = tried(text)
    assert (report.passed, report.failed) == (1, 0)


def test_a_fact_without_fixture_is_lost_where_it_cannot_be_null() -> None:
    connect = 'headers {"origin": "https://app"} because fact_error;'
    assert expecting(f"deny connect {connect}") == ()
    assert len(failures(tried(f'fixture price(1, (true)) = -2; test "t" {{ as "1" {{ deny connect {connect} }} }}'))) == 1
    assert expecting("deny connect because no_rule;") == ()


def test_a_fact_that_is_made_to_fail_is_lost_whatever_its_fixtures_say() -> None:
    text = 'fixture account("1") = null; test "t" { fail account { as "1" { deny history "own#1" because fact_error; } %s } }'
    assert failures(tried(text % "")) == ()
    assert len(failures(tried(text % 'as "2" { allow history "own#2"; }'))) == 1
    assert failures(tried(text % "service shop { allow info; }")) == ()


def test_guests_are_users_without_a_name() -> None:
    assert expecting('allow history "own#1";', user="1") == ()
    assert expecting('deny history "own#1" because no_rule;', user="") == ()


def test_a_test_without_failures_passes_and_the_others_are_counted() -> None:
    report = tried('test "a" { }\ntest "b" { as "1" { deny history "own#1"; deny history "own#1"; } }')
    assert (report.passed, report.failed) == (1, 1)
    assert [result.title for result in report.results] == ["a", "b"]
    assert not report.outdated


@pytest.mark.parametrize(
    ("fixture", "fault"),
    [
        ('acount("1") = null;', 'unknown-name 2:9 there is no fact "acount" (did you mean "account"?)'),
        ('account("1", "2") = null;', "bad-fact 2:9 account takes uid; the fixture gives 2"),
        ("account() = null;", "bad-fact 2:9 account takes uid; the fixture gives 0"),
        ("account(1) = null;", "wrong-type 2:17 uid: expected string, found int"),
        ("price(1, 1) = 1;", "wrong-type 2:18 open: expected bool, found int"),
        ("price(1, true) = null;", "wrong-type 2:26 price: expected double, found null"),
        ('account("1") = {"suspended": 1};', "wrong-type 2:24 account: suspended: expected bool, found int"),
        ('account("1") = {};', "wrong-type 2:24 account: suspended: expected bool, found nothing"),
        ('account("1") = {"a": 1, "a": 2};', 'duplicate-name 2:33 the key "a" stands twice'),
        ("account(user) = null;", "unsupported 2:17 a test holds values, not expressions (write the value itself)"),
        ('account("1") = {"suspended": 1 == 1};', "unsupported 2:38 a test holds values, not expressions (write the value itself)"),
    ],
)
def test_a_fixture_that_does_not_fit_is_a_finding(fixture: str, fault: str) -> None:
    assert faults(f"fixture {fixture}") == [fault]


def test_the_same_fixture_twice_is_a_finding() -> None:
    text = 'fixture account("1") = null;\nfixture account("1") = null;\nfixture price(1, true) = 1;\nfixture price(1, false) = 1;'
    assert faults(text) == ["duplicate-name 3:1 this fixture stands at t.test.policy:2:1 already"]


@pytest.mark.parametrize(
    ("expectation", "fault"),
    [
        ('allow subscrib "x";', 'unknown-operation 3:7 there is no operation "subscrib" here (did you mean "subscribe"?)'),
        ('allow broadcast "x";', 'unknown-operation 3:7 there is no operation "broadcast" here'),
        ("allow subscribe;", 'syntax 3:7 subscribe needs a channel (write subscribe "…")'),
        ("deny rpc;", 'syntax 3:6 rpc needs a method (write rpc "…")'),
        ('allow connect "x";', "syntax 3:15 connect has no channel"),
        ('allow refresh "x";', "syntax 3:15 refresh has no channel"),
        ('allow publish "x" by "doc-{d}/publish/editor";', 'unknown-name 3:22 there is no rule "doc-{d}/publish/editor"'),
        ('deny publish "x" because suspendd;', 'unknown-name 3:26 there is no reason "suspendd" (did you mean "suspended"?)'),
        ('deny publish "x" because allowed;', 'unknown-name 3:26 there is no reason "allowed"'),
        ('deny publish "x" because limit;', 'unknown-name 3:26 there is no reason "limit"'),
        ('allow presence "x" data 1;', "unknown-name 3:20 presence has no data"),
        ("allow refresh data 1;", "unknown-name 3:15 refresh has no data"),
        ('allow sub_refresh "x" data 1;', "unknown-name 3:23 sub_refresh has no data"),
        ('allow publish "x" tags {};', "unknown-name 3:19 publish has no tags"),
        ('allow publish "x" data 1 data 2;', "duplicate-name 3:26 data stands twice"),
        ('deny publish "x" because schema because schema;', "duplicate-name 3:33 because stands twice"),
        ('allow publish "x" data user;', "unsupported 3:24 a test holds values, not expressions (write the value itself)"),
        ('allow publish "x" stamps {"a": user};', "unsupported 3:32 a test holds values, not expressions (write the value itself)"),
        ('allow map_remove "x" key 1;', "wrong-type 3:26 key: expected string, found int"),
        ('allow publish "x" meta null;', "wrong-type 3:24 meta: expected a map, found null"),
        ('allow publish "x" labels {"a": 1};', "wrong-type 3:26 labels: expected strings, found int"),
    ],
)
def test_an_expectation_that_cannot_be_meant_is_a_finding(expectation: str, fault: str) -> None:
    (found,) = faults(f'test "t" {{ as "1" {{\n{expectation}\n}} }}')
    assert found.startswith(fault)


def test_unknown_services_methods_and_facts_are_findings() -> None:
    service = 'service shopp { allow info; }\nservice shop { allow batch; allow publish; allow info "x"; }'
    text = f'test "t" {{ {service}\nfail acount {{ as "1" {{ }} }} }}'
    assert faults(text) == [
        'unknown-name 2:20 there is no service "shopp" (did you mean "shop"?)',
        'unknown-operation 3:22 there is no operation "batch" here',
        'syntax 3:35 publish needs a channel (write publish "…")',
        "syntax 3:55 info has no channel",
        'unknown-name 4:6 there is no fact "acount" (did you mean "account"?)',
    ]


def test_findings_come_in_the_order_of_lines() -> None:
    text = 'test "t" { as "1" { deny history "own#1" because none; } }\nmatrix users ["1"] channels ["b"] operations [none] expect "";\n'
    assert [fault.split()[1] for fault in faults(f"{text}fixture none() = 1;")] == ["2:50", "3:47", "4:9"]


def test_nothing_runs_where_there_are_findings() -> None:
    report = tried('test "t" { as "1" { deny history "own#1"; allow nothing; } }')
    assert (report.results, len(report.findings)) == ((), 1)


def test_results_come_in_the_order_of_lines() -> None:
    matrix = 'matrix users ["1"] channels ["b"] operations [publish] expect "";\n'
    assert [result.title for result in tried(f'{matrix}test "t" {{ }}\n{matrix}').results] == ["matrix", "t", "matrix"]


def test_a_decision_is_kept_with_the_expectation_it_does_not_meet() -> None:
    (failure,) = expecting('allow history "own#2";')
    assert isinstance(failure.found, Deny)
    assert failure.expectation.text == 'as "1": allow history "own#2"'


def test_expectations_are_told_as_they_are_written() -> None:
    text = 'allow publish "doc-1" data {"kind": ["x", -1, 1.5, (null)]} by "doc-{d}/publish/editors" stamps {"a": true}'
    told = [failure.expectation.text for failure in expecting(f"{text};", "allow connect;", 'deny history "own#1" because no_rule;')]
    assert told == [f'as "1": {text}', 'as "1": allow connect', 'as "1": deny history "own#1" because no_rule']
    (failure,) = failures(tried('test "t" { service shop { deny info; } }'))
    assert failure.expectation.text == "service shop: deny info"


def test_after_so_many_errors_nothing_more_is_looked_for() -> None:
    report = tried("".join(f'fixture none{n}("1") = 1;\n' for n in range(MAX_ERRORS + 50)))
    assert (len(report.findings), report.findings[-1].id, report.results) == (MAX_ERRORS + 1, "too-large", ())
