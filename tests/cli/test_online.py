import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli import online
from proxy.cli.check import check
from tests.delivery.centrifugos import KEY, Place, running
from tests.live.postgres import postgres

POLICY = """language 1;
database main { url env MAIN; }
fact age(uid: string) -> int { sql main "select length(:uid)"; timeout 2s; }
channel "x:{y}" { allow subscribe when age(user) == 2 expire 5m; }
service orders { key env ORDERS; allow publish on "x:{y}" when vars.y == "1" limit 1/1s schema "schemas/any.json"; }
"""
SETTINGS = {"HOOK_SECRET": "h" * 32, "CENTRIFUGO_API_KEY": KEY, "TOKEN_KEY": "t" * 32}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a policy; what it names is in the environment."""
    (tmp_path / "policies" / "schemas").mkdir(parents=True)
    (tmp_path / "policies" / "a.policy").write_text(POLICY)
    (tmp_path / "policies" / "a.test.policy").write_text("language 1;\n")
    (tmp_path / "policies" / "schemas" / "any.json").write_text("{}")
    (tmp_path / "main.db").touch()
    monkeypatch.chdir(tmp_path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"CENTRIGATE_{name}", value)
    monkeypatch.setenv("MAIN", f"sqlite:///{tmp_path}/main.db")
    monkeypatch.setenv("ORDERS", "o" * 16)
    return tmp_path


@contextmanager
def centrifugo(folder: Path) -> Iterator[Place]:
    """A Centrifugo beside the command, which has a loop of its own; in a thread of its own it would leave greenlets behind."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        place = runner.run(stack.enter_async_context(running("6.9.1", folder)))
        try:
            yield place
        finally:
            runner.run(stack.aclose())


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, ["--online", *arguments])


@pytest.mark.parametrize("way", ["URL", "GRPC"])
def test_what_works_has_no_findings(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with centrifugo(folder) as place:
        monkeypatch.setenv(f"CENTRIGATE_CENTRIFUGO_{way}", place.server.url if way == "URL" else place.target)
        result = run()
        assert (result.exit_code, result.output) == (0, "3 files: no findings\n")
        assert not (folder / "var").exists()
        monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_API_KEY", "another-key-than-centrifugo-knows-0123")
        result = run()
    assert result.exit_code == 1
    assert "../.env:1:1: error unreachable: " in result.output
    assert f"  = start it, or correct CENTRIGATE_CENTRIFUGO_{way}\n" in result.output


def test_what_does_not_is_a_finding_with_file_and_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("A=1\nCENTRIGATE_CENTRIFUGO_URL=http://127.0.0.1:1\n")
    monkeypatch.setenv("MAIN", "")
    result = run("--format", "json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert [(each["id"], each["file"], each["line"]) for each in findings] == [
        ("unreachable", "../.env", 2), ("unusable", "a.policy", 2),
    ]  # fmt: skip
    assert "CENTRIGATE_CENTRIFUGO_URL" in findings[0]["message"]


def test_settings_that_cannot_be_used_are_findings_and_the_policy_is_tried_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("\nexport CENTRIGATE_POTR = 1\n")
    monkeypatch.delenv("CENTRIGATE_HOOK_SECRET")
    monkeypatch.setenv("ORDERS", "")
    result = run()
    assert result.exit_code == 1
    for line in ("../.env:2:1: ", "../.env:1:1: ", "a.policy:5:9: "):
        assert f"{line}error unusable" in result.output
    assert "CENTRIGATE_POTR is no setting: did you mean CENTRIGATE_PORT?" in result.output
    assert "CENTRIGATE_HOOK_SECRET is not set" in result.output
    assert KEY not in result.output


@pytest.mark.usefixtures("folder")
def test_a_token_key_that_cannot_sign_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRIGATE_TOKEN_ALGORITHM", "RS256")
    result = run()
    assert result.exit_code == 1
    assert "error unusable" in result.output
    assert "t" * 32 not in result.output


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_durable_service_needs_a_store_that_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (folder / "policies" / "a.policy").write_text(POLICY.replace("key env ORDERS;", "key env ORDERS; delivery durable;"))
    with centrifugo(folder) as place:
        monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_URL", place.server.url)
        if kind == "sqlite":
            result = run()
        else:
            with postgres() as server:
                monkeypatch.setenv("CENTRIGATE_STORE_URL", server.url)
                result = run()
        assert (result.exit_code, result.output) == (0, "3 files: no findings\n")
        monkeypatch.setenv("CENTRIGATE_STORE_URL", f"sqlite:///{folder}" if kind == "sqlite" else server.url)
        result = run()
    assert result.exit_code == 1
    assert "the store of CENTRIGATE_STORE_URL cannot be opened" in result.output
    assert "postgres-secret" not in result.output


@pytest.mark.usefixtures("folder")
def test_what_does_not_answer_in_time_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("CENTRIGATE_CENTRIFUGO_URL", f"http://127.0.0.1:{mute.getsockname()[1]}")
        result = run()
    assert result.exit_code == 1
    assert "no answer within 0.1 s" in result.output


def test_a_policy_that_does_not_load_is_not_tried(folder: Path) -> None:
    (folder / "policies" / "a.policy").write_text("language 1;\nlet a = usr;\n")
    result = run()
    assert result.exit_code == 1
    assert "unknown-name" in result.output
    assert ".env" not in result.output


def test_a_file_of_settings_that_is_no_text_is_a_usage_error(folder: Path) -> None:
    (folder / ".env").write_bytes(b"\xff")
    result = run()
    assert result.exit_code == 2
    assert result.stderr == ".env is not UTF-8 text\n"
