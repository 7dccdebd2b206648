"""One connection that goes the short way, and a time that is moved by hand."""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy.cli.swift import Swift

from .talks import WAIT
from .ways import PATIENCE_S, Line, Site, protocol, statuses


class Timer:
    """Something to be done at a time."""

    def __init__(self, when: float, act: Callable[[], object]) -> None:
        self.when, self.act, self.over = when, act, False

    def cancel(self) -> None:
        self.over = True


class Clock:
    """As much of a loop as the protocol needs, with a time that is moved by hand."""

    def __init__(self) -> None:
        self._now, self._timers = 1000.0, list[Timer]()
        self.create_task = asyncio.get_running_loop().create_task

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, act: Callable[[], object]) -> Timer:
        assert delay > 0
        self._timers.append(Timer(self._now + delay, act))
        return self._timers[-1]

    @property
    def due(self) -> list[Timer]:
        return sorted((each for each in self._timers if not each.over), key=lambda each: each.when)

    def forward(self, seconds: float) -> None:
        end = self._now + seconds
        while self.due and self.due[0].when <= end:
            timer = self.due[0]
            timer.cancel()
            self._now = timer.when
            timer.act()
        self._now = end


class Scene:
    """The connection; `chosen` is for the application."""

    def __init__(self, **chosen: int) -> None:
        self.site, self.state, self.line, self.clock = Site(**chosen), ServerState(), Line(), Clock()
        self.serving = self.connect(self.line)

    def connect(self, line: Line) -> HttpToolsProtocol:
        serving = protocol(self.site, Swift, self.state, self.clock)
        serving.connection_made(line)
        return serving

    async def say(self, raw: bytes) -> None:
        """Say something and wait for one answer more."""
        before = len(statuses(self.line.written))
        self.serving.data_received(raw)
        assert len(await self.line.heard(before + 1)) == before + 1

    async def hold(self) -> None:
        """Begin something that waits."""
        self.site.echo.leave.clear()
        self.serving.data_received(WAIT)
        async with asyncio.timeout(PATIENCE_S):
            await self.site.echo.entered.wait()

    async def release(self) -> None:
        self.site.echo.leave.set()
        await asyncio.gather(*self.state.tasks)

    async def end(self) -> None:
        self.serving.connection_lost(None)
        await self.release()
        assert not self.clock.due
