"""Endpoints off the hot path: bounded like the hooks, answered through `failures.answer`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.edge.body import fits, read
from proxy.edge.failures import answer
from proxy.edge.metrics import Flight
from proxy.errors import Malformed, Overload

PATIENCE_S: Final = 10.0
"""Seconds within which a body has to arrive."""

Serve: TypeAlias = Callable[[Request], Awaitable[Response]]


class Intake:
    """Makes routes whose work counts as in flight, and reads bodies of at most `most` bytes."""

    def __init__(self, flight: Flight, most: int) -> None:
        self._flight = flight
        self._most = most

    def post(self, path: str, serve: Serve) -> Route:
        """Route POST `path` to `serve`, which may raise whatever `failures.answer` knows."""

        async def endpoint(request: Request) -> Response:
            self._flight.count += 1
            try:
                self._admit()
                return await serve(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
                status, headers, body = answer(error)
                return Response(body, status, headers)
            finally:
                self._flight.count -= 1

        return Route(path, endpoint, methods=["POST"])

    def _admit(self) -> None:
        if self._flight.count > self._flight.most:
            message = "too much is in work"
            raise Overload(message)

    async def body(self, request: Request) -> bytes:
        """Read the body; raises `TooLarge` and, when it does not arrive in time, `Malformed`."""
        length = request.headers.get("content-length")
        fits(None if length is None else length.encode("latin-1"), self._most)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await read(request.receive, self._most)
        except TimeoutError:
            message = f"the body did not arrive within {PATIENCE_S:g} s"
            raise Malformed(message) from None
