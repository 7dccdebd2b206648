"""The two token endpoints.

Browsers' SDKs look at the body of an answer, not at its status: JSON without a token stops the client for good, anything that is not
JSON makes it ask again. So a refusal is JSON, and "not now" is not. Measured with centrifuge-js 5.8.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import orjson
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from proxy.edge.failures import LATER, refusal
from proxy.edge.headers import folded
from proxy.edge.intake import Intake
from proxy.errors import Malformed
from proxy.identity.chain import Credentials
from proxy.tokens.issue import Denied, Issuer
from proxy.tokens.mint import Issued
from proxy.wire.read import document

STATUSES: Final[Mapping[str, HTTPStatus]] = {
    "no_identity": HTTPStatus.UNAUTHORIZED,
    "bad_channel": HTTPStatus.BAD_REQUEST,
    "schema": HTTPStatus.BAD_REQUEST,
    "limit": HTTPStatus.TOO_MANY_REQUESTS,
    "fact_error": HTTPStatus.SERVICE_UNAVAILABLE,
    "overload": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status by reason; any other reason is forbidden (403)."""

CODES: Final = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}
"""What clients are told; neither rule nor reason."""

MESSAGES: Final = {
    HTTPStatus.BAD_REQUEST: "this cannot be asked for",
    HTTPStatus.UNAUTHORIZED: "the credentials are missing or not valid",
    HTTPStatus.FORBIDDEN: "this is not allowed",
}

_NOT_STORED: Final = {"cache-control": "no-store", "vary": "Origin"}
_LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Desk:
    """Turns requests for tokens into calls of the issuer and its answers into theirs."""

    def __init__(self, issuer: Issuer, intake: Intake) -> None:
        self._issuer = issuer
        self._intake = intake

    async def connection(self, request: Request) -> Response:
        """Answer `{"token", "expires_in"}`; the body is empty or holds connect `data`, whatever its content type."""
        body = await self._intake.body(request)
        asked = document(body) if body.strip() else {}
        with self._intake.waiting():
            issued = await self._issuer.connection(_credentials(request, asked.get("data")))
        if isinstance(issued, Denied):
            return _refused(issued)
        return _json({"token": issued.token, "expires_in": issued.expires_in})

    async def subscription(self, request: Request) -> Response:
        """Answer `{"token"}` to `{"channel"}`, `{"tokens", "denied"}` to `{"channels"}`, whatever the content type of the body."""
        channels, single = _channels(await self._intake.body(request))
        with self._intake.waiting():
            issued = await self._issuer.subscription(_credentials(request, None), channels)
        if isinstance(issued, Denied):
            return _refused(issued)
        if not single:
            return _several(issued)
        only = issued[channels[0]]
        return _refused(only) if isinstance(only, Denied) else _json({"token": only.token})


def routes(issuer: Issuer, intake: Intake, origins: Sequence[str]) -> Mount:
    """Mount both endpoints, open to pages of `origins`, whose cookies count."""
    desk = Desk(issuer, intake)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type"],
        allow_credentials=True,
    )
    endpoints = [intake.post("/connection-token", desk.connection), intake.post("/subscription-token", desk.subscription)]
    return Mount("/api/centrifugo", routes=endpoints, middleware=[cors])


def _credentials(request: Request, data: object) -> Credentials:
    headers = folded(request.headers.raw)
    if headers is None:
        message = "a credential is repeated"
        raise Malformed(message)
    return Credentials(headers=headers, data=data)


def _channels(body: bytes) -> tuple[Sequence[str], bool]:
    asked = document(body)
    single = asked.get("channel")
    if type(single) is str and "channels" not in asked:
        return [single], True
    channels = asked.get("channels")
    if "channel" in asked or type(channels) is not list:
        message = 'the body is {"channel": "…"} or {"channels": ["…"]}'
        raise Malformed(message)
    return channels, False


def _several(issued: Mapping[str, Issued | Denied]) -> Response:
    tokens = {channel: each.token for channel, each in issued.items() if isinstance(each, Issued)}
    denied = {channel: {"code": CODES[_status(each)]} for channel, each in issued.items() if isinstance(each, Denied)}
    return _json({"tokens": tokens, "denied": denied})


def _status(denied: Denied) -> HTTPStatus:
    return STATUSES.get(denied.reason, HTTPStatus.FORBIDDEN)


def _refused(denied: Denied) -> Response:
    status = _status(denied)
    if status in _LATER:
        return Response(f"{CODES[status]}\n", status, _NOT_STORED | LATER)
    return Response(refusal(CODES[status], MESSAGES[status]), status, _NOT_STORED, "application/json")


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), HTTPStatus.OK, _NOT_STORED, "application/json")
