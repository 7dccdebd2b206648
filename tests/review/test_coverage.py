"""What tests leave untried."""

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


def gaps(tests: str) -> list[str]:
    return [f"{gap.at} {gap.what} {gap.lacks}" for gap in tried(tests, POLICY).gaps]


def test_without_tests_nothing_was_tried() -> None:
    assert gaps("") == [
        "p.policy:4:14 me != null never evaluated",
        "p.policy:4:28 me.ok never evaluated",
        "p.policy:5:16 timestamp_ms > 5 never evaluated",
        'p.policy:7:36 user == "1" never evaluated',
        'p.policy:8:22 user == "2" never evaluated',
        "p.policy:8:43 data == 1 never evaluated",
        "p.policy:11:43 timestamp_ms == 0 never evaluated",
        "None fact account never fails",
    ]


def test_each_condition_must_have_been_true_and_false() -> None:
    assert gaps('test "t" { as "1" { deny subscribe "c"; deny publish "c"; allow history "c"; } service shop { allow info; } }') == [
        "p.policy:4:14 me != null never true",
        "p.policy:4:28 me.ok never evaluated",
        "p.policy:5:16 timestamp_ms > 5 never true",
        'p.policy:7:36 user == "1" never false',
        'p.policy:8:22 user == "2" never true',
        "p.policy:8:43 data == 1 never true",
        "p.policy:11:43 timestamp_ms == 0 never false",
        "None fact account never fails",
    ]


def test_matrices_and_expectations_that_are_not_met_count_too() -> None:
    text = (
        'fixture account("1") = {"ok": false};\nfixture account("2") = {"ok": true};\n'
        'matrix users ["1", "2", "3"] channels ["c"] operations [subscribe, publish] expect "";\n'
        'test "t" { fail account { as "1" { allow subscribe "c"; } } as "1" { allow publish "c" data 1; allow publish "c" data 2; } }'
    )
    assert gaps(text) == ["p.policy:5:16 timestamp_ms > 5 never true", "p.policy:11:43 timestamp_ms == 0 never evaluated"]


def test_a_fact_that_was_lost_in_a_matrix_was_lost() -> None:
    policy = 'fact f(u: string) -> string { python "a:f"; timeout 50ms; }\nchannel "c" { allow subscribe when f(user) == "1"; }'
    report = tried('matrix users ["1"] channels ["c"] operations [subscribe] expect "";', policy)
    assert [gap.what for gap in report.gaps] == ['f(user) == "1"']
