"""Renewals during a storm: refresh hooks, asked as Centrifugo asks them, of connections whose facts are nowhere at hand."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from bench.reconnect_stage import HOOK_SECRET, Backend

LATE_S: Final = 3.0
"""When Centrifugo gives up on a refresh hook, as it is shipped."""

_EACH_S: Final = 0.1


class Renewals:
    """What came of them: the seconds of each that was answered, and how many were answered otherwise than with a longer life."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.ended = 0

    @property
    def late(self) -> int:
        """How many Centrifugo would not have waited for."""
        return sum(wait > LATE_S for wait in self.waits)

    def told(self) -> str:
        """Say it for people."""
        longest = max(self.waits, default=0.0)
        return f"{len(self.waits)} refresh hooks meanwhile, the slowest {longest:.2f} s, {self.late} too late, {self.ended} not prolonged"


@asynccontextmanager
async def renewing(backend: Backend) -> AsyncIterator[Renewals]:
    """Ask ten a second for as long as the block lasts, and wait for the last answers."""
    renewals = Renewals()
    async with httpx.AsyncClient(trust_env=False, timeout=10 * LATE_S, headers={"x-centrigate-hook-secret": HOOK_SECRET}) as client:
        asking = asyncio.create_task(_ask(client, f"{backend.url}/centrifugo/refresh", renewals))
        try:
            yield renewals
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


async def _ask(client: httpx.AsyncClient, url: str, renewals: Renewals) -> None:
    number = 0
    async with asyncio.TaskGroup() as group:
        while True:
            number += 1
            group.create_task(_renew(client, url, f"connected{number}", renewals))
            await asyncio.sleep(_EACH_S)


async def _renew(client: httpx.AsyncClient, url: str, user: str, renewals: Renewals) -> None:
    asked = {"client": str(uuid.uuid4()), "transport": "websocket", "protocol": "json", "encoding": "json", "user": user}
    began = time.perf_counter()
    reply = await client.post(url, json=asked)
    renewals.waits.append(time.perf_counter() - began)
    renewals.ended += not (reply.is_success and "expire_at" in reply.json().get("result", {}))
