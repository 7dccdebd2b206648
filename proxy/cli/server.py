"""Running the service: uvicorn, set up for a caller that keeps its connections."""

import asyncio
import contextlib
import errno
import importlib.util
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from proxy.cli.swift import Swift
from proxy.errors import SetupFault

KEEP_ALIVE_S: Final = 300
"""Seconds a connection may rest. Centrifugo never closes one, and a call written into a connection that we close is lost."""
DRAIN_S: Final = 10
"""Seconds that calls in work have to end when the service stops."""
LISTENERS: Final = 64
"""Descriptors of the listening socket. uvloop accepts one connection for each and turn, which starves new ones when old ones are busy."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Server(uvicorn.Server):
    """A server that leaves signals to its runner and tells when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own way raises the signal once more when it has ended, which kills the process before its owner has cleaned up.
        yield


def listen(host: str, port: int) -> Sequence[socket.socket]:
    """Open the listening socket, `LISTENERS` times; port 0 takes a free one. Raises `SetupFault` that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        first = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"{host}:{port} is in use: stop what listens there or set CENTRIGATE_PORT to another port"
        else:
            message = f"cannot listen on {host}:{port} ({error.strerror}): set CENTRIGATE_HOST and CENTRIGATE_PORT"
        raise SetupFault(message) from None
    return [first, *(first.dup() for _ in range(LISTENERS - 1))]


async def run(app: ASGIApp, sockets: Sequence[socket.socket], started: Callable[[], None]) -> None:
    """Serve until SIGINT, SIGTERM or cancellation; `started` is called when connections are accepted.

    Calls in work may end first, for `DRAIN_S` seconds; a second SIGINT does not wait for them. Takes the sockets over and closes them.
    Raises `SetupFault` on a slow event loop or without a fast parser, which cost several times as much and say nothing of it.
    """
    _demand_speed()
    _afford()
    server = _Server(_config(app), started)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, server.handle_exit, number, None)
    serving = asyncio.create_task(server.serve(list(sockets)))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _afford() -> None:
    """Take all the files that may be open: every connection is one, and a shell allows 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # where there is no bound, some systems want one
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Swift,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


def _demand_speed() -> None:
    if importlib.util.find_spec("httptools") is None:
        message = "httptools is not installed: install uvicorn[standard]"
        raise SetupFault(message)
    if type(asyncio.get_running_loop()).__module__.partition(".")[0] != "uvloop":
        message = "the event loop is not uvloop: install uvicorn[standard] and start the service with uvloop"
        raise SetupFault(message)
