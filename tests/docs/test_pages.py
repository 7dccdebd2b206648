import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import settings
from proxy.cli import COMMANDS, GROUPS, main
from tests.docs import pages
from tests.house.tree import ROOT

PAGES = pages.every()
NAMES = sorted(PAGES)
_COMMAND = rf"\bcentrigate ((?:{'|'.join(GROUPS)}) [a-z]+|[a-z-]+)(?= |$)"


def _mentioned(pattern: str) -> list[str]:
    return sorted({match[1] for text in PAGES.values() for code in pages.code(text) for match in re.finditer(pattern, code)})


def test_the_pages_are_those_that_are_known() -> None:
    assert {file.stem for file in (ROOT / "docs").glob("*.md")} == set(pages.DOCS)


@pytest.mark.parametrize("name", pages.DOCS)
def test_a_page_has_at_most_300_lines_and_one_title(name: str) -> None:
    text = pages.page(name)
    assert len(text.splitlines()) <= 300
    assert len(re.findall(r"^# ", pages.prose(text), re.MULTILINE)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in pages.links(PAGES[name]):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (ROOT / name).parent / target if target else ROOT / name
        assert file.exists(), link
        assert not anchor or anchor in pages.anchors(file.read_text()), link


def test_every_page_can_be_reached_from_the_architecture() -> None:
    assert {Path(link.partition("#")[0]).stem for link in pages.links(pages.page("architecture"))} == set(pages.DOCS) - {"architecture"}


@pytest.mark.parametrize("command", _mentioned(_COMMAND))
def test_a_command_that_is_mentioned_exists(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["centrigate", *command.split(), "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    options = {
        option
        for text in PAGES.values()
        for code in pages.code(text)
        if re.search(rf"\bcentrigate {command}\b", code)
        for option in re.findall(r"(?<!\S)--[a-z-]+", code)
    }
    said = capsys.readouterr().out
    assert [option for option in options if option not in said] == []


def test_every_command_is_mentioned() -> None:
    assert {*COMMANDS, *(f"{group} {verb}" for group, verbs in GROUPS.items() for verb in verbs)} <= set(_mentioned(_COMMAND))


def test_a_target_of_make_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([\w./-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(_mentioned(r"\bmake (\.?[a-z]+)")) <= targets


def test_a_variable_that_is_mentioned_is_a_setting() -> None:
    named = {name for text in PAGES.values() for name in re.findall(r"\bCENTRIGATE_[A-Z_]+", text)}
    # Centrifugo's own name for what it puts into a header holds the name of the setting.
    assert named <= set(settings.names())


def test_a_file_that_is_mentioned_exists() -> None:
    mentioned = _mentioned(r"^((?:proxy|policies|tests|tools)/[\w/.]*\w)/?$")
    assert "proxy/app.py" in mentioned
    assert [name for name in mentioned if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_example_in_json_is_json(name: str) -> None:
    for block in pages.blocks(PAGES[name], "json"):
        json.loads(block.text)
    for span in re.findall(r"`(\{\"[^`]*\})`", pages.prose(PAGES[name])):
        json.loads(span.replace(": …}", ": null}"))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which comes with npm")
@pytest.mark.parametrize("name", NAMES)
def test_an_example_in_javascript_can_be_parsed(name: str, tmp_path: Path) -> None:
    for place, block in enumerate(pages.blocks(PAGES[name], "js")):
        file = tmp_path / f"{place}.mjs"
        file.write_text(block.text)
        subprocess.run(["node", "--check", str(file)], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_console_shows_is_what_it_says(name: str) -> None:
    for block in pages.blocks(PAGES[name], "console"):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            script = f'centrigate() {{ "{sys.executable}" -m proxy "$@"; }}\n{command}'
            done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.stdout == shown, command
