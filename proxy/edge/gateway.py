"""Centrifugo's server API for backends: the same paths, headers and answers, so that its client libraries work unchanged."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy.edge.hooks import json
from proxy.edge.intake import Intake
from proxy.errors import Malformed, Unauthorized
from proxy.gateway.api import Caller, Gateway, Keys
from proxy.policy.declared import Service
from proxy.wire.methods import METHODS

_SCHEME: Final = "apikey"
_KEY, _AUTHORIZATION, _ERROR_MODE = _COUNTING = (b"x-api-key", b"authorization", b"x-centrifugo-error-mode")
_WAYS: Final[dict[str, Literal["direct", "durable"]]] = {"direct": "direct", "durable": "durable"}


def routes(gateway: Gateway, intake: Intake) -> Sequence[Route]:
    """Route `POST /api/METHOD`, and `POST /api`, where the body names the methods."""

    async def call(request: Request) -> ASGIApp:
        caller = _caller(gateway, request)
        method = request.scope["path"].rpartition("/")[2]
        reply = await gateway.call(method, caller, await intake.body(request))
        return json(reply.status, reply.body).sent

    async def lines(request: Request) -> ASGIApp:
        caller = _caller(gateway, request)
        reply = await gateway.lines(caller, await intake.body(request))
        return json(reply.status, reply.body).sent

    return [intake.post("/api/{method}", call), intake.post("/api", lines)]


def paths(routes: Sequence[Route]) -> Mapping[str, ASGIApp]:
    """Give what serves each method that there is, for a look-up that costs less than routing."""
    call, _ = routes
    return {f"/api/{method}": call.app for method in ("batch", *METHODS)}


def owner(keys: Keys, request: Request) -> Service:
    """Give the service whose key is shown; raises `Unauthorized`."""
    return _owner(keys, _shown(request))


def _owner(keys: Keys, shown: Mapping[bytes, bytes]) -> Service:
    service = keys.service(_credential(shown))
    if service is None:
        message = "the API key is missing or wrong"
        raise Unauthorized(message)
    return service


def _caller(gateway: Gateway, request: Request) -> Caller:
    shown = _shown(request)
    return Caller(service=_owner(gateway.keys, shown), delivery=_delivery(request), transport=shown.get(_ERROR_MODE) == b"transport")


def _shown(request: Request) -> Mapping[bytes, bytes]:
    """Give the headers that count here, by name; raises `Unauthorized` for a repeated one."""
    shown: dict[bytes, bytes] = {}
    for name, value in request.scope["headers"]:
        if name in _COUNTING:
            if name in shown:
                message = f"{name.decode()} is repeated"
                raise Unauthorized(message)
            shown[name] = value
    return shown


def _credential(shown: Mapping[bytes, bytes]) -> str | None:
    """Give the key shown in `X-API-Key` or, if that is missing or empty, in `Authorization: apikey KEY`.

    A key in the address, which Centrifugo takes, counts for nothing: addresses get logged.
    """
    if key := shown.get(_KEY, b"").strip():
        return key.decode("latin-1")
    match shown.get(_AUTHORIZATION, b"").decode("latin-1").split():
        case [scheme, credential] if scheme.lower() == _SCHEME:
            return credential
    return None


def _delivery(request: Request) -> Literal["direct", "durable"] | None:
    """Give the way that `?delivery=` chooses; raises `Malformed` for one that is none."""
    asked = request.query_params.getlist("delivery") if request.scope["query_string"] else None
    if not asked:
        return None
    if len(asked) > 1 or asked[0] not in _WAYS:
        message = "delivery must be direct or durable"
        raise Malformed(message)
    return _WAYS[asked[0]]
