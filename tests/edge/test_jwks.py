import json

import httpx
from starlette.applications import Starlette

from proxy.edge import jwks

KEYS = {"keys": [{"kty": "OKP", "kid": "a"}]}


async def test_the_key_set_is_read_by_anybody_and_kept_for_a_while() -> None:
    app = Starlette(routes=[jwks.route(json.dumps(KEYS).encode())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centrigate") as client:
        got = await client.get("/.well-known/jwks.json")
        assert (got.status_code, got.json()) == (200, KEYS)
        assert got.headers["content-type"] == "application/json"
        assert got.headers["cache-control"] == "public, max-age=300"
        assert (await client.post("/.well-known/jwks.json")).status_code == 405
