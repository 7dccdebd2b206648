from pathlib import Path

import pytest

from proxy.demo.reviewer import Reviewer, copy
from proxy.errors import SetupFault
from proxy.stores import folder
from tests.demo.policies import FOLDER


def test_a_copy_holds_the_policies_and_nothing_that_was_there_before(tmp_path: Path) -> None:
    target = tmp_path / "var" / "policies"
    for _ in range(2):
        copy(FOLDER, target)
        assert folder.read(target) == folder.read(FOLDER)
        (target / "old.policy").write_text("language 1;\n")


def test_a_copy_of_itself_loses_nothing(tmp_path: Path) -> None:
    copy(FOLDER, tmp_path / "p")
    copy(tmp_path / "p", tmp_path / "p")
    assert folder.read(tmp_path / "p") == folder.read(FOLDER)


def test_what_cannot_be_read_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(SetupFault, match="this is no folder"):
        copy(tmp_path / "missing", tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_lines_are_changed_and_brought_back(tmp_path: Path) -> None:
    (tmp_path / "a.policy").write_text("one\ntwo\n")
    reviewer = Reviewer(tmp_path)
    reviewer.edit("a.policy", ("one", "1"), ("two", "2"))
    reviewer.edit("a.policy", ("1", "I"))
    assert (tmp_path / "a.policy").read_text() == "I\n2\n"
    reviewer.restore()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.policy", "one\ntwo\n")]


@pytest.mark.parametrize("text", ["two\n", "one one\n"])
def test_a_line_that_does_not_stand_there_once_is_told_and_nothing_is_changed(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.policy").write_text(f"first\n{text}")
    with pytest.raises(LookupError, match=r"a\.policy does not say once: one"):
        Reviewer(tmp_path).edit("a.policy", ("first", "last"), ("one", "two"))
    assert (tmp_path / "a.policy").read_text() == f"first\n{text}"
