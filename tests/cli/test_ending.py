from collections.abc import Callable, Sequence
from errno import EIO
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy.cli import COMMANDS, GROUPS
from proxy.cli.ending import ending
from proxy.errors import DeliveryFault, Malformed, SetupFault
from tests.house.tree import ROOT

RUN = CliRunner()
ALL = {**COMMANDS, **{f"{group} {verb}": command for group, verbs in GROUPS.items() for verb, command in verbs.items()}}


def application(command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


def raising(error: Exception) -> typer.Typer:
    @ending
    def command() -> None:
        raise error

    return application(command)


@pytest.mark.parametrize("fault", [SetupFault, DeliveryFault, Malformed])
def test_a_fault_is_told_and_ends_the_command_with_2(fault: type[Exception]) -> None:
    result = RUN.invoke(raising(fault("give another")), [])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "give another\n")


def test_a_file_that_cannot_be_used_is_named() -> None:
    result = RUN.invoke(raising(PermissionError(13, "Permission denied", "a/b")), [])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "a/b cannot be used: Permission denied\n")


def test_what_is_about_no_file_is_not_taken_for_one() -> None:
    with pytest.raises(OSError, match="Input/output error"):
        RUN.invoke(raising(OSError(EIO, "Input/output error")), [], catch_exceptions=False)


def test_a_command_that_did_its_work_ends_with_0() -> None:
    @ending
    def command() -> None:
        typer.echo("done")

    result = RUN.invoke(application(command), [])
    assert (result.exit_code, result.output) == (0, "done\n")


MISSING = {
    "check": ("--policies", "none"),
    "fmt": ("--policies", "none"),
    "test": ("--policies", "none"),
    "decide": ("--requests", "none"),
    "eval": (),
    "doctor": ("--centrifugo", "none"),
    "explain": ("--user", "42", "--op", "subscribe", "news:x", "--log", "none"),
    "who-can": ("subscribe", "news:x", "--policies", "none"),
    "matrix": ("--policies", "none"),
    "diff": ("none", "policies"),
    "replay": ("none",),
    "prove": ("--policies", "none"),
    "sign": ("--key", "none"),
    "publish": ("news:x", "{}", "--key", "NONE"),
    "outbox status": ("--store", "sqlite:///none"),
    "outbox retry": ("--all", "--store", "sqlite:///none"),
    "key new": ("Not A Name",),
    "config generate": ("--policies", "none"),
    "config convert": ("none",),
    "token mint": ("--user", "42", "--ttl", "soon"),
}
"""Arguments with which each command cannot do its work; `serve`, `dev` and `token verify` need more than arguments for that."""


@pytest.mark.parametrize(("name", "arguments"), MISSING.items(), ids=MISSING)
def test_each_command_says_in_short_why_it_cannot_do_its_work(name: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CENTRIGATE_TOKEN_KEY", "k" * 32)
    result = RUN.invoke(application(ALL[name]), arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert 0 < len(result.stderr.splitlines()) <= 2


def test_there_is_no_other_command() -> None:
    assert ALL.keys() - MISSING.keys() == {"serve", "dev", "token verify"}


def test_a_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    result = RUN.invoke(application(ALL["replay"]), [str(tmp_path), "--policies", str(ROOT / "policies")])
    assert (result.exit_code, result.stderr) == (2, f"{tmp_path} cannot be used: Is a directory\n")
