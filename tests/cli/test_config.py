import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.config import convert, generate
from tests.house.tree import ROOT

FLAT = {"port": 8000, "token_hmac_secret_key": "s", "namespaces": [{"name": "chat", "proxy_subscribe": True}]}


def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.command("generate")(generate)
    app.command("convert")(convert)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "a.policy").write_text('language 1;\nchannel "chat:{x}" { allow subscribe; }\n')
    return tmp_path


def test_the_demo_policy_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("generate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [each["name"] for each in json.loads(result.stdout)["channel"]["namespaces"]] == ["chat", "news"]


def test_addresses_can_be_chosen(policies: Path) -> None:
    made = json.loads(
        run("generate", "--policies", policies, "--service", "https://gate.example/x/", "--origin", "https://a.example").stdout
    )
    assert made["client"]["proxy"]["connect"]["endpoint"] == "https://gate.example/x/centrifugo/connect"
    assert made["client"]["allowed_origins"] == ["https://a.example"]


@pytest.mark.parametrize(
    ("service", "origins"),
    [("http://127.0.0.1:1", ["http://127.0.0.1:1", "http://localhost:1"]), ("http://gate:1", ["http://gate:1"])],
)
def test_the_service_itself_is_the_origin_that_is_always_there(policies: Path, service: str, origins: list[str]) -> None:
    assert json.loads(run("generate", "--policies", policies, "--service", service).stdout)["client"]["allowed_origins"] == origins


def test_version_5_gets_its_own_words(policies: Path) -> None:
    made = json.loads(run("generate", "--policies", policies, "--for", "5").stdout)
    assert (made["proxy_subscribe"], made["namespaces"][0]["name"]) == (True, "chat")


def test_channels_that_may_lie_anywhere_are_told(policies: Path) -> None:
    (policies / "a.policy").write_text('language 1;\nchannel "{x*}" { allow subscribe; }\n')
    result = run("generate", "--policies", policies)
    assert (result.exit_code, json.loads(result.stdout)["channel"]["namespaces"]) == (0, [])
    assert result.stderr == "the channels of {x*} may lie in any namespace: add those that you use\n"


@pytest.mark.parametrize("service", ["gate", "ftp://gate", "http://", "http://gate?x"])
def test_what_is_no_address_is_refused(policies: Path, service: str) -> None:
    result = run("generate", "--policies", policies, "--service", service)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--service must be an address" in result.stderr


def test_without_a_usable_policy_there_is_nothing_to_generate(tmp_path: Path) -> None:
    result = run("generate", "--policies", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_configuration_of_version_5_is_converted(tmp_path: Path) -> None:
    file = tmp_path / "v5.json"
    file.write_text(json.dumps(FLAT))
    result = run("convert", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "http_server": {"port": 8000},
        "client": {"token": {"hmac_secret_key": "s"}},
        "channel": {"namespaces": [{"name": "chat", "subscribe_proxy_enabled": True}]},
    }


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    file = tmp_path / "v5.yaml"
    file.write_text("sockjs: true\nport: http\nnamespaces:\n  - name: chat\n    subscribe_for_client: true\n")
    result = run("convert", file)
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"channel": {"namespaces": [{"name": "chat"}]}}
    assert set(result.stderr.splitlines()) == {
        "left out: sockjs, which version 6 does not have",
        "left out: port: it must be a whole number",
        "left out: namespaces[0].subscribe_for_client: version 5 does not know it",
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.json", '{"client": {}}', "is written for version 6 already"),
        ("c.json", "{", "cannot be read"),
        ("gone.json", None, "No such file"),
    ],
)
def test_what_is_no_configuration_of_version_5_is_refused(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    result = run("convert", tmp_path / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
