"""The page about changes of the policy: its examples are what the commands print."""

import asyncio
import json
import shlex
import shutil
from pathlib import Path

import pytest
import uvloop
import yaml
from pydantic import SecretStr
from typer.testing import Result

from proxy.app import create
from proxy.cli.diff import Failing, Format, diff
from proxy.cli.explain import explain
from proxy.cli.replay import Failing as Flipping
from proxy.cli.server import listen
from proxy.cli.server import run as serve
from proxy.demo import data
from proxy.demo.identity import Provider
from proxy.policy.decision import Allow, Deny, FactKey, Known, Request
from proxy.review.journal import Veil, line
from proxy.settings import Settings
from tests.cli.test_seams import run
from tests.demo.policies import demo
from tests.docs import pages
from tests.docs.world import REQUIRED
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the policies of the demo."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_explanation_is_what_the_command_prints() -> None:
    (block,) = [each for each in pages.blocks(PAGE, "console") if "centrigate explain" in each.text]
    command, _, shown = block.text.partition("\n")
    result = run(explain, *shlex.split(command)[3:])
    assert (result.exit_code, result.stdout, result.stderr) == (1, shown, "")


EXPLAINED = {
    ("--facts",): (1, "no_rule"),
    ("--service", "--request"): (1, "schema"),
    ("--log", "--at"): (1, "no_rule"),
    ("--log",): (0, "allowed"),
    ("--live", "--key"): (1, "no_rule"),
}
"""How the commands of the page end, by what is special about them."""


def test_every_command_that_explains_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in pages.blocks(PAGE, "sh") if "explain" in block.text]
    commands = [shlex.split(text)[2:] for text in block.text.splitlines()]
    _log(folder / "decisions.ndjson")
    monkeypatch.setenv("APPLICATION_KEY", "p" * 32)
    ended = {}
    for command in commands:
        result = _live(command, folder) if "--live" in command else run(explain, *command, "--json")
        named = tuple(each for each in command if each.startswith("--") and each not in ("--user", "--op"))
        ended[named] = (result.exit_code, json.loads(result.stdout)["decision"]["reason"])
    assert ended == EXPLAINED


def _log(file: Path) -> None:
    """Write a decision log: user 45, a viewer, subscribes and publishes."""
    policy = demo()
    facts: dict[FactKey, Known] = {
        ("account", "45"): Known(value={"suspended": False}),
        ("doc_member", "7", "45"): Known(value={"role": "viewer"}),
    }
    lines = []
    for op in ("subscribe", "publish"):
        request = Request(op=op, user="45", channel="chat:doc-7", data={"type": "message", "text": "hi"}, timestamp_ms=1)
        found = policy.decide(request, facts)
        assert isinstance(found, Allow | Deny)
        lines.append(line(request, found, 2, Veil(policy.logging, policy.identities)))
    file.write_bytes(b"".join(lines))


def _live(command: list[str], folder: Path) -> Result:
    """What the running service of the demo explains."""
    data.write(folder / "demo.db")
    keys = {"ORDERS_KEY": "o" * 32, "NEWSROOM_KEY": "n" * 32, "APPLICATION_KEY": "p" * 32}
    needed = {**keys, "DATABASE_URL": f"sqlite:///{folder}/demo.db", "DEMO_IDENTITY_KEY": Provider().key}
    chosen = {"store_url": SecretStr(f"sqlite:///{folder}/store.db"), "policies": folder / "policies"}

    async def main() -> Result:
        app = create(Settings.model_validate({**REQUIRED, **chosen}), demo(), needed)
        started, sockets = asyncio.Event(), listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        serving = asyncio.create_task(serve(app, sockets, started.set))
        async with asyncio.timeout(20):
            await started.wait()
            result = await asyncio.to_thread(run, explain, *command, "--json", "--url", url)
        serving.cancel()
        await asyncio.wait([serving])
        return result

    return uvloop.run(main())
