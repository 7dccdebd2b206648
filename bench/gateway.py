"""Publishing through the gateway and its batches, against one httpx request a message to the same real Centrifugo.

Everything runs on one machine: Centrifugo, the service and the callers share its cores.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx
import uvloop

from bench.gateway_load import DURABLE_KEY, KEY, SERVICE_KEY, Slice, Way, settle, ways
from bench.ratios import CONTROL, Findings, Interval, interval
from proxy.demo.supervisor import Supervisor

ROUNDS: Final = 9
SECONDS: Final[Mapping[int, float]] = {1: 0.05, 64: 0.15}
"""How long a slice lasts, by the number of callers whose ratios are judged."""
CROWD: Final = 512
"""Callers of whom only one slice is measured, since httpx takes seconds for it."""
SLACK: Final = 0.3

_ROOT: Final = Path(__file__).parents[1]
_BINARY: Final = _ROOT / ".tools" / "centrifugo-6.9.1"
_PATIENCE_S: Final = 20.0
_PAUSE_S: Final = 0.05


def findings() -> Findings:
    """Measure all ways with 1, 64 and 512 callers."""
    return uvloop.run(_findings())


async def _findings() -> Findings:
    # Not where a memory file system may be: the outbox shall have a disk to wait for.
    with tempfile.TemporaryDirectory(dir=_ROOT / "bench") as folder:
        async with _served(Path(folder)) as served, ways(*served) as found:
            await _round(found, 1, 0.01)
            measured = {callers: [await _round(found, callers, SECONDS[callers]) for _ in range(ROUNDS)] for callers in SECONDS}
            measured[CROWD] = [await _round(found, CROWD, seconds) for seconds in (0.01, 0.2)]  # the first opens connections
    return _told([way.name for way in found], measured)


async def _round(found: Sequence[Way], callers: int, seconds: float) -> Mapping[str, Slice]:
    return {way.name: await way.slice(callers, seconds) for way in found}


def _told(names: Sequence[str], measured: Mapping[int, Sequence[Mapping[str, Slice]]]) -> Findings:
    yardstick, *candidates = names
    alone, many = measured[1], measured[64]
    intervals = {CONTROL: interval([after[yardstick].p50_s / before[yardstick].p50_s for before, after in pairwise(alone)])}
    intervals |= {f"{name}, 1 caller, p50": _ratio([(each[name].p50_s, each[yardstick].p50_s) for each in alone]) for name in candidates}
    intervals |= {
        f"{name}, 64 callers, a message": _ratio([(each[name].each_s, each[yardstick].each_s) for each in many]) for name in candidates
    }
    notes = [f"{name}, {callers} callers: {rounds[-1][name].told()}" for callers, rounds in measured.items() for name in names]
    goals = {"through the gateway, 1 caller, p50": 1.3, "through the gateway, 64 callers, a message": 0.1}
    return Findings(yardstick=f"{yardstick}, to Centrifugo itself", intervals=intervals, goals=goals, slack=SLACK, notes=notes)


def _ratio(pairs: Sequence[tuple[float, float]]) -> Interval:
    return interval([candidate / yardstick for candidate, yardstick in pairs])


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[tuple[str, str, str, Path]]:
    """Run Centrifugo and the service before it; gives the addresses of both server APIs and of the service, and its outbox."""
    remote, port = vacant(), vacant()
    config, policies = settle(folder, remote)
    store = folder / "outbox.db"
    async with Supervisor(_BINARY, config, {}) as centrifugo:
        chosen = {
            "CENTRIGATE_POLICIES": str(policies),
            "CENTRIGATE_PORT": str(port),
            "CENTRIGATE_CENTRIFUGO_URL": centrifugo.url,
            "CENTRIGATE_CENTRIFUGO_API_KEY": KEY,
            "CENTRIGATE_HOOK_SECRET": "h" * 32,
            "CENTRIGATE_TOKEN_KEY": "t" * 32,
            "CENTRIGATE_STORE_URL": f"sqlite:///{store}",
            "LOAD_KEY": SERVICE_KEY,
            "KEPT_KEY": DURABLE_KEY,
        }
        command = (sys.executable, "-m", "proxy", "serve")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env={**os.environ, **chosen}, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await healthy(f"http://127.0.0.1:{port}")
            yield centrifugo.url, f"127.0.0.1:{remote}", f"http://127.0.0.1:{port}", store
        finally:
            process.terminate()
            await process.wait()


async def healthy(service: str) -> None:
    """Wait until `/health` of a service answers; raises `TimeoutError` when it does not in time."""
    async with asyncio.timeout(_PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                (await client.get(f"{service}/health")).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def vacant() -> int:
    """Give a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
