import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import settings
from proxy.demo import supervisor
from tests.house.tree import ROOT, texts

BINARY = ROOT / ".tools" / "centrifugo-6.9.1"
CONFIG = json.loads((ROOT / "centrifugo-config.json").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EVENTS = {"connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc", "map_publish", "map_remove", "shared_poll_refresh"}


def _endpoints(value: Any) -> dict[str, str]:  # noqa: ANN401 - it walks JSON
    if not isinstance(value, dict):
        return {}
    here = {value["endpoint"].rpartition("/")[2]: value["endpoint"]} if "endpoint" in value else {}
    return here | {name: url for inner in value.values() for name, url in _endpoints(inner).items()}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_every_package_with_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert all("==" in line for line in text.splitlines() if line and not line.startswith((" ", "#")))
    assert text.count("==") <= text.count("--hash=sha256:")


def test_what_the_project_needs_is_locked_in_one_version() -> None:
    runtime, dev = (_pins((ROOT / lock).read_text()) for lock in ("requirements.lock", "requirements-dev.lock"))
    assert {_name(each) for each in PROJECT["project"]["dependencies"]} <= set(runtime)
    assert {_name(each) for each in PROJECT["dependency-groups"]["dev"]} <= set(dev)
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_lock_of_the_page_has_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert all("resolved" not in each and ("integrity" in each or not name) for name, each in lock["packages"].items())


def test_no_file_names_a_registry_or_a_place_on_a_machine() -> None:
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry." + "npmjs", "proxy." + "golang", "sum." + "golang")
    places = ("/ro" + "ot/", "/ho" + "me/", "/wo" + "rk/", "/Us" + "ers/")
    found = [
        (name, word) for name, text in texts().items() for word in (*hosts, *places) if re.search(rf"(?<![\w.]){re.escape(word)}", text)
    ]
    assert found == []


def test_the_readme_has_at_most_120_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_changelog_knows_this_version() -> None:
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE)) - {"static"}
    assert {"install", "run", "test", "check", "bench", "fmt", "help"} <= targets
    assert {line.split()[1] for line in shown.splitlines()} == targets


def test_the_configuration_is_strictly_clean() -> None:
    secrets = supervisor.environment(hook_secret="h" * 32, api_key="a" * 32, token_key="t" * 32)
    command = [str(BINARY), "checkconfig", "-s", "-c", "centrifugo-config.json"]
    done = subprocess.run(command, cwd=ROOT, env=dict(secrets), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_configuration_holds_no_secret() -> None:
    text = json.dumps(CONFIG)
    assert not re.search(r'"(key|secret|password|hmac_secret_key|api_key|insecure)"', text)
    interpolated = {"${CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET}"}
    assert set(re.findall(r'"X-Centrigate-Hook-Secret": "([^"]*)"', text)) == interpolated
    assert set(re.findall(r"\$\{[^}]*\}", text)) == interpolated


def test_every_hook_goes_to_its_path_at_the_address_that_the_service_has() -> None:
    fields = settings.Settings.model_fields
    address = f"http://{fields['host'].default}:{fields['port'].default}"
    assert _endpoints(CONFIG) == {event: f"{address}/centrifugo/{event}" for event in EVENTS}
    assert address in CONFIG["client"]["allowed_origins"]


def test_only_hooks_without_effects_may_be_repeated() -> None:
    proxies = {**CONFIG["client"]["proxy"], **CONFIG["channel"]["proxy"], "rpc": CONFIG["rpc"]["proxy"]}
    repeated = {event for event, each in proxies.items() if "X-Idempotency-Key" in each["http"]["static_headers"]}
    assert repeated == {"connect", "refresh", "subscribe", "sub_refresh", "shared_poll_refresh"}


def test_compose_sets_settings_that_exist() -> None:
    given = COMPOSE["services"]["centrigate"]["environment"]
    assert {name for name in given if name.startswith(settings.PREFIX)} <= set(settings.names())
    required = {settings.PREFIX + name.upper() for name, field in settings.Settings.model_fields.items() if field.is_required()}
    assert required <= set(given)


def test_compose_gives_the_policy_what_it_names() -> None:
    named = {name for file in (ROOT / "policies").glob("*.policy") for name in re.findall(r"\benv ([A-Z_]+)", file.read_text())}
    own = {"DATABASE_URL", "DEMO_IDENTITY_KEY"}  # made by the demo itself
    assert named - own <= set(COMPOSE["services"]["centrigate"]["environment"])
    assert COMPOSE["services"]["centrigate"]["command"] == ["centrigate", "dev", "--attach"]


def test_compose_turns_the_hooks_to_the_service_and_gives_centrifugo_its_secrets() -> None:
    given = COMPOSE["services"]["centrifugo"]["environment"]
    secrets = supervisor.environment(hook_secret="", api_key="", token_key="")
    assert {name: given[name] for name in supervisor.endpoints("")} == supervisor.endpoints("http://centrigate:8010")
    assert set(given) == {*supervisor.endpoints(""), *secrets}
    assert all(re.fullmatch(r"\$\{\w+:\?.+\}", given[name]) for name in secrets)


def test_compose_runs_the_pinned_server_and_asks_after_the_health_of_both() -> None:
    services = COMPOSE["services"]
    assert services["centrifugo"]["image"].endswith(f":v{BINARY.name.rpartition('-')[2]}")
    for name, port in (("centrigate", 8010), ("centrifugo", 8000)):
        assert f"http://127.0.0.1:{port}/health" in " ".join(services[name]["healthcheck"]["test"])
        assert services[name]["ports"][0] | {"name": ""} == {"name": "", "target": port, "published": str(port), "host_ip": "127.0.0.1"}


def test_nothing_secret_gets_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not any(line.startswith("!.env") for line in ignored)
    assert re.search(r"^USER \w+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_what_ci_runs_is_a_program() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def _name(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement, maxsplit=1)[0].lower()


def _pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))


def test_the_license_is_the_one_that_is_named() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in Path(ROOT / "LICENSE").read_text()
