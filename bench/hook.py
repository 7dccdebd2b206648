"""The subscribe hook against the same written by hand in two frameworks, in times of an ASGI application that only echoes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import uvloop

from bench import rivals, service
from bench.ratios import Findings
from bench.slices import Candidate, Case, run

GOAL: Final = 1.7


def findings() -> Findings:
    """Measure the case."""
    return uvloop.run(_measured())


async def _measured() -> Findings:
    async with _opened() as case:
        return Findings(yardstick="a raw ASGI echo", intervals=await run(case), goals=case.goals)


@asynccontextmanager
async def _opened() -> AsyncIterator[Case]:
    """Give the case; the service runs as long."""
    async with service.opened() as centrigate:
        yield Case(
            requests=service.requests(),
            yardstick=Candidate(name="echo", app=rivals.echo, fits=lambda number, body: bool(body == service.asked(number))),
            candidates=[
                centrigate,
                replace(centrigate, name="centrigate, plain ASGI", http="httptools"),
                Candidate(name="starlette", app=rivals.starlette(), fits=service.granted),
                Candidate(name="fastapi", app=rivals.fastapi(), fits=service.granted),
            ],
            goals={"centrigate": GOAL},
        )
