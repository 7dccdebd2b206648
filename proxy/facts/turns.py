"""Turns at something scarce: renewals come before all else, who came first before others."""

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import Final

FIRST: Final[ContextVar[bool]] = ContextVar("FIRST", default=False)
"""Whether what is loaded now prolongs what was granted before, and so goes first; tasks have it from those who began them."""


class Turns:
    """At most `width` have their turn at a time."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        """Give how many wait."""
        return len(self._first) + len(self._others)

    async def acquire(self) -> None:
        """Wait for a turn, which must be released."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._first if FIRST.get() else self._others
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the turn in the moment in which it gave up
                self.release()
            elif turn in queue:
                queue.remove(turn)
            raise

    def release(self) -> None:
        """Give a turn on to who comes next."""
        for queue in (self._first, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.cancelled():
                    turn.set_result(None)
                    return
        self._free += 1
