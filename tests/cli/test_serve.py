import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SECRETS = {f"CENTRIGATE_{name}": letter * 32 for name, letter in (("HOOK_SECRET", "h"), ("CENTRIFUGO_API_KEY", "a"), ("TOKEN_KEY", "t"))}
POLICY = 'language 1;\nidentity visitor { guest; }\nchannel "news:{x}" { allow subscribe; }\n'
COMMAND = (sys.executable, "-c", "import typer; from proxy.cli.serve import serve; typer.run(serve)")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "base.policy").write_text(POLICY)
    return tmp_path


def start(place: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CENTRIGATE_")}
    environment = kept | SECRETS | {"CENTRIGATE_PORT": "0", "PYTHONPATH": str(ROOT)} | variables
    return subprocess.Popen([*COMMAND, *arguments], cwd=place, env=environment, stderr=subprocess.PIPE, text=True)


def failed(place: Path, **variables: str) -> str:
    with start(place, **variables) as process:
        _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    return told


@pytest.mark.parametrize(("arguments", "message"), [((), "unknown channel"), (("--explain-to-clients",), "unknown channel: no_channel")])
def test_the_service_serves_until_it_is_told_to_stop(place: Path, arguments: tuple[str, ...], message: str) -> None:
    with start(place, *arguments) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "is in force at" in line)
        address = line.split()[-1]
        body = {"client": "c", "transport": "websocket", "protocol": "json", "encoding": "json", "user": "", "channel": "none:1"}
        got = httpx.post(f"{address}/centrifugo/subscribe", json=body, headers={"x-centrigate-hook-secret": "h" * 32})
        assert got.json() == {"error": {"code": 102, "message": message, "temporary": False}}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_findings_are_shown_where_they_are(place: Path) -> None:
    with start(place) as process:
        assert process.stderr is not None
        told = next(line for line in process.stderr if "no-tests" in line)
        assert any("is in force" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert told.startswith("base.policy:1:1: warning no-tests")


def test_a_hangup_has_the_policies_read_again(place: Path) -> None:
    with start(place) as process:
        assert process.stderr is not None
        assert any("is in force at" in line for line in process.stderr)
        (place / "policies" / "base.policy").write_text(POLICY.replace("news", "old"))
        process.send_signal(signal.SIGHUP)
        assert any("is in force" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_broken_policy_does_not_start(place: Path) -> None:
    (place / "policies" / "base.policy").write_text(POLICY + 'channel "x" { allow subscribe when usr == ""; }\n')
    told = failed(place)
    assert "base.policy:4:36: error unknown-name" in told
    assert "the policy in policies cannot be used: 1 error" in told


def test_a_missing_folder_does_not_start(place: Path) -> None:
    assert failed(place, CENTRIGATE_POLICIES="elsewhere").startswith("elsewhere:1:1: error unreadable: this is no folder\n  = give the")


def test_missing_settings_do_not_start(place: Path) -> None:
    assert "CENTRIGATE_TOKEN_KEY is not set: make one with" in failed(place, CENTRIGATE_TOKEN_KEY="")
