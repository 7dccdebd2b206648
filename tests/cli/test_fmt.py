from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.fmt import fmt

ROUGH = "language 1;\nlet a=1;\n"
SMOOTH = "language 1;\nlet a = 1;\n"


def run(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(fmt)
    return CliRunner().invoke(app, ["--policies", str(folder), *arguments])


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text(ROUGH)
    (tmp_path / "a.policy").chmod(0o640)
    (tmp_path / "b.policy").write_text(SMOOTH)
    return tmp_path


def test_files_are_laid_out_in_place(policies: Path) -> None:
    result = run(policies)
    assert (result.exit_code, result.output) == (0, "a.policy changed\n")
    assert (policies / "a.policy").read_text() == SMOOTH
    assert (policies / "a.policy").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in policies.iterdir()) == ["a.policy", "b.policy"]
    assert run(policies).output == ""


def test_check_only_says_what_would_change(policies: Path) -> None:
    result = run(policies, "--check")
    assert (result.exit_code, result.output) == (1, "a.policy would change\n")
    assert (policies / "a.policy").read_text() == ROUGH
    (policies / "a.policy").write_text(SMOOTH)
    assert run(policies, "--check").exit_code == 0


def test_line_ends_become_line_feeds(policies: Path) -> None:
    (policies / "b.policy").write_bytes(SMOOTH.replace("\n", "\r\n").encode())
    run(policies)
    assert (policies / "b.policy").read_bytes() == SMOOTH.encode()


def test_a_linked_file_stays_a_link(policies: Path) -> None:
    (policies / ".data").mkdir()
    (policies / ".data" / "c").write_text(ROUGH)
    (policies / "c.policy").symlink_to(".data/c")
    run(policies)
    assert (policies / "c.policy").is_symlink()
    assert (policies / ".data" / "c").read_text() == SMOOTH


def test_files_that_do_not_parse_are_left_alone_and_fail(policies: Path) -> None:
    (policies / "b.policy").write_text("language 1;\nlet a = ;")
    (policies / "c.policy").write_bytes(b"\xff")
    (policies / "out.policy").symlink_to("/etc/passwd")
    (policies / "schemas").symlink_to("/etc")
    result = run(policies)
    assert result.exit_code == 1
    assert "b.policy:2:9: error syntax" in result.stderr
    assert "c.policy:1:1: error syntax" in result.stderr
    assert "out.policy:1:1: error unreadable" in result.stderr
    assert (policies / "b.policy").read_text() == "language 1;\nlet a = ;"
    assert (policies / "a.policy").read_text() == SMOOTH


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "this is no folder" in result.stderr
