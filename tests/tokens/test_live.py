import json
import subprocess
import time
from pathlib import Path

import pytest

from proxy.demo.provide import provide
from proxy.policy.decision import Allow
from proxy.policy.policy import Person
from proxy.tokens.mint import Minter

KEY = "k" * 32
ROOT = Path(__file__).parents[2]
CONFIGURATIONS: dict[str, dict[str, object]] = {
    "6.9.1": {"client": {"token": {"hmac_secret_key": KEY}}, "channel": {"namespaces": [{"name": "chat"}]}},
    "5.4.9": {"token_hmac_secret_key": KEY, "namespaces": [{"name": "chat"}]},
}

pytestmark = [pytest.mark.live, pytest.mark.parametrize("version", CONFIGURATIONS)]


def minter(age_s: int = 0, key: str = KEY) -> Minter:
    return Minter(key, 600, 60, lambda: (int(time.time()) - age_s) * 1000)


def allow(**given: object) -> Allow:
    return Allow(rule="r", at="a:1", revision="1", facts={}, **given)  # type: ignore[arg-type]  # fields by name


def check(version: str, folder: Path, command: str, token: str) -> tuple[int, str]:
    """The exit code of Centrifugo's own checker, and what it says."""
    config = folder / "config.json"
    config.write_text(json.dumps(CONFIGURATIONS[version]))
    done = subprocess.run(
        [provide(version, root=ROOT), command, "-c", config, token], capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout + done.stderr


PERSON = Person(user="42", meta={"roles": ["x"]}, info={"name": "Ada"})


def test_centrifugo_accepts_a_connection_token(version: str, tmp_path: Path) -> None:
    channels = {"chat:doc-7": allow(info={"role": "editor"}, data=[1]), "notifications#42": allow()}
    full = minter().connection(PERSON, allow(channels=channels, expire_ms=3_600_000, jitter=10)).token
    code, said = check(version, tmp_path, "checktoken", full)
    assert (code, "valid token for user 42" in said) == (0, True), said
    assert '"roles"' in said
    assert '"role"' in said


def test_centrifugo_accepts_the_token_of_a_guest(version: str, tmp_path: Path) -> None:
    code, said = check(version, tmp_path, "checktoken", minter().connection(Person(user=""), allow()).token)
    assert (code, "valid token" in said) == (0, True), said


def test_centrifugo_accepts_a_subscription_token(version: str, tmp_path: Path) -> None:
    for decided in (allow(), allow(info={"role": "editor"}, data={"x": 1}, expire_ms=300_000)):
        code, said = check(version, tmp_path, "checksubtoken", minter().subscription("42", "chat:doc-7", decided).token)
        assert (code, "valid subscription token for user" in said, "chat:doc-7" in said) == (0, True, True), said


def test_centrifugo_refuses_what_is_over_forged_or_of_the_other_kind(version: str, tmp_path: Path) -> None:
    for command, token in (
        ("checktoken", minter(age_s=700).connection(PERSON, allow()).token),
        ("checktoken", minter(key="o" * 32).connection(PERSON, allow()).token),
        ("checktoken", minter().subscription("42", "chat:doc-7", allow()).token),
        ("checksubtoken", minter(age_s=70).subscription("42", "chat:doc-7", allow()).token),
        ("checksubtoken", minter().connection(PERSON, allow()).token),
    ):
        assert check(version, tmp_path, command, token)[0] == 1
