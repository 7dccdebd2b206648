"""The doctor visits a running pair: a healthy one, and those that suffer."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from proxy.app import create
from proxy.cli.doctor import doctor
from proxy.cli.server import listen, run
from proxy.review.doctor.examine import chart
from proxy.review.doctor.pair import Measured, pair
from proxy.review.doctor.visit import visit
from proxy.settings import Settings
from proxy.tokens.keys import keyring
from tests.live.clinic import Clinic, Hooks, clinic, vacant
from tests.live.servers import VERSIONS
from tests.review.doctor.scene import API, DROP, POLICY, TOKEN, changed, document, good, policy

pytestmark = pytest.mark.live

HOOK, OTHER = "hook-" * 8, "other-" * 8
TEXT = POLICY.replace(" && account(user)", "").replace("fact account", "// fact account")
CHOSEN = {"hook_secret": HOOK, "centrifugo_api_key": API, "token_key": TOKEN}
SECRETS = {
    "CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET": HOOK,
    "CENTRIFUGO_PROXY_STATIC_HTTP_HEADERS": f'{{"X-Centrigate-Hook-Secret": "{HOOK}"}}',
}
Changes = Mapping[str, object]


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """The service with the policy."""
    sockets = listen("127.0.0.1", 0)
    (folder / "policies").mkdir()
    (folder / "policies" / "a.policy").write_text(TEXT)
    places = {"store_url": f"sqlite:///{folder / 'store.db'}", "policies": folder / "policies"}
    settings = Settings.model_validate({**CHOSEN, **places})
    ready = asyncio.Event()
    running = asyncio.create_task(run(create(settings, policy(TEXT), {"IDP_KEY": "i" * 40}), sockets, ready.set))
    try:
        async with asyncio.timeout(10):
            await ready.wait()
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def together(version: str, folder: Path, changes: Changes, **variables: str) -> AsyncIterator[tuple[str, Clinic]]:
    config = changed(good(6 if version.startswith("6") else 5, TEXT), changes)
    async with serving(folder) as service, clinic(version, config, folder, service=service, variables={**SECRETS, **variables}) as it:
        yield service, it


async def seen(version: str, service: str, centrifugo: str, changes: Changes | None = None, **chosen: Any) -> Measured:  # noqa: ANN401 - settings
    """What a visit finds; `changes` are in the file that the doctor reads, not in the one that runs."""
    known, _ = chart(document(changed(good(6 if version.startswith("6") else 5, TEXT), changes or {})))
    port = int(service.rpartition(":")[2])
    settings = Settings.model_validate({**CHOSEN, "centrifugo_url": centrifugo, "port": port, **chosen})
    return await visit(pair(settings, known, keyring(settings)[0]), known, policy(TEXT))


def ids(measured: Measured) -> set[str]:
    return {each.id for each in measured.findings}


@pytest.mark.parametrize("version", VERSIONS)
async def test_nothing_is_found_at_a_healthy_pair(version: str, tmp_path: Path) -> None:
    async with together(version, tmp_path, {}) as (service, it):
        measured = await seen(version, service, it.server.url)
    assert measured.findings == ()
    assert all(0 < measured.times_ms[name] < 5000 for name in ("hook", "publication"))


SIX, FIVE = "6.9.1", "5.4.9"
CHAT, TOP = "channel.namespaces[0]", "channel.without_namespace"
SUFFERING: Mapping[str, tuple[str, Changes, set[str]]] = {
    "refresh": (SIX, {"client.proxy.refresh.enabled": DROP}, {"refresh-hook-missing"}),
    "refresh in version 5": (FIVE, {"proxy_refresh_endpoint": DROP}, {"refresh-hook-missing"}),
    "forged tokens": (SIX, {"client.insecure_skip_token_signature_verify": True}, {"foreign-token"}),
    "open API": (SIX, {"http_api.insecure": True}, {"open-api"}),
    "nobody": (
        SIX,
        {"client.allow_anonymous_connect_without_token": True, "client.proxy.connect.enabled": DROP},
        {"anonymous-connect"},
    ),
    "other keys": (
        SIX,
        {"client.subscription_token": {"enabled": True, "hmac_secret_key": OTHER}},
        {"token-refused"},
    ),
    "subscribe granted": (SIX, {f"{CHAT}.allow_subscribe_for_client": True, f"{CHAT}.subscribe_proxy_enabled": DROP}, {"flag-grants"}),
    "publish granted": (SIX, {f"{CHAT}.allow_publish_for_client": True, f"{CHAT}.publish_proxy_enabled": DROP}, {"flag-grants"}),
    "not asked": (FIVE, {"namespaces[0].proxy_subscribe": DROP}, {"hook-missing"}),
    "no namespace": (SIX, {f"{TOP}.publish_proxy_enabled": DROP}, {"hook-missing"}),
    "user limited": (SIX, {f"{TOP}.allow_user_limited_channels": True}, {"user-limited-channels"}),
    "presence": (SIX, {f"{CHAT}.allow_presence_for_client": True}, {"presence-for-everybody"}),
    "history": (FIVE, {"namespaces[0].allow_history_for_client": True}, {"history-for-everybody"}),
    "no presence": (SIX, {f"{CHAT}.presence": DROP}, {"presence-missing"}),
    "no history": (FIVE, {"history_size": DROP, "history_ttl": DROP, "force_recovery": DROP}, {"history-missing"}),
    "away": (SIX, {"channel.proxy.publish.endpoint": "http://127.0.0.1:1/centrifugo/publish"}, {"hook-fails"}),
}


@pytest.mark.parametrize("case", SUFFERING)
async def test_what_a_pair_suffers_from_is_found(case: str, tmp_path: Path) -> None:
    version, changes, expected = SUFFERING[case]
    async with together(version, tmp_path, changes) as (service, it):
        assert ids(await seen(version, service, it.server.url)) == expected


async def test_a_map_namespace_and_one_without_names_left_are_not_tried(tmp_path: Path) -> None:
    board = {"name": "board", "subscription_type": "map", "map": {"mode": "ephemeral", "key_ttl": "60s"}}
    changes = {"channel.namespaces[2]": board}
    async with together(SIX, tmp_path, changes) as (service, it):
        assert ids(await seen(SIX, service, it.server.url, changes)) == set()


async def test_secrets_that_differ_are_found(tmp_path: Path) -> None:
    async with together(SIX, tmp_path, {}) as (service, it):
        assert ids(await seen(SIX, service, it.server.url, hook_secret=OTHER)) == {"hook-secret-refused"}
        assert ids(await seen(SIX, service, it.server.url, centrifugo_api_key=OTHER)) == {"api-key-refused"}
        assert ids(await seen(SIX, service, it.server.url, token_key=OTHER)) == {"token-refused"}


async def test_a_centrifugo_with_another_hook_secret_gets_no_answers(tmp_path: Path) -> None:
    async with together(SIX, tmp_path, {}, CENTRIFUGO_VAR_CENTRIGATE_HOOK_SECRET=OTHER) as (service, it):
        assert ids(await seen(SIX, service, it.server.url)) == {"hook-fails"}


async def test_the_file_of_another_version_is_noticed(tmp_path: Path) -> None:
    async with together(FIVE, tmp_path, {}) as (service, it):
        assert ids(await seen(SIX, service, it.server.url)) == {"other-version"}


async def test_slow_hooks_and_clocks_that_differ_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with together(SIX, tmp_path, {}) as (service, it):
        (slow,) = (await seen(SIX, service, it.server.url, {"channel.proxy.publish.timeout": "1us"})).findings
        assert (slow.id, slow.key) == ("slow-hooks", "channel.proxy.publish.timeout")
        monkeypatch.setattr("proxy.review.doctor.probes.SKEW_S", -1.0)
        assert ids(await seen(SIX, service, it.server.url)) == {"clock-skew"}


async def test_who_is_away_is_named(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{vacant()}"
    async with together(SIX, tmp_path, {}) as (service, it):
        assert ids(await seen(SIX, nobody, it.server.url)) == {"service-away"}
        assert ids(await seen(SIX, service, nobody)) == {"centrifugo-away"}
        # Each in the place of the other.
        assert ids(await seen(SIX, it.server.url, it.server.url)) == {"service-away"}
        assert ids(await seen(SIX, service, service)) == {"centrifugo-away"}


async def test_a_service_that_lets_everybody_in_is_found(tmp_path: Path) -> None:
    hooks = Hooks()
    async with hooks.running() as open_, together(SIX, tmp_path, {}) as (_, it):
        assert ids(await seen(SIX, open_, it.server.url)) == {"hook-open"}


async def test_a_visit_disturbs_nobody(tmp_path: Path) -> None:
    async with together(SIX, tmp_path, {}) as (service, it):
        await seen(SIX, service, it.server.url)
        channels = (await it.api("channels", {})).json()["result"].get("channels", {})
    assert all(name.startswith("centrigate-doctor") for name in channels)


async def test_the_command_visits_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(doctor)
    async with together(SIX, tmp_path, {}) as (service, it):
        (tmp_path / "centrifugo-config.json").write_text(json.dumps(good(6, TEXT)))
        chosen = {**CHOSEN, "centrifugo_url": it.server.url, "host": "0.0.0.0", "port": service.rpartition(":")[2]}  # noqa: S104 - as it is set
        given = {f"CENTRIGATE_{name.upper()}": value for name, value in chosen.items()}
        text = await asyncio.to_thread(CliRunner(env=given).invoke, app, ["--live"])
        told = await asyncio.to_thread(CliRunner(env=given).invoke, app, ["--live", "--format", "json"])
    assert (text.exit_code, text.stderr) == (0, "")
    assert re.fullmatch(r"hook took [0-9.]+ ms\npublication took [0-9.]+ ms\nno findings\n", text.stdout)
    assert set(json.loads(told.stdout)["times_ms"]) == {"hook", "publication"}
