"""Reports for people and programs."""

import json

from proxy.review.report import as_lines, as_object, counted
from proxy.review.report import tried as told
from proxy.review.trials import Report
from tests.review.scene import tried

GOOD = 'test "good" { as "1" { allow history "own#1"; } }\n'
BAD = 'test "bad\\u001b" { as "1" { allow history "own#2"; deny publish "open-2" data 1; } }\n'
STAMPS = 'test "stamps" { as "1" { allow publish "open-1" data {} stamps {"author": "2"}; allow connect stamps {}; } }\n'
MATRIX = 'matrix users ["1"] channels ["own#1"] operations [subscribe, publish] expect "%s";\n'


def lines(report: Report) -> list[str]:
    return [line.plain for line in as_lines(report)]


def test_each_test_has_a_line_and_the_end_says_how_many_passed() -> None:
    report = tried(GOOD + MATRIX % "own#1 1 s-" + MATRIX % "own#1\\n1 s-")
    assert lines(report) == [
        "✓ good  t.test.policy:2",
        "✗ matrix  t.test.policy:3",
        "  !    own#1  (expected own#1  1  s-)",
        "  ! 1  s-  (expected nothing)",
        "✓ matrix  t.test.policy:4",
        "2 passed, 1 failed",
    ]


def test_a_failure_says_what_was_expected_what_was_decided_and_why() -> None:
    found = lines(tried(BAD))
    assert found[:4] == [
        "✗ bad\ufffd  t.test.policy:2",
        '  t.test.policy:2:29  as "1": allow history "own#2"',
        "    decided: deny because no_rule",
        "    deny deny/suspended  p.policy:8  does not hold",
    ]
    assert "    allow own#{uid}/history/1  p.policy:17  does not hold" in found
    assert '        vars.uid  "2"' in found
    assert '    fact account("1") = null' in found
    assert "    decided: allow by open-{x}/publish/2 (p.policy:27)" in found
    assert found[-1] == "0 passed, 1 failed"


def test_stamps_that_are_not_there_are_shown_with_the_payload() -> None:
    found = lines(tried(STAMPS))
    assert found[2:4] == ["    decided: allow by open-{x}/publish/1 (p.policy:27)", '    payload: {"author": "1"}']
    assert not [line for line in found[4:] if "payload" in line]


def test_a_decision_without_a_place_has_none() -> None:
    (_, _, decided, *_) = lines(tried('test "t" { as "1" { deny connect; } }', 'identity guest { guest; } channel "c" { allow publish; }'))
    assert decided == "    decided: allow by connect/default"


POLICY = 'fact f(u: string) -> string { python "a:f"; timeout 50ms; } channel "c" { allow publish when user == "1" && f("\\u202e") == ""; }'


def test_counts_are_listed_and_below_them_what_was_not_tried() -> None:
    found = [line.plain for line in told(tried('test "t" { as "1" { deny publish "c"; } }', POLICY).coverage)]
    assert found == [
        'p.policy:1:105  user == "1"  true 1, false 0, error 0',
        'p.policy:1:120  f("\ufffd") == ""  true 0, false 0, error 1',
        "fact f  read 1, failed 1",
        'not tried  p.policy:1:105  user == "1"  never false',
        'not tried  p.policy:1:120  f("\ufffd") == ""  never true or false',
        "not tried  p.policy:1:1  rule c/publish/1  never decides",
        "33.3 % tried: 2 of 6",
    ]
    assert [line.plain for line in told(tried("", POLICY).coverage)][-2:] == ["not tried  fact f  never fails", "0 % tried: 0 of 6"]


def test_counts_are_json() -> None:
    found = counted(tried('test "t" { as "1" { deny publish "c"; } }', POLICY).coverage)
    assert found == {
        "percent": 33.3,
        "conditions": [
            {"what": 'user == "1"', "at": "p.policy:1:105", "true": 1, "false": 0, "error": 0},
            {"what": 'f("\ufffd") == ""', "at": "p.policy:1:120", "true": 0, "false": 0, "error": 1},
        ],
        "rules": [{"rule": "c/publish/1", "at": "p.policy:1", "decides": 0}],
        "facts": [{"fact": "f", "reads": 1, "failures": 1}],
    }


def test_colours_say_what_is_good_and_what_is_bad() -> None:
    good, bad = tried(GOOD), tried(BAD)
    assert [[*as_lines(report)][-1].style for report in (good, bad)] == ["green", "red"]
    assert [str(next(as_lines(report)).spans[0].style) for report in (good, bad)] == ["green", "red"]
    assert [*told(good.coverage)][-1].style == "yellow"
    assert [*told(tried('test "t" { as "1" { allow publish "c" data 1; } }', 'channel "c" { allow publish; }').coverage)][
        -1
    ].style == "green"
    marked = [line.style for line in as_lines(tried(MATRIX % "x\\n1 s-"))]
    assert marked == ["", "red", "", "red"]


def test_a_report_is_one_json_object() -> None:
    found = json.loads(as_object(tried(GOOD + BAD + MATRIX % "x")))
    assert (found["passed"], found["failed"], found["findings"]) == (1, 2, [])
    good, bad, matrix = found["tests"]
    assert good == {"title": "good", "file": "t.test.policy", "line": 2, "passed": True, "failures": []}
    first = bad["failures"][0]
    assert {name: first[name] for name in ("file", "line", "column", "expected", "decided")} == {
        "file": "t.test.policy",
        "line": 3,
        "column": 29,
        "expected": 'as "1": allow history "own#2"',
        "decided": {"effect": "deny", "reason": "no_rule", "facts": {'account("1")': None}},
    }
    assert [look["rule"] for look in first["trace"]] == ["deny/suspended", "own#{uid}/history/1"]
    assert (matrix["passed"], matrix["expected"], matrix["drawn"]) == (False, "x", "   own#1\n1  s-\n")
    assert {"what": "fact price", "lacks": "never fails", "at": None} in found["untried"]
    assert {"what": 'headers["origin"] == "https://app"', "lacks": "never evaluated", "at": "p.policy:12:26"} in found["untried"]


def test_findings_are_in_the_json_object() -> None:
    found = json.loads(as_object(tried("fixture acount() = 1;")))
    assert (found["tests"], found["findings"][0]["id"], found["findings"][0]["column"]) == ([], "unknown-name", 9)
