import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.doctor import doctor
from tests.house.tree import ROOT
from tests.live.clinic import vacant
from tests.review.doctor.scene import POLICY, Config, changed, good


def run(*arguments: object, **environment: str) -> Result:
    app = typer.Typer()
    app.command()(doctor)
    return CliRunner(env=environment).invoke(app, [str(each) for each in arguments])


class Desk:
    """A folder with a policy and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.policies, self.config = folder / "policies", folder / "c.json"
        self.policies.mkdir()
        (self.policies / "a.policy").write_text(POLICY)
        self.write(good(6))

    def write(self, config: Config) -> None:
        self.config.write_text(json.dumps(config, indent=1))

    def run(self, *arguments: object, **environment: str) -> Result:
        return run("--centrifugo", self.config, "--policies", self.policies, *arguments, **environment)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # Settings would be read from a file of this name, too.
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def test_nothing_is_found_in_what_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run()
    assert (result.exit_code, result.stdout) == (0, "no findings\n")


def test_a_security_finding_fails_with_its_line_and_what_to_do(desk: Desk) -> None:
    desk.write(changed(good(6), {"client.insecure": True}))
    result = desk.run()
    line = 1 + desk.config.read_text().splitlines().index('  "insecure": true')
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{desk.config}:{line}: security insecure-switch: client.insecure\n")
    assert result.stdout.endswith("1 finding\n")


def test_a_warning_does_not_fail(desk: Desk) -> None:
    desk.write(changed(good(6), {"channel.proxy.subscribe.timeout": "10s", "channel.proxy.publish.timeout": "10s"}))
    result = desk.run()
    assert result.exit_code == 0
    assert result.stdout.endswith("2 findings\n")


def test_programs_and_code_hosts_have_their_forms(desk: Desk) -> None:
    desk.write(changed(good(6), {"client.insecure": True}))
    assert [each["id"] for each in json.loads(desk.run("--format", "json").stdout)["findings"]] == ["insecure-switch"]
    assert json.loads(desk.run("--format", "sarif").stdout)["version"] == "2.1.0"


def test_the_version_can_be_said(desk: Desk) -> None:
    desk.write(good(5))
    assert desk.run().exit_code == 0
    assert "unknown-key" in desk.run("--centrifugo-version", "6").stdout
    assert desk.run("--centrifugo-version", "7").exit_code == 2


def test_the_environment_can_be_given_as_a_file(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "centrifugo.env"
    file.write_text('export CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET=$HOME\nCENTRIFUGO_CLIENT_INSECURE="true"\nEMPTY\n')
    result = desk.run("--env-file", file)
    assert result.exit_code == 1
    assert "client.insecure (CENTRIFUGO_CLIENT_INSECURE)" in result.stdout
    assert result.stdout.endswith("1 finding\n")


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        (lambda desk: desk.config.unlink(), "cannot be used: No such file"),
        (lambda desk: desk.config.write_text("["), "cannot be read"),
        (lambda desk: (desk.policies / "a.policy").write_text("language 1;\nlet"), "cannot be used"),
    ],
)
def test_what_cannot_be_compared_ends_with_2(desk: Desk, breaking: object, said: str) -> None:
    assert callable(breaking)
    breaking(desk)
    result = desk.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_file_of_variables_that_is_none_ends_with_2(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "x.env").write_bytes(b"A=\xff")
    for name, said in (("gone.env", "is no file"), ("x.env", "is not UTF-8")):
        result = desk.run("--env-file", tmp_path / name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr


def test_a_visit_needs_the_settings(desk: Desk) -> None:
    result = desk.run("--live")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CENTRIGATE_HOOK_SECRET is not set" in result.stderr


def test_a_visit_to_nobody_finds_nobody(desk: Desk) -> None:
    given = {
        "CENTRIGATE_HOOK_SECRET": "h" * 32,
        "CENTRIGATE_CENTRIFUGO_API_KEY": "a" * 32,
        "CENTRIGATE_TOKEN_KEY": "t" * 32,
        "CENTRIGATE_PORT": str(vacant()),
        "CENTRIGATE_CENTRIFUGO_URL": f"http://127.0.0.1:{vacant()}",
    }
    result = desk.run("--live", "--format", "json", **given)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [each["id"] for each in told["findings"]] == ["service-away", "centrifugo-away"]
    assert "times_ms" not in told
