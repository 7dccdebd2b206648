"""Endpoints off the hot path: bounded like the hooks, answered through `failures.answer`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.edge.body import fits, read
from proxy.edge.failures import answer
from proxy.edge.flight import Flight
from proxy.errors import Malformed, Overload, WrongMethod

PATIENCE_S: Final = 10.0
"""Seconds within which a body has to arrive."""

Serve: TypeAlias = Callable[[Request], Awaitable[ASGIApp]]
"""Answers a request by what sends the answer, as Starlette's responses do."""


class Intake:
    """Makes routes whose work counts as in flight, and reads bodies of at most `most` bytes."""

    def __init__(self, flight: Flight, most: int) -> None:
        self._flight = flight
        self._most = most

    def post(self, path: str, serve: Serve) -> Route:
        """Route POST `path` to `serve`, which may raise whatever `failures.answer` knows."""
        return Route(path, _Endpoint(self, serve), methods=["POST"])

    async def answer(self, request: Request, serve: Serve) -> ASGIApp:
        """Have `serve` answer, as work in flight."""
        self._flight.count += 1
        try:
            self._admit(request.method)
            return await serve(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            status, headers, body = answer(error)
            return Response(body, status, headers)
        finally:
            self._flight.count -= 1

    def _admit(self, method: str) -> None:
        if method != "POST":
            message = "it is called by POST"
            raise WrongMethod(message)
        if self._flight.count > self._flight.most:
            message = "too much is in work"
            raise Overload(message)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens meanwhile as waiting; raises `Overload` when others wait for too long already."""
        if self._flight.late():
            message = "what is in work waits for too long"
            raise Overload(message)
        ticket = self._flight.begin()
        try:
            yield
        finally:
            self._flight.end(ticket)

    async def body(self, request: Request) -> bytes:
        """Read the body; raises `TooLarge` and, when it does not arrive in time, `Malformed`."""
        fits(request.scope["headers"], self._most)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await read(request.receive, self._most)
        except TimeoutError:
            message = f"the body did not arrive within {PATIENCE_S:g} s"
            raise Malformed(message) from None


class _Endpoint:
    """Plain ASGI, because what Starlette puts around a function costs as much as a decision."""

    def __init__(self, intake: Intake, serve: Serve) -> None:
        self._intake = intake
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._intake.answer(Request(scope, receive), self._serve)
        await response(scope, receive, send)
