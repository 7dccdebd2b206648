"""The page about changes of the policy: its example is what the command prints."""

import shutil
from pathlib import Path

import pytest
import yaml

from proxy.cli.diff import Failing, Format, diff
from proxy.cli.replay import Failing as Flipping
from tests.cli.test_seams import run
from tests.docs import pages
from tests.house.tree import ROOT

PAGE = pages.page("changes")


def test_the_example_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = pages.blocks(PAGE, "text")
    command, _, shown = block.text.partition("\n")
    for name in ("policies", "draft"):
        shutil.copytree(ROOT / "policies", tmp_path / name)
    draft = tmp_path / "draft" / "chat.policy"
    draft.write_text(draft.read_text().replace('["owner", "editor"]', '["owner", "editor", "viewer"]'))
    monkeypatch.chdir(tmp_path)
    assert run(diff, *command.split()[3:]).stdout == shown


def test_the_options_and_their_values_are_named() -> None:
    rows = {pages.spans(option)[0]: pages.spans(what) for option, what in pages.table(PAGE, "option", "what")}
    assert rows["--fail-on"] == list(Failing)
    assert set(rows["--format"]) == {*Format, "--json"}
    assert all(f"`{each}`" in PAGE.rpartition("## Replaying")[2] for each in Flipping)


def test_the_recipe_is_yaml() -> None:
    (block,) = pages.blocks(PAGE, "yaml")
    steps = yaml.safe_load(block.text)["jobs"]["policy"]["steps"]
    assert any("--fail-on newly-allowed" in step.get("run", "") for step in steps)
