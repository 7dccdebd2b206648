"""The same hook by hand, and the yardstick of them all.

The rivals look their facts up in dicts and decide in Python, so that they have less to do than a policy with cached facts.
"""

import hmac
import time
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, HTTPException
from prometheus_client import CollectorRegistry, Counter, Histogram
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bench.service import LEASE_S, MEMBERS, PATH, SECRET

ROLES: Final = {(doc, uid): role for doc, uid, role in MEMBERS}
SUSPENDED: Final = {uid: False for _, uid, _ in MEMBERS}


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Send the body back: what any ASGI application costs."""
    body: bytes = (await receive())["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def starlette() -> Starlette:
    """Write the hook with Starlette's router, request and response."""
    meters = _Meters()

    async def subscribe(request: Request) -> Response:
        began = time.perf_counter()
        if not hmac.compare_digest(request.headers.get("x-centrigate-hook-secret", ""), SECRET):
            return Response(status_code=401)
        body = await request.json()
        result = _decide(body["user"], body["channel"])
        meters.record(began, result)
        return JSONResponse(result)

    return Starlette(routes=[Route(PATH, subscribe, methods=["POST"])])


class Asked(BaseModel):
    """The body of the hook, for FastAPI."""

    client: str
    transport: str
    protocol: str
    encoding: str
    user: str
    channel: str
    meta: dict[str, Any] | None = None
    data: Any = None


def fastapi() -> FastAPI:
    """Write the hook as FastAPI's documentation advises: a model for the body, a dependency for the secret."""
    meters = _Meters()
    app = FastAPI()

    async def authenticated(x_centrigate_hook_secret: Annotated[str, Header()]) -> None:
        if not hmac.compare_digest(x_centrigate_hook_secret, SECRET):
            raise HTTPException(status_code=401)

    @app.post(PATH, dependencies=[Depends(authenticated)])
    async def subscribe(body: Asked) -> dict[str, Any]:
        began = time.perf_counter()
        result = _decide(body.user, body.channel)
        meters.record(began, result)
        return result

    return app


class _Meters:
    def __init__(self) -> None:
        registry = CollectorRegistry()
        hooks = Counter("hooks", "Hooks.", ("outcome",), registry=registry)
        self._outcomes = {True: hooks.labels("allowed"), False: hooks.labels("refused")}
        self._seconds = Histogram("hook_seconds", "Latency.", registry=registry)

    def record(self, began: float, result: dict[str, Any]) -> None:
        self._outcomes["result" in result].inc()
        self._seconds.observe(time.perf_counter() - began)


def _decide(uid: str, channel: str) -> dict[str, Any]:
    role = ROLES.get((channel.removeprefix("chat:doc-"), uid))
    if SUSPENDED.get(uid, True) or role is None:
        return {"error": {"code": 103, "message": "permission denied"}}
    return {"result": {"expire_at": int(time.time()) + LEASE_S, "info": {"role": role}}}
