"""The page about a review: its commands are run on its change, and print what it shows."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from proxy.cli import COMMANDS
from proxy.policy.decision import Allow, Deny, Known, Request
from proxy.review.journal import Veil, line
from tests.cli.test_seams import run
from tests.demo.policies import demo
from tests.docs import pages
from tests.house.tree import ROOT

PAGE: Final = pages.page("review")
LEFT_OUT: Final = "…"
ENDED: Final = {
    "check": 0,
    "test": 1,
    "diff": 1,
    "who-can": 0,
    "matrix": 0,
    "explain": 0,
    "replay": 1,
    "prove": 1,
    "doctor": 0,
}
"""The commands of the page in their order, and how they end for its change."""


def shown() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page with what it is said to print."""
    for block in pages.blocks(PAGE, "text"):
        for command, lines in re.findall(r"^\$ centrigate (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            yield command, lines.splitlines()


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the branch: `main` holds the demo policy, the files hold the change of the page."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copy(ROOT / "centrifugo-config.json", tmp_path)
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "main")
    (block,) = pages.blocks(PAGE, "diff")
    old, new = (text[1:] for text in block.text.splitlines())
    file = tmp_path / "policies" / "notifications.policy"
    assert file.read_text().count(old) == 1
    assert sum(one != other for one, other in zip(old, new, strict=True)) == 1
    file.write_text(file.read_text().replace(old, new))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(file: Path) -> None:
    """Write what was decided yesterday."""
    policy, lines = demo(), []
    for user, channel in (("42", "notifications#42"), ("44", "notifications#42"), ("43", "news:today")):
        request = Request(op="subscribe", user=user, channel=channel, timestamp_ms=1)
        found = policy.decide(request, {("account", user): Known(value={"suspended": False})})
        assert isinstance(found, Allow | Deny)
        lines.append(line(request, found, 2, Veil(policy.logging, policy.identities)))
    file.write_bytes(b"".join(lines))


def fits(printed: list[str], page: list[str]) -> bool:
    """Whether lines are those of the page, which leaves some out where it says so."""
    parts = [[*part] for left_out, part in itertools.groupby(page, LEFT_OUT.__eq__) if not left_out]
    place = 0
    for number, part in enumerate(parts):
        starts = [at for at in range(place, len(printed)) if printed[at : at + len(part)] == part]
        if not starts or (number == 0 and page[0] != LEFT_OUT and starts[0] != 0):
            return False
        place = starts[0] + len(part)
    return page[-1] == LEFT_OUT or place == len(printed)


def test_the_page_shows_every_command_of_a_review_in_order() -> None:
    assert [command.split()[0] for command, _ in shown()] == [*ENDED]


@pytest.mark.parametrize(("command", "page"), [*shown()], ids=[*ENDED])
def test_what_a_command_prints_is_what_the_page_shows(checkout: Path, command: str, page: list[str]) -> None:
    log(checkout / "decisions.ndjson")
    name, *arguments = shlex.split(command)
    result = run(COMMANDS[name], *arguments)
    assert (result.exit_code, result.stderr) == (ENDED[name], "")
    assert fits([text.rstrip() for text in result.stdout.splitlines()], page), result.stdout


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (["a", "b", "c"], True),
        (["a", "b"], False),
        (["b", "c"], False),
        ([LEFT_OUT, "b", "c"], True),
        (["a", LEFT_OUT], True),
        (["a", LEFT_OUT, "c"], True),
        (["c", LEFT_OUT, "a"], False),
        ([LEFT_OUT, "d"], False),
    ],
)
def test_only_what_is_said_to_be_left_out_may_be(page: list[str], expected: bool) -> None:  # noqa: FBT001 - what is expected
    assert fits(["a", "b", "c"], page) is expected


def recipe() -> dict[str, Any]:
    (block,) = pages.blocks(PAGE, "yaml")
    found: dict[str, Any] = yaml.safe_load(block.text)["jobs"]["review"]
    return found


def steps() -> list[str]:
    return [step["run"] for step in recipe()["steps"] if "run" in step]


def test_the_recipe_knows_the_base_and_reports_what_check_finds() -> None:
    first, *_ = recipe()["steps"]
    assert (first["uses"], first["with"]) == ("actions/checkout@v4", {"fetch-depth": 0})
    assert recipe()["env"] == {"BASE": "origin/${{ github.base_ref }}"}
    (upload,) = [step for step in recipe()["steps"] if "upload-sarif" in step.get("uses", "")]
    (checked,) = [step for step in steps() if "sarif" in step]
    assert (upload["if"], checked.endswith(f"> {upload['with']['sarif_file']}")) == ("always()", True)


def test_the_recipe_installs_what_there_is() -> None:
    (command,) = [step for step in steps() if step.startswith("pip ")]
    extras = re.findall(r"\[(\w+)\]", command)
    assert extras == ["prove"]
    assert {*extras} <= {*tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]}


FAILING: Final = ["centrigate test", "centrigate prove", 'centrigate diff "$BASE" policies --fail-on newly-allowed']
"""The steps that the change of the page does not pass."""


def test_the_recipe_fails_for_the_change_and_says_what_it_does(checkout: Path) -> None:
    ended = {step: _done(checkout, step) for step in steps() if not step.startswith("pip ")}
    assert [step for step, code in ended.items() if code] == [step for step in steps() if step.startswith(tuple(FAILING))]
    assert {*ended.values()} == {0, 1}
    summary = (checkout / "summary.md").read_text()
    assert summary.startswith("### Policy: 2 newly allowed, 2 newly denied")
    assert "\n### Who may do what\n" in summary
    assert '"$schema"' in (checkout / "check.sarif").read_text()


def test_the_recipe_passes_where_nothing_changes(checkout: Path) -> None:
    git(checkout, "checkout", "policies")
    assert [step for step in steps() if not step.startswith("pip ") and _done(checkout, step)] == []


def _done(folder: Path, step: str) -> int:
    """Do a step as the job does, and give its exit code."""
    script = f'centrigate() {{ "{sys.executable}" -m proxy "$@"; }}\n{step}'
    given = {"BASE": "origin/main", "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(["bash", "-ec", script], cwd=folder, env=given, capture_output=True, check=False).returncode
