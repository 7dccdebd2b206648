"""Centrifugo's server API for backends: the same paths, headers and answers, so that its client libraries work unchanged."""

from collections.abc import Sequence
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.edge.intake import Intake
from proxy.errors import Malformed, Unauthorized
from proxy.gateway.api import Caller, Gateway, Keys, Reply
from proxy.policy.declared import Service

_SCHEME: Final = "apikey"
_WAYS: Final[dict[str, Literal["direct", "durable"]]] = {"direct": "direct", "durable": "durable"}


def routes(gateway: Gateway, intake: Intake) -> Sequence[Route]:
    """Route `POST /api/METHOD`, and `POST /api`, where the body names the methods."""

    async def call(request: Request) -> Response:
        caller = _caller(gateway, request)
        return _response(await gateway.call(request.path_params["method"], caller, await intake.body(request)))

    async def lines(request: Request) -> Response:
        caller = _caller(gateway, request)
        return _response(await gateway.lines(caller, await intake.body(request)))

    return [intake.post("/api/{method}", call), intake.post("/api", lines)]


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type="application/json")


def owner(keys: Keys, request: Request) -> Service:
    """Give the service whose key is shown; raises `Unauthorized`."""
    service = keys.service(_credential(request))
    if service is None:
        message = "the API key is missing or wrong"
        raise Unauthorized(message)
    return service


def _caller(gateway: Gateway, request: Request) -> Caller:
    service = owner(gateway.keys, request)
    transport = request.headers.get("x-centrifugo-error-mode") == "transport"
    return Caller(service=service, delivery=_delivery(request), transport=transport)


def _credential(request: Request) -> str | None:
    """Give the key shown in `X-API-Key` or, if that is missing or empty, in `Authorization: apikey KEY`.

    Raises `Unauthorized` for a repeated header. A key in the address, which Centrifugo takes, counts for nothing: addresses get logged.
    """
    key, authorization = (_single(request, name) for name in ("x-api-key", "authorization"))
    if key:
        return key
    match authorization.split():
        case [scheme, shown] if scheme.lower() == _SCHEME:
            return shown
    return None


def _single(request: Request, name: str) -> str:
    shown = request.headers.getlist(name)
    if len(shown) > 1:
        message = f"{name} is repeated"
        raise Unauthorized(message)
    return shown[0].strip() if shown else ""


def _delivery(request: Request) -> Literal["direct", "durable"] | None:
    """Give the way that `?delivery=` chooses; raises `Malformed` for one that is none."""
    asked = request.query_params.getlist("delivery")
    if not asked:
        return None
    if len(asked) > 1 or asked[0] not in _WAYS:
        message = "delivery must be direct or durable"
        raise Malformed(message)
    return _WAYS[asked[0]]
