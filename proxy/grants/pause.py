"""Waiting for work."""

import asyncio
from contextlib import suppress


async def pause(woken: asyncio.Event, seconds: float | None) -> None:
    """Wait until `woken` is set, at most so many seconds; it is cleared first, so look at what there is to do before."""
    woken.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
