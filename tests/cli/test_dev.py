import sys

import pytest
import typer
from rich.console import Console

from proxy.cli import server
from proxy.cli.dev import dev as command
from proxy.demo import dev
from proxy.errors import SetupFault


@pytest.mark.parametrize(("went", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_tells_how_the_scenario_went(monkeypatch: pytest.MonkeyPatch, went: bool, code: int) -> None:  # noqa: FBT001 - parameters
    given: list[object] = []

    async def run(options: dev.Options, host: dev.Host, console: Console) -> bool:
        given.extend((options, host, type(console)))
        return went

    monkeypatch.setattr(dev, "run", run)
    with pytest.raises(typer.Exit) as exit_:
        command(once=True, port=1, centrifugo_port=2)
    assert exit_.value.exit_code == code
    assert given == [dev.Options(once=True, port=1, centrifugo_port=2), server, Console]


def test_what_must_be_changed_first_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def run(*_: object) -> bool:
        raise SetupFault("change this")

    monkeypatch.setattr(dev, "run", run)
    with pytest.raises(typer.Exit) as exit_:
        command()
    assert (exit_.value.exit_code, capsys.readouterr().err) == (2, "change this\n")


def test_where_only_the_service_is_installed_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "proxy.demo.dev", None)
    with pytest.raises(typer.Exit) as exit_:
        command()
    assert exit_.value.exit_code == 2
    assert capsys.readouterr().err.endswith("is not installed: install centrigate[demo]\n")
