"""Work that goes on for as long as the service runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

_LOG: Final = logging.getLogger(__name__)


class Workers:
    """Tasks that never end by themselves; one that does is logged, and the others go on."""

    def __init__(self, works: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._works = works
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all of them."""
        self._tasks = [asyncio.create_task(_watched(work)) for work in self._works]

    async def close(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _watched(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001 - whatever it is, it must not be lost
        _LOG.critical("%s has failed and does not go on: restart the service", work.__qualname__, exc_info=True)
