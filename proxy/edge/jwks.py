"""`/.well-known/jwks.json`: what others check our tokens with."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MAX_AGE_S: Final = 300
"""Seconds for which a key set may be remembered; Centrifugo does not ask how long, it keeps each key for an hour after its last use."""


def route(document: bytes) -> Route:
    """Route GET of the key set, which is written already."""
    headers = {"cache-control": f"public, max-age={MAX_AGE_S}"}

    async def keys(_request: Request) -> Response:
        return Response(document, headers=headers, media_type="application/json")

    return Route("/.well-known/jwks.json", keys)
