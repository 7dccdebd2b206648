"""Centrifugo's server API for backends: the same paths, headers and answers, so that its client libraries work unchanged."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.edge.intake import Intake
from proxy.errors import Unauthorized
from proxy.gateway.api import Gateway

_SCHEME: Final = "apikey "


def routes(gateway: Gateway, intake: Intake) -> Sequence[Route]:
    """Route `POST /api/METHOD`."""

    async def serve(request: Request) -> Response:
        service = gateway.keys.service(_credential(request))
        if service is None:
            message = "the API key is missing or wrong"
            raise Unauthorized(message)
        body = await intake.body(request)
        return Response(await gateway.call(request.path_params["method"], service, body), media_type="application/json")

    return [intake.post("/api/{method}", serve)]


def _credential(request: Request) -> str | None:
    """Give the key shown in `X-API-Key` or, without it, in `Authorization: apikey KEY`; raises `Unauthorized` for a repeated header."""
    for name, scheme in (("x-api-key", ""), ("authorization", _SCHEME)):
        shown = request.headers.getlist(name)
        if len(shown) > 1:
            message = f"{name} is repeated"
            raise Unauthorized(message)
        if shown:
            return shown[0][len(scheme) :].strip() if shown[0].lower().startswith(scheme) else None
    return None
