"""Candidates against a yardstick, in slices of thread CPU time, in one process and without a network.

Raw requests go into uvicorn's protocol through a transport that goes nowhere. Replies are looked at before anything is timed; while
it is timed they must keep their lengths, or the run stops.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from bench.ratios import CONTROL, Interval
from bench.rounds import paired

CONNECTIONS: Final = 16
REQUESTS: Final = 320
"""Requests of one slice, each connection's one after the other."""

_PATIENCE_S: Final = 30.0
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An application; `fits` looks at the body of its reply to the request with that number, `http` is uvicorn's protocol under it."""

    name: str
    app: ASGIApp
    fits: Callable[[int, Any], bool]
    http: Any = "httptools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is compared: `requests` (raw, `REQUESTS` of them) go to the yardstick and to every candidate; `goals` are ratios, by name."""

    requests: Sequence[bytes]
    yardstick: Candidate
    candidates: Sequence[Candidate]
    goals: Mapping[str, float]


class Wire(asyncio.Transport):
    """A transport that goes nowhere; calls `replied` when the awaited number of bytes has been written."""

    def __init__(self, replied: Callable[[], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8010)})
        self._replied = replied
        self.awaited = 0
        self.written = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what would be sent."""
        self.written += data
        if len(self.written) == self.awaited:
            self._replied()

    def is_closing(self) -> bool:
        """Never."""
        return False

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


class Rig:
    """One candidate behind uvicorn, as the service itself runs, with its connections."""

    def __init__(self, candidate: Candidate, requests: Sequence[bytes]) -> None:
        self.name = candidate.name
        self._fits = candidate.fits
        self._requests = requests
        self._lengths = [0] * len(requests)
        self._missing = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        config = uvicorn.Config(
            candidate.app,
            http=candidate.http,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=3600,
        )
        config.load()
        state = ServerState()
        self._lanes = [(Wire(self._replied), self._protocol(config, state)) for _ in range(CONNECTIONS)]
        for wire, protocol in self._lanes:
            protocol.connection_made(wire)

    async def rehearse(self) -> None:
        """Send every request twice and look at the replies; the second time their lengths must be the same."""
        for number in [*range(len(self._requests))] * 2:
            length = await self.ask(number)
            if self._lengths[number] not in (0, length):
                message = f"{self.name} answers request {number} with another length than before"
                raise AssertionError(message)
            self._lengths[number] = length

    async def ask(self, number: int) -> int:
        """Send one request, look at the reply and give its length; raises `AssertionError` if it is not what it should be."""
        wire, protocol = self._lanes[0]
        wire.awaited = 0
        wire.written.clear()
        protocol.data_received(self._requests[number])
        async with asyncio.timeout(_PATIENCE_S):
            while (body := _body(wire.written)) is None:  # noqa: ASYNC110 - a reply whose length is not known yet
                await asyncio.sleep(0)
        if not wire.written.startswith(b"HTTP/1.1 200 ") or not self._fits(number, json.loads(body)):
            message = f"{self.name} answers request {number} with {bytes(wire.written)!r}"
            raise AssertionError(message)
        return len(wire.written)

    async def slice(self) -> int:
        """Send every request once and give the CPU time in nanoseconds; raises `AssertionError` if the replies are not as rehearsed."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._timed(asyncio.get_running_loop())
        except TimeoutError:
            message = f"{self.name} no longer replies as in the rehearsal"
            raise AssertionError(message) from None

    async def _timed(self, loop: asyncio.AbstractEventLoop) -> int:
        began = time.thread_time_ns()
        for first in range(0, len(self._requests), CONNECTIONS):
            self._missing = CONNECTIONS
            self._done = loop.create_future()
            for number, (wire, protocol) in enumerate(self._lanes, first):
                wire.written.clear()
                wire.awaited = self._lengths[number]
                protocol.data_received(self._requests[number])
            await self._done
        return time.thread_time_ns() - began

    def _replied(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._done.set_result(None)

    @staticmethod
    def _protocol(config: uvicorn.Config, state: ServerState) -> asyncio.Protocol:
        protocol: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
        return protocol


async def run(case: Case) -> Mapping[str, Interval]:
    """Measure a case until its gated ratios and the control are sure enough, or the rounds are used up."""
    yardstick = Rig(case.yardstick, case.requests)
    control = Candidate(name=CONTROL, app=case.yardstick.app, fits=case.yardstick.fits)
    rigs = [Rig(candidate, case.requests) for candidate in (control, *case.candidates)]
    for rig in (yardstick, *rigs):
        await rig.rehearse()
        await rig.slice()
    return await paired(yardstick, rigs, case.goals)


def _body(written: bytearray) -> bytes | None:
    """The body of a reply that is complete."""
    head, _, body = bytes(written).partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return body if length and len(body) == int(length[1]) else None
