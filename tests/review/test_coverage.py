"""What tests try and what they leave untried."""

from proxy.review.coverage import Condition, Coverage, Reliance
from tests.review.scene import tried

POLICY = """
fact account(uid: string) -> { ok: bool }? { python "app:account"; timeout 50ms; }
let me = account(user);
let strong = me != null && me.ok;
deny late when timestamp_ms > 5;
channel "c" {
  allow subscribe when strong || !(user == "1") || false;
  allow publish when user == "2" ? true : data == 1;
  allow history;
}
service shop { key env K; allow info when timestamp_ms == 0; }
"""


NOTHING = ""
FEW = 'test "t" { as "1" { deny subscribe "c"; deny publish "c"; allow history "c"; } service shop { allow info; } }'
MANY = (
    'fixture account("1") = {"ok": false};\nfixture account("2") = {"ok": true};\n'
    'matrix users ["1", "2", "3"] channels ["c"] operations [subscribe, publish] expect "";\n'
    'test "t" { fail account { as "1" { allow subscribe "c"; } } as "1" { allow publish "c" data 1; allow publish "c" data 2; } }'
)


def coverage(tests: str, policy: str = POLICY) -> Coverage:
    return tried(tests, policy).coverage


def gaps(tests: str) -> list[str]:
    return [f"{gap.at} {gap.what} {gap.lacks}" for gap in coverage(tests).gaps]


def test_without_tests_nothing_was_tried() -> None:
    assert gaps(NOTHING) == [
        "p.policy:4:14 me != null never evaluated",
        "p.policy:4:28 me.ok never evaluated",
        "p.policy:5:16 timestamp_ms > 5 never evaluated",
        'p.policy:7:36 user == "1" never evaluated',
        'p.policy:8:22 user == "2" never evaluated',
        "p.policy:8:43 data == 1 never evaluated",
        "p.policy:11:43 timestamp_ms == 0 never evaluated",
        "p.policy:5:1 rule deny/late never decides",
        "p.policy:7:1 rule c/subscribe/1 never decides",
        "p.policy:8:1 rule c/publish/1 never decides",
        "p.policy:9:1 rule c/history/1 never decides",
        "p.policy:11:1 rule service/shop/info/1 never decides",
        "None fact account never fails",
    ]
    assert (coverage(NOTHING).goals, coverage(NOTHING).percent) == ((0, 20), 0.0)


def test_each_condition_must_have_been_true_and_false_and_each_rule_decide() -> None:
    assert gaps(FEW) == [
        "p.policy:4:14 me != null never true",
        "p.policy:4:28 me.ok never evaluated",
        "p.policy:5:16 timestamp_ms > 5 never true",
        'p.policy:7:36 user == "1" never false',
        'p.policy:8:22 user == "2" never true',
        "p.policy:8:43 data == 1 never true",
        "p.policy:11:43 timestamp_ms == 0 never false",
        "p.policy:5:1 rule deny/late never decides",
        "p.policy:7:1 rule c/subscribe/1 never decides",
        "p.policy:8:1 rule c/publish/1 never decides",
        "None fact account never fails",
    ]
    assert (coverage(FEW).goals, coverage(FEW).percent) == ((8, 20), 40.0)


def test_outcomes_are_counted_those_of_matrices_and_of_expectations_that_are_not_met_too() -> None:
    found = coverage(MANY)
    assert [(each.what, each.true, each.false, each.error) for each in found.conditions] == [
        ("me != null", 2, 1, 1),
        ("me.ok", 1, 1, 0),
        ("timestamp_ms > 5", 0, 9, 0),
        ('user == "1"', 1, 1, 0),
        ('user == "2"', 1, 4, 0),
        ("data == 1", 1, 3, 0),
        ("timestamp_ms == 0", 0, 0, 0),
    ]
    assert [(each.id, each.decides) for each in found.rulings] == [
        ("deny/late", 0),
        ("c/subscribe/1", 2),
        ("c/publish/1", 2),
        ("c/history/1", 0),
        ("service/shop/info/1", 0),
    ]
    assert found.facts == (Reliance(name="account", reads=4, failures=1),)
    assert (found.goals, found.percent) == ((14, 20), 70.0)


def test_the_subscriptions_of_a_connection_count() -> None:
    policy = (
        'identity guest { guest; } connect { allow; subscribe "c"; subscribe "d"; } deny closed on subscribe when channel == "d";\n'
        'channel "c" { allow subscribe; } channel "d" { allow subscribe; }'
    )
    found = coverage('test "t" { as "1" { allow connect; } }', policy)
    assert {each.id: each.decides for each in found.rulings} == {
        "connect/1": 1,
        "deny/closed": 1,
        "c/subscribe/1": 1,
        "d/subscribe/1": 0,
    }


def test_a_rule_that_stands_nowhere_is_not_asked_for() -> None:
    found = coverage("", 'identity guest { guest; } channel "c" { allow subscribe; }')
    assert [each.id for each in found.rulings] == ["c/subscribe/1"]


def test_a_refusal_for_want_of_a_fact_is_not_decided_by_its_rule() -> None:
    policy = 'fact f(u: string) -> bool { python "a:f"; timeout 50ms; }\ndeny no when f(user);\nchannel "c" { allow subscribe; }'
    found = coverage('test "t" { fail f { as "1" { deny subscribe "c" because fact_error; } } }', policy)
    assert [each.decides for each in found.rulings] == [0, 0]
    assert [(each.true, each.false, each.error, each.lacks) for each in found.conditions] == [(0, 0, 1, "never true or false")]
    assert found.facts == (Reliance(name="f", reads=1, failures=1),)


def test_only_all_of_it_is_100_percent() -> None:
    at = coverage(NOTHING).conditions[0].at
    most = tuple(Condition(what="a", at=at, true=1, false=1) for _ in range(999))
    assert Coverage(conditions=(*most, Condition(what="a", at=at, true=1))).percent == 99.9
    assert Coverage(conditions=most).percent == 100
    assert Coverage().percent == 100
