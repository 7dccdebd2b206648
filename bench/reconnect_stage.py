"""One storm: a backend of hooks that runs, a Centrifugo that has just started, as shipped, and the clients of the load tool."""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench import reconnect_crew as crew
from bench.gateway import healthy, vacant
from proxy.demo.provide import PINNED, provide
from proxy.demo.supervisor import Supervisor, endpoints, environment

PATIENCE_S: Final = 60
"""How long a storm may last."""

HOOK_SECRET: Final = "hook-secret-" * 3
API_KEY: Final = "api-key-" * 4

_ROOT: Final = Path(__file__).parents[1]
_TOOL: Final = _ROOT / ".tools" / "storm"
_BUILD_S: Final = 300
_GRACE_S: Final = 15
_ASKED: Final = "centrifugo_proxy_duration_seconds_histogram_count"
_LOST: Final = "centrifugo_proxy_errors"
_CPU: Final = "process_cpu_seconds_total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What answers hooks; `asks` is set when clients ask it for tokens."""

    name: str
    url: str
    pid: int
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What came of it: hooks that Centrifugo `asked`, those that were `lost`, and CPU seconds of backend, Centrifugo and load tool."""

    clients: int
    served: int
    seconds: float
    p99: float
    asked: Mapping[str, int]
    lost: int
    cpu: float
    centrifugo_cpu: float
    load_cpu: float
    troubles: Mapping[str, int]

    @property
    def hooks(self) -> int:
        """How many hooks were asked."""
        return sum(self.asked.values())

    def told(self) -> str:
        """Say it for people."""
        spent = f"{self.cpu:.2f}, {self.centrifugo_cpu:.2f} and {self.load_cpu:.2f} s of CPU of backend, Centrifugo and load tool"
        served = f"{self.served:,} of {self.clients:,} served in {self.seconds:.2f} s, 99 % of them in {self.p99:.2f} s after they opened"
        troubles = "".join(f"; {count:,} x {what}" for what, count in sorted(self.troubles.items()))
        return f"{served}; {self.hooks:,} hooks, {self.lost} lost; {spent}{troubles}"


def tool() -> Path:
    """Build the load tool, which takes no time when nothing has changed; raises `CalledProcessError`."""
    go = shutil.which("go")
    assert go, "the load tool is built by Go: install it"
    build = (go, "build", "-trimpath", "-buildvcs=false", "-o", str(_TOOL), ".")
    subprocess.run(build, cwd=_ROOT / "bench" / "storm", check=True, timeout=_BUILD_S)  # noqa: S603 - Go
    return _TOOL


def afford() -> None:
    """Raise the limit of open files for all that is started from here: Centrifugo opens a connection for each hook under way."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@asynccontextmanager
async def centrigate(folder: Path, policy: str, application: str = "", more: Mapping[str, str] | None = None) -> AsyncIterator[Backend]:
    """Run the service with one of the policies, whose facts are in the folder's database or come from an application.

    `more` are variables.
    """
    own = folder / policy
    (own / "policies").mkdir(parents=True)
    (own / "policies" / "storm.policy").write_text(crew.POLICIES[policy])
    port = vacant()
    chosen = {
        "CENTRIGATE_PORT": str(port),
        "CENTRIGATE_CENTRIFUGO_API_KEY": API_KEY,
        "CENTRIGATE_HOOK_SECRET": HOOK_SECRET,
        "CENTRIGATE_TOKEN_KEY": crew.TOKEN_KEY,
        "STORM_IDENTITY_KEY": crew.IDENTITY_KEY,
        "STORM_DATABASE": f"sqlite:///{folder / crew.DATABASE}",
        "STORM_APPLICATION": application,
        **(more or {}),
    }
    async with _running("centrigate", (sys.executable, "-m", "proxy", "serve"), port, chosen, own) as backend:
        yield backend


@asynccontextmanager
async def constant(name: str) -> AsyncIterator[Backend]:
    """Run a raw ASGI application that answers with constants, under the server that the service has, too."""
    port = vacant()
    async with _running(name, (sys.executable, "-m", "bench.constant", str(port)), port, {}, _ROOT) as backend:
        yield backend


@asynccontextmanager
async def go(name: str, *, fact_ms: int = 0) -> AsyncIterator[Backend]:
    """Run a Go program on one core that answers hooks with constants, and anything else with a fact that takes so long."""
    port = vacant()
    command = (str(_TOOL), "answer", "-address", f"127.0.0.1:{port}", "-fact", f"{fact_ms}ms")
    async with _running(name, command, port, {"GOMAXPROCS": "1"}, _ROOT) as backend:
        yield backend


@asynccontextmanager
async def _running(name: str, command: Sequence[str], port: int, variables: Mapping[str, str], folder: Path) -> AsyncIterator[Backend]:
    process = await asyncio.create_subprocess_exec(
        *leash(), *command, cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await healthy(f"http://127.0.0.1:{port}")
        yield Backend(name=name, url=f"http://127.0.0.1:{port}", pid=process.pid)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def leash() -> Sequence[str]:
    """Give what makes the kernel end a program when this one dies, where that is known."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()


def centrifugo(service: str, port: int = 0) -> Supervisor:
    """Give a Centrifugo as shipped, not started yet, that asks this service."""
    secrets = environment(hook_secret=HOOK_SECRET, api_key=API_KEY, token_key=crew.TOKEN_KEY)
    variables = {**secrets, **endpoints(service)}
    return Supervisor(provide(PINNED, root=_ROOT), _ROOT / "centrifugo-config.json", variables, port=port)


def loading(what: str, server: str, clients: Path, opening: int) -> Sequence[str]:
    """Give the command by which the load tool opens all clients of the file at this Centrifugo."""
    address = server.replace("http", "ws", 1) + "/connection/websocket"
    flags = ("-address", address, "-crew", str(clients), "-opening", str(opening), "-patience", f"{PATIENCE_S}s")
    return (*leash(), str(_TOOL), what, *flags)


async def storm(backend: Backend, clients: Path, *, opening: int) -> Storm:
    """Start a Centrifugo beside the backend and let all clients of the file in, so many at once (0: all), or until patience is over."""
    async with centrifugo(backend.url) as server:
        before = _cpu(backend.pid)
        command = loading("load", server.url, clients, opening)
        found = await _printed((*command, *(("-service", backend.url) if backend.asks else ())), PATIENCE_S + _GRACE_S)
        spent = _cpu(backend.pid) - before
        numbers = await _numbers(server.url)
    return Storm(
        clients=found["clients"],
        served=found["served"],
        seconds=found["seconds"],
        p99=found["p99"],
        asked={hook: int(count) for (name, hook), count in numbers.items() if name == _ASKED and count},
        lost=int(sum(count for (name, _), count in numbers.items() if name == _LOST)),
        cpu=spent,
        centrifugo_cpu=numbers[_CPU, ""],
        load_cpu=found["cpu"],
        troubles=found["errors"],
    )


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def _printed(command: Sequence[str], patience_s: float) -> Any:  # noqa: ANN401 - decoded JSON
    """Give what a program prints; it is ended when it takes too long."""
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        async with asyncio.timeout(patience_s):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{command} failed"
    return json.loads(printed)


async def _numbers(centrifugo: str) -> Mapping[tuple[str, str], float]:
    """Give Centrifugo's metrics, by their names and, where they are about one, the hook."""
    async with httpx.AsyncClient(trust_env=False, timeout=_GRACE_S) as client:
        text = (await client.get(f"{centrifugo}/metrics")).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, sample.labels.get("type", "")): sample.value for sample in samples if sample.name in {_ASKED, _LOST, _CPU}}
