"""How soon a fresh process answers its first hook, and how much memory it holds: printed, not judged."""

import asyncio
import subprocess
import sys
import time
from typing import Final

import psutil
import uvloop

from bench import service
from bench.slices import REQUESTS, Rig

HOOKS: Final = 100_000
"""Hooks after which the memory is read again."""

_MIB: Final = 1 << 20


def report() -> list[str]:
    """Measure in a fresh process and give the lines to print."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "bench.footprint"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        assert process.stdout is not None
        process.stdout.readline()
        ready = time.perf_counter() - began
        idle, used = (int(line) / _MIB for line in process.stdout)
    return [
        f"start to first answer  {ready:.2f} s",
        f"resident memory        {idle:.1f} MiB idle, {used:.1f} MiB after {HOOKS:,} hooks ({used - idle:+.1f} MiB)",
    ]


async def child() -> None:
    """Serve in this process: print a line when a hook has been answered, then the resident bytes before and after many."""
    async with service.opened() as centrigate:
        rig = Rig(centrigate, service.requests())
        await rig.ask(0)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await rig.rehearse()
        idle = _resident()
        for _ in range(0, HOOKS, REQUESTS):
            await rig.slice()
            await asyncio.sleep(0)
        sys.stdout.write(f"{idle}\n{_resident()}\n")


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    uvloop.run(child())
