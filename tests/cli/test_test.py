"""The command `test`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.test import run as command

POLICY = 'language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user; }\n'
MATRIX = 'matrix users ["1"] channels ["x:1"] operations [subscribe] expect """%s""";\n'
GOOD = 'language 1;\ntest "good" { as "1" { allow subscribe "x:1"; } }\n'
BAD = 'language 1;\ntest "bad" { as "1" { allow subscribe "x:2"; } }\n'


def run(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, ["--policies", str(folder), *arguments])


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(POLICY)
    (tmp_path / "a.test.policy").write_text(GOOD)
    return tmp_path


def test_tests_that_pass_are_listed_and_counted(policies: Path) -> None:
    result = run(policies)
    assert (result.exit_code, result.output) == (0, "✓ good  a.test.policy:2\n1 passed, 0 failed\n")


def test_a_test_that_fails_says_why_and_fails_the_command(policies: Path) -> None:
    (policies / "b.test.policy").write_text(BAD)
    result = run(policies)
    assert result.exit_code == 1
    assert result.output == (
        "✓ good  a.test.policy:2\n"
        "✗ bad  b.test.policy:2\n"
        '  b.test.policy:2:23  as "1": allow subscribe "x:2"\n'
        "    decided: deny because no_rule\n"
        "    allow x:{y}/subscribe/1  a.policy:2  does not hold\n"
        "      vars.y == user  false\n"
        '        vars.y  "2"\n'
        '        user  "1"\n'
        "1 passed, 1 failed\n"
    )


UNTRIED = [
    "a.policy:2:40  vars.y == user  true 1, false 0, error 0",
    "not tried  a.policy:2:40  vars.y == user  never false",
    "66.6 % tried: 2 of 3",
]


def test_coverage_counts_what_was_tried_without_failing(policies: Path) -> None:
    result = run(policies, "--coverage")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2:] == UNTRIED


def test_too_little_that_was_tried_fails_the_command(policies: Path) -> None:
    result = run(policies, "--threshold", "66.7")
    assert (result.exit_code, result.stderr) == (1, "66.6 % is less than 66.7 %\n")
    assert result.stdout.splitlines()[2:] == UNTRIED
    assert (run(policies, "--threshold", "66.6").exit_code, run(policies, "--threshold", "66.6").stderr) == (0, "")
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    assert "is less than" not in run(policies, "--threshold", "100").stderr


def test_a_page_shows_the_policy_with_its_counts(policies: Path) -> None:
    result = run(policies, "--html", str(policies / "page.html"))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "1 passed, 0 failed")
    assert "vars.y == user: true 1, false 0, error 0 <strong>never false</strong>" in (policies / "page.html").read_text()
    result = run(policies, "--html", str(policies / "none" / "page.html"))
    assert (result.exit_code, "cannot be used: No such file" in result.stderr) == (2, True)
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    assert run(policies, "--html", str(policies / "other.html")).exit_code == 1
    assert not (policies / "other.html").exists()


def test_update_writes_matrices_and_nothing_else(policies: Path) -> None:
    text = GOOD + MATRIX
    (policies / "a.test.policy").write_text(text % "")
    assert run(policies).exit_code == 1
    result = run(policies, "--update")
    assert (result.exit_code, result.stderr) == (0, "a.test.policy changed\n")
    assert result.stdout == "✓ good  a.test.policy:2\n✓ matrix  a.test.policy:3\n2 passed, 0 failed\n"
    assert (policies / "a.test.policy").read_text() == text % "\n   x:1\n1  s\n"
    assert (policies / "a.policy").read_text() == POLICY
    assert run(policies, "--update").stderr == ""


def test_update_leaves_failing_expectations_failing(policies: Path) -> None:
    (policies / "b.test.policy").write_text(BAD)
    result = run(policies, "--update")
    assert (result.exit_code, result.stderr) == (1, "")
    assert (policies / "b.test.policy").read_text() == BAD


def test_json_is_one_object(policies: Path) -> None:
    (policies / "b.test.policy").write_text(BAD)
    result = run(policies, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["passed"], found["failed"], [test["passed"] for test in found["tests"]]) == (1, 1, [True, False])
    (policies / "b.test.policy").unlink()
    assert run(policies, "--json").exit_code == 0


def test_policies_with_errors_are_not_tested(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    result = run(policies)
    assert result.exit_code == 1
    assert result.output == (
        'b.policy:2:9: error unknown-name: there is no "usr" here\n  2 | let a = usr;\n    |         ^\n  = did you mean "user"?\n1 error\n'
    )
    assert json.loads(run(policies, "--json").stdout)["findings"][0]["id"] == "unknown-name"


def test_tests_that_mean_nothing_are_findings(policies: Path) -> None:
    (policies / "b.test.policy").write_text(BAD.replace("subscribe", "subscrib"))
    result = run(policies)
    assert result.exit_code == 1
    assert result.output == (
        'b.test.policy:2:29: error unknown-operation: there is no operation "subscrib" here\n'
        '  2 | test "bad" { as "1" { allow subscrib "x:2"; } }\n'
        "    |                             ^\n"
        '  = did you mean "subscribe"?\n'
        "1 error\n"
    )


def test_files_that_cannot_be_read_are_findings(policies: Path) -> None:
    (policies / "out.policy").symlink_to("/etc/passwd")
    result = run(policies)
    assert result.exit_code == 1
    assert "out.policy:1:1: error unreadable" in result.output
    assert "passed" not in result.output


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "this is no folder" in result.stderr
