import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from proxy.demo import supervisor
from proxy.demo.supervisor import Supervisor, endpoints, environment
from proxy.errors import SetupFault

ROOT = Path(__file__).parents[2]
SIX, FIVE = (ROOT / ".tools" / f"centrifugo-{version}" for version in ("6.9.1", "5.4.9"))
CONFIG = ROOT / "centrifugo-config.json"


def _secrets() -> Mapping[str, str]:
    return environment(hook_secret="h" * 32, api_key="a" * 32, token_key="t" * 32)


async def test_version_six_runs_with_our_configuration_and_secrets() -> None:
    async with Supervisor(SIX, CONFIG, _secrets()) as running, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{running.url}/api/info", json={}, headers={"X-API-Key": "a" * 32})
        assert answer.json()["result"]["nodes"][0]["version"] == "6.9.1 OSS"


async def test_version_five_runs_too(tmp_path: Path) -> None:
    config = tmp_path / "five.json"
    config.write_text('{"health": true}')
    async with Supervisor(FIVE, config, {}) as running, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{running.url}/health")).status_code == 200


async def test_it_has_ended_when_the_block_ends() -> None:
    async with Supervisor(SIX, CONFIG, _secrets()) as running:
        url = running.url
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/health")


async def test_hooks_go_to_the_address_that_is_given(unused_tcp_port: int) -> None:
    called: asyncio.Queue[bytes] = asyncio.Queue()

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    variables = {**_secrets(), **endpoints(f"http://127.0.0.1:{unused_tcp_port}")}
    async with (
        await asyncio.start_server(service, "127.0.0.1", unused_tcp_port),
        Supervisor(SIX, CONFIG, variables) as running,
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("POST", f"{running.url}/connection/http_stream", content=b'{"id":1,"connect":{}}\n'),
        asyncio.timeout(10),
    ):
        head = await called.get()
    assert head.startswith(b"POST /centrifugo/connect ")
    assert b"X-Centrigate-Hook-Secret: " + b"h" * 32 in head


async def test_an_early_end_tells_the_end_of_the_log(tmp_path: Path) -> None:
    config = tmp_path / "broken.json"
    config.write_text('{"admin": true}')
    with pytest.raises(SetupFault, match=r"ended unasked, with exit code 1(.|\n)*'admin' expected a map"):
        await Supervisor(SIX, config, {}).__aenter__()


async def test_an_end_later_on_is_noticed() -> None:
    async with Supervisor(SIX, CONFIG, _secrets()) as running:
        watch = asyncio.create_task(running.watch())
        os.kill(_process(running).pid, signal.SIGKILL)
        with pytest.raises(SetupFault, match="exit code -9"):
            await watch


async def test_what_never_gets_healthy_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "no-health.json"
    config.write_text("{}")
    monkeypatch.setattr(supervisor, "START_S", 1.0)
    starting = Supervisor(SIX, config, {})
    with pytest.raises(SetupFault, match="not healthy within 1 s"):
        await starting.__aenter__()
    assert _process(starting).returncode is not None


async def test_a_port_in_use_is_told_beforehand() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupFault, match=f"127.0.0.1:{port} is in use"):
            await Supervisor(SIX, CONFIG, _secrets(), port=port).__aenter__()


async def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(SetupFault, match="cannot be used"):
        await Supervisor(SIX, CONFIG, _secrets(), host="192.0.2.1").__aenter__()


async def test_it_listens_on_version_six_of_the_internet_protocol() -> None:
    async with Supervisor(SIX, CONFIG, _secrets(), host="::1") as running:
        assert running.url == f"http://[::1]:{running.port}"


async def test_a_program_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_leash", tuple)
    with pytest.raises(SetupFault, match="cannot be run"):
        await Supervisor(tmp_path / "nothing", CONFIG, {}).__aenter__()


async def test_one_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "stubborn"
    program.write_text(f"#!{sys.executable}\n{_STUBBORN}")
    program.chmod(0o755)
    monkeypatch.setattr(supervisor, "STOP_S", 0.2)
    async with Supervisor(program, CONFIG, {}) as running:
        pass
    assert _process(running).returncode == -signal.SIGKILL


async def test_a_talkative_one_never_waits_for_us_and_only_the_end_is_kept(tmp_path: Path) -> None:
    program = tmp_path / "talkative"
    program.write_text(f"#!{sys.executable}\nfor i in range(100_000): print('line', i)\n")
    program.chmod(0o755)
    running = Supervisor(program, CONFIG, {})
    with pytest.raises(SetupFault, match="exit code 0"):
        await running.__aenter__()
    assert running.log.splitlines() == [f"line {number}" for number in range(99_980, 100_000)]


@pytest.mark.skipif(supervisor._leash() == (), reason="setpriv is not installed")
async def test_it_dies_with_us() -> None:
    host = await asyncio.create_subprocess_exec(sys.executable, "-c", _HOST, str(SIX), str(CONFIG), stdout=subprocess.PIPE, cwd=ROOT)
    assert host.stdout
    url = (await host.stdout.readline()).decode().strip()
    host.kill()
    await host.wait()
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
        while await supervisor._answers(client, f"{url}/health"):
            pass


def test_nothing_holds_it_where_setpriv_is_missing(tmp_path: Path) -> None:
    assert supervisor._leash(str(tmp_path)) == ()


def test_every_hook_has_an_address() -> None:
    assert len(endpoints("http://x")) == 9
    assert endpoints("http://x")["CENTRIFUGO_CHANNEL_PROXY_SUB_REFRESH_ENDPOINT"] == "http://x/centrifugo/sub_refresh"


def _process(running: Supervisor) -> asyncio.subprocess.Process:
    return running._process


_STUBBORN = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer((sys.argv[4], int(sys.argv[6])), Healthy).serve_forever()
"""

_HOST = """
import asyncio, pathlib, sys
from proxy.demo.supervisor import Supervisor, environment

async def main():
    variables = environment(hook_secret="h" * 32, api_key="a" * 32, token_key="t" * 32)
    async with Supervisor(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), variables) as running:
        print(running.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
