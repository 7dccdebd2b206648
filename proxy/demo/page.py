"""The demo page: sign in as one of a few people, chat beside a document, get notifications."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from proxy.demo.application import CHANGES, Application
from proxy.demo.backend import Backend, shipping
from proxy.demo.data import BEN, DOCUMENT, DOCUMENTS, PEOPLE, Person
from proxy.demo.identity import COOKIE, LIFETIME, Provider
from proxy.edge.body import read
from proxy.errors import Malformed

LIBRARY: Final = Path("node_modules/centrifuge/dist/centrifuge.js")
"""The JavaScript client, relative to the working directory."""

_STATIC: Final = Path(__file__).parent / "static"
_ORDER: Final = "12345"
_LONGEST: Final = 256
"""Bytes of a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page's requests; `centrifugo` is the port that browsers reach Centrifugo at, on the host that they reach this page at."""

    provider: Provider
    orders: Backend
    application: Application
    centrifugo: int
    library: Path = LIBRARY

    def routes(self) -> list[Route]:
        """Give everything below `/demo`."""
        return [
            Route("/demo", self._index),
            Route("/demo/settings", self._settings),
            Route("/demo/login", self._login, methods=["POST"]),
            Route("/demo/order", self._order, methods=["POST"]),
            *(Route(f"/demo/{change}", self._changed(change), methods=["POST"]) for change in CHANGES),
            Route("/demo/centrifuge.js", self._file),
            Route("/demo/{name}", self._file),
        ]

    async def _index(self, _request: Request) -> Response:
        if not self.library.is_file():
            return PlainTextResponse("The demo page needs Centrifugo's JavaScript client: run `make install` first.", 503)
        return FileResponse(_STATIC / "index.html", headers=self._headers())

    async def _file(self, request: Request) -> Response:
        file = {"app.js": _STATIC / "app.js", "style.css": _STATIC / "style.css", None: self.library}.get(request.path_params.get("name"))
        return FileResponse(file, headers=self._headers()) if file and file.is_file() else PlainTextResponse("Not Found", 404)

    async def _settings(self, _request: Request) -> Response:
        people = [{"id": each.id, "name": each.name, "part": each.part} for each in PEOPLE.values()]
        document = {"id": DOCUMENT, "title": DOCUMENTS[DOCUMENT]}
        told = {"centrifugo": self.centrifugo, "people": people, "document": document, "changes": [*CHANGES], "changed": BEN.id}
        return JSONResponse(told, headers=self._headers())

    async def _login(self, request: Request) -> Response:
        person = await _named(request)
        if person is None:
            return PlainTextResponse("Nobody has this id.", 400)
        answer = Response(status_code=204)
        answer.set_cookie(COOKIE, self.provider.token(person), max_age=LIFETIME, httponly=True, samesite="strict")
        return answer

    async def _order(self, request: Request) -> Response:
        person = await _named(request)
        if person is None:
            return PlainTextResponse("Nobody has this id.", 400)
        reply = await self.orders.call("publish", shipping(person.id, _ORDER))
        return Response(status_code=204 if reply.is_success and "result" in reply.json() else 502)

    def _changed(self, change: str) -> Callable[[Request], Awaitable[Response]]:
        async def changed(request: Request) -> Response:
            person = await _named(request)
            if person is None:
                return PlainTextResponse("Nobody has this id.", 400)
            return Response(status_code=204 if await self.application.carry(change, person) else 502)

        return changed

    def _headers(self) -> Mapping[str, str]:
        hosts = [f"{scheme}://{host}:{self.centrifugo}" for host in ("127.0.0.1", "localhost") for scheme in ("ws", "http")]
        allowed = f"script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {' '.join(hosts)}"
        return {
            "Content-Security-Policy": f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }


async def _named(request: Request) -> Person | None:
    # A form of another site cannot send this type without asking first, so that nobody is signed in from outside.
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        body = orjson.loads(await read(request.receive, _LONGEST))
    except (Malformed, ValueError):
        return None
    user = body.get("user") if isinstance(body, dict) else None
    return PEOPLE.get(user) if isinstance(user, str) else None
