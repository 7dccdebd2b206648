import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.check import check

GOOD = 'language 1;\nchannel "x:{y}" { allow subscribe when vars.y == user expire 5m; }\n'


def run(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, ["--policies", str(folder), *arguments])


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(GOOD)
    (tmp_path / "a.test.policy").write_text("language 1;\n")
    return tmp_path


def test_policies_without_findings_pass(policies: Path) -> None:
    result = run(policies)
    assert (result.exit_code, result.output) == (0, "2 files: no findings\n")


def test_an_error_fails_and_is_shown_in_its_line(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    result = run(policies)
    assert result.exit_code == 1
    assert "b.policy:2:9: error unknown-name" in result.output
    assert "  2 | let a = usr;\n    |         ^" in result.output


def test_a_security_finding_fails(policies: Path) -> None:
    (policies / "a.policy").write_text('language 1;\nchannel "x:{y}" { allow publish limit 1/1s; }\n')
    assert run(policies).exit_code == 1


def test_warnings_fail_when_strict(policies: Path) -> None:
    (policies / "a.test.policy").unlink()
    assert run(policies).exit_code == 0
    assert run(policies, "--strict").exit_code == 1
    assert "no-tests" in run(policies).output


def test_findings_come_as_json_and_sarif_too(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = usr;\n")
    result = run(policies, "--format", "json")
    assert result.exit_code == 1
    finding = json.loads(result.output)["findings"][-1]
    assert (finding["id"], finding["file"], finding["line"], finding["column"]) == ("unknown-name", "b.policy", 2, 9)
    log = json.loads(run(policies, "--format", "sarif").output)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"{policies.as_posix()}/b.policy"


def test_files_that_cannot_be_read_fail(policies: Path) -> None:
    (policies / "out.policy").symlink_to("/etc/passwd")
    (policies / "c.policy").write_bytes(b"\xff")
    result = run(policies)
    assert result.exit_code == 1
    assert "out.policy:1:1: error unreadable: this link leads out of the folder" in result.output
    assert "c.policy:1:1: error syntax: the file is not UTF-8" in result.output


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "this is no folder" in result.stderr
