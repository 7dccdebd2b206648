import asyncio
import io
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from proxy.cli import server
from proxy.demo import dev
from proxy.demo.provide import PINNED
from proxy.demo.scenario import STEPS
from proxy.demo.stage import Stage, Step, Unexpected
from proxy.demo.supervisor import Neighbour
from proxy.errors import SetupFault
from proxy.stores import folder
from tests.docs.pages import page
from tests.live.servers import ROOT, Secrets, binary, centrifugo

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CENTRIFUGO", str(binary(PINNED)))


async def played(tmp_path: Path, *steps: Step, once: bool = True) -> tuple[bool, str]:
    shown = io.StringIO()
    env, database = tmp_path / ".env", tmp_path / "var" / "demo.db"
    policies = database.parent / "policies"
    options = dev.Options(once=once, port=0, centrifugo_port=0, steps=steps or STEPS, env=env, database=database, policies=policies)
    return await dev.run(options, server, Console(file=shown, width=200)), shown.getvalue()


def told(text: str) -> list[str]:
    """The steps of the scenario that a text shows, each with its lines and without its times."""
    return [re.sub(r"\d+ ms", "N ms", each) for each in re.findall(r"^ \d\d ✓ .+(?:\n {6}.+)+", text, re.MULTILINE)]


async def test_the_scenario_is_played_once_as_the_pages_tell_with_secrets_that_are_made_for_it(tmp_path: Path) -> None:
    went, shown = await played(tmp_path)
    assert went
    pages = told((ROOT / "README.md").read_text() + page("demo"))
    assert pages
    assert set(pages) < set(told(shown))
    assert "All 29 steps went as they must." in shown
    assert "/demo#" not in shown
    assert not [line for line in (tmp_path / ".env").read_text().splitlines() if line.partition("=")[2] in shown]


async def test_the_scenario_is_played_with_a_centrifugo_that_somebody_else_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as vacant:
        port = vacant.getsockname()[1]
    keys = Secrets()
    async with centrifugo(PINNED, f"http://127.0.0.1:{port}", tmp_path, keys) as running:
        given = {"HOOK_SECRET": keys.hook, "CENTRIFUGO_API_KEY": keys.api, "TOKEN_KEY": keys.token, "CENTRIFUGO_URL": running.url}
        for name, value in given.items():
            monkeypatch.setenv(f"CENTRIGATE_{name}", value)
        for name in ("ORDERS_KEY", "NEWSROOM_KEY", "APPLICATION_KEY"):
            monkeypatch.setenv(name, name * 4)
        shown = io.StringIO()
        options = dev.Options(
            once=True, attach=True, port=port, env=tmp_path / ".env", database=tmp_path / "demo.db", policies=tmp_path / "p"
        )
        assert await dev.run(options, server, Console(file=shown, width=200)), shown.getvalue()
    assert not (tmp_path / ".env").exists()


async def test_a_centrifugo_that_does_not_come_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.demo.supervisor.NEIGHBOUR_S", 0.01)
    with pytest.raises(SetupFault, match=r"http://127\.0\.0\.1:1 was not healthy"):
        await Neighbour("http://127.0.0.1:1").healthy()


async def test_a_step_that_goes_wrong_ends_it(tmp_path: Path) -> None:
    async def wrong(_stage: Stage) -> str:
        raise Unexpected("saw nonsense")

    went, shown = await played(tmp_path, Step(title="A step", play=wrong), once=False)
    assert not went
    assert "A step: saw nonsense" in shown


async def test_a_centrifugo_that_ends_ends_everything_and_its_log_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forever(_stage: Stage) -> str:
        await asyncio.Event().wait()
        return ""

    async def ended(_self: object) -> None:
        raise SetupFault("Centrifugo ended unasked")

    monkeypatch.setattr("proxy.demo.dev.Supervisor.watch", ended)
    with pytest.raises(SetupFault, match="ended unasked"):
        await played(tmp_path, Step(title="A step", play=forever))


async def test_a_policy_with_errors_is_refused_with_its_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.policy").write_text("language 1;\nconnect { allow when nobody; }\n")
    monkeypatch.setenv("CENTRIGATE_POLICIES", str(tmp_path / "policies"))
    with pytest.raises(SetupFault, match=r"a\.policy:2:22: error unknown-name"):
        await played(tmp_path)


async def test_a_taken_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("CENTRIGATE_PORT", str(taken.getsockname()[1]))
        chosen = dev.Options(once=True, env=tmp_path / ".env", database=tmp_path / "demo.db", policies=tmp_path / "p")
        with pytest.raises(SetupFault, match=rf"127\.0\.0\.1:{taken.getsockname()[1]} is in use.*CENTRIGATE_PORT"):
            await dev.run(chosen, server, Console(file=io.StringIO()))


async def lines(reader: asyncio.StreamReader, wanted: str) -> Sequence[str]:
    read: list[str] = []
    async with asyncio.timeout(60):
        while not read or wanted not in read[-1]:
            read.append((await reader.readline()).decode())
            assert read[-1], read
    return read


async def test_it_stays_up_until_ctrl_c_and_then_nothing_is_left(tmp_path: Path) -> None:
    program = "import sys; from proxy.cli import main; sys.argv[0] = 'centrigate'; main()"
    arguments = ("dev", "--port", "0", "--centrifugo-port", "0")
    for name in ("policies", "centrifugo-config.json"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CENTRIGATE_")} | {"PYTHONPATH": str(ROOT)}
    process = await create_subprocess_exec(sys.executable, "-c", program, *arguments, cwd=tmp_path, env=environment, stdout=PIPE)
    assert process.stdout is not None
    shown = await lines(process.stdout, "Ctrl-C stops everything.")
    addresses = [line.split()[-1].partition("/demo")[0] for line in shown if "http://" in line]
    async with httpx.AsyncClient(trust_env=False) as http:
        ready = await http.get(f"{addresses[0]}/ready")
        assert ready.status_code == 200, ready.text
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        assert await process.wait() == 0
    assert any("make install" in line for line in shown)
    assert any(f"{tmp_path}/var/demo/policies (edit it and watch)" in line for line in shown)
    assert folder.read(tmp_path / "var/demo/policies") == folder.read(ROOT / "policies")
    for address in addresses:
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=1).close()


async def test_the_command_says_what_to_change_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    environment = {**os.environ, "CENTRIFUGO": str(tmp_path / "missing"), "PYTHONPATH": str(ROOT)}
    process = await create_subprocess_exec(sys.executable, "-m", "proxy", "dev", "--once", cwd=tmp_path, env=environment, stderr=PIPE)
    _, told = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert told.decode().startswith("CENTRIFUGO=")
