"""The service before a real Centrifugo, reached either way."""

from pathlib import Path

import httpx
import pytest

from tests.delivery.centrifugos import KEY, WAYS, running
from tests.gateway.pair import ALL_KEY, POLICY, service

pytestmark = pytest.mark.live


@pytest.mark.parametrize(("version", "way"), WAYS)
async def test_backends_reach_centrifugo_the_way_that_is_set(version: str, way: str, tmp_path: Path) -> None:
    async with running(version, tmp_path) as place:
        # The other way leads nowhere.
        url, target = (place.server.url, None) if way == "http" else ("http://127.0.0.1:1", place.target)
        chosen = {"centrifugo_api_key": KEY, "centrifugo_grpc": target}
        async with service(url, POLICY, **chosen) as base, httpx.AsyncClient(base_url=base, trust_env=False) as client:
            sent = {"channels": ["a", "b"], "data": {"n": 1}}
            got = await client.post("/api/broadcast", json=sent, headers={"x-api-key": ALL_KEY})
            assert [each["result"]["offset"] for each in got.json()["result"]["responses"]] == [1, 1]
            kept = await client.post("/api/history", json={"channel": "b", "limit": 1}, headers={"x-api-key": ALL_KEY})
            assert kept.json()["result"]["publications"] == [{"data": {"n": 1}, "offset": 1}]
            assert "centrifugo" not in (await client.get("/ready")).json()["reasons"]
            await place.kill()
            got = await client.post("/api/publish", json={"channel": "a", "data": 1}, headers={"x-api-key": ALL_KEY})
            assert got.json() == {"error": {"code": 100, "message": "internal server error"}}
            assert "could not be asked" in (await client.get("/ready")).json()["reasons"]["centrifugo"]
