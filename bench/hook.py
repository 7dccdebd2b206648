"""The subscribe hook against the same written by hand in two frameworks, in times of an ASGI application that only echoes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from bench import rivals, service
from bench.slices import Candidate, Case

GOAL: Final = 1.7


@asynccontextmanager
async def opened() -> AsyncIterator[Case]:
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
