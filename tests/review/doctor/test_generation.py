import json
import re
import subprocess
from pathlib import Path

import pytest

from proxy.policy.load import load
from proxy.review.doctor.examine import examine
from proxy.review.doctor.generation import WIDTH, generate, text
from proxy.review.doctor.vocabulary import Version
from proxy.stores import folder
from tests.house.tree import ROOT
from tests.live.servers import binary
from tests.review.doctor.scene import ORIGIN, SERVICE, document, found, policy

BEYOND = [
    {
        "name": "board",
        "subscription_type": "map",
        "sub_refresh_proxy_enabled": True,
        "map": {"mode": "ephemeral", "key_ttl": "60s", "publish_proxy_enabled": True, "remove_proxy_enabled": True},
    },
    {"name": "poll", "subscription_type": "shared_poll", "subscribe_proxy_enabled": True, "sub_refresh_proxy_enabled": True},
]
"""What the shipped configuration has beyond its policy: it enables every hook, and the policy has neither maps nor polls."""
MAPS = """language 1;
channel "board:{x}" { allow subscribe, map_publish; }
rpc "adm:a" { allow; answer = 1; }
rpc "b" { allow; answer = 1; }"""


def test_the_shipped_configuration_is_the_one_that_its_policy_needs() -> None:
    files, _ = folder.read(ROOT / "policies")
    shipped = load(files).policy
    assert shipped
    made = dict(generate(shipped, SERVICE, [SERVICE, SERVICE.replace("127.0.0.1", "localhost")]))
    made["channel"]["namespaces"] += BEYOND
    assert (ROOT / "centrifugo-config.json").read_text() == text(made) + "\n"


@pytest.mark.live
def test_version_6_takes_it_strictly(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(text(generate(policy(), SERVICE, [ORIGIN])))
    command = [str(binary("6.9.1")), "checkconfig", "-s", "-c", str(file)]
    done = subprocess.run(command, env={"CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": "h" * 32}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.live
def test_version_5_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(text(generate(policy(), SERVICE, [ORIGIN], 5)))
    done = subprocess.run([binary("5.4.9"), "checkconfig", "-c", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("version", [6, 5])
def test_the_doctor_finds_nothing_in_it(version: Version) -> None:
    assert found(dict(generate(policy(), SERVICE, [ORIGIN], version))) == []


def test_no_flag_is_wider_than_the_policy() -> None:
    chat, news = generate(policy(), SERVICE, [ORIGIN])["channel"]["namespaces"]
    assert (chat["name"], chat["allow_presence_for_subscriber"], chat["allow_history_for_subscriber"]) == ("chat", True, True)
    assert news == {"name": "news", "subscribe_proxy_enabled": True, "publish_proxy_enabled": True, "sub_refresh_proxy_enabled": True}


def test_map_channels_and_methods_with_a_namespace_get_theirs() -> None:
    made = generate(policy(MAPS), SERVICE, [ORIGIN])
    assert made["channel"]["namespaces"] == BEYOND[:1]
    assert made["rpc"]["namespaces"] == [{"name": "adm", "proxy_enabled": True}]
    assert found(dict(made), MAPS) == []


def test_version_5_gets_no_map_channels() -> None:
    made = generate(policy(MAPS), SERVICE, [ORIGIN], 5)
    assert made["namespaces"] == []
    assert not [name for name in made if "map" in name]


def test_every_header_that_an_identity_reads_is_sent() -> None:
    read = """language 1;
identity i { jwt from header "x-session"; issuer "i"; audience "a"; algorithms HS256; keys env K; user = claims.sub; }
channel "a:{b}" { allow subscribe; }"""
    made = generate(policy(read), SERVICE, [ORIGIN])
    assert made["client"]["proxy"]["connect"]["http_headers"][-1] == "x-session"
    assert found(dict(made), read) == []


def test_the_text_is_the_same_json_in_lines_that_fit() -> None:
    made = generate(policy(), SERVICE, [ORIGIN])
    written = text(made)
    assert json.loads(written) == made
    assert max(len(line) for line in written.splitlines()) <= WIDTH
    assert re.search(r'^  "health": \{"enabled": true\},$', written, re.MULTILINE)


@pytest.mark.parametrize("version", [6, 5])
@pytest.mark.parametrize("name", sorted(each.name for each in (ROOT / "tests/conformance/decide").iterdir() if each.is_dir()))
def test_the_doctor_finds_nothing_in_what_any_policy_needs(name: str, version: Version) -> None:
    files, _ = folder.read(ROOT / "tests/conformance/decide" / name)
    loaded = load(files).policy
    assert loaded
    made = generate(loaded, SERVICE, [ORIGIN], version)
    # Some have rules for streams and for maps in one namespace, which Centrifugo cannot have.
    assert {each.id for each in examine(document(made), loaded)} <= {"other-kind"}
