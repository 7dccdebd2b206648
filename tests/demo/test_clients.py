import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.demo.clients import App, Stream, soon
from proxy.demo.data import ANN

LINES = b'data: {"push":{"channel":"c"}}\n\ndata: {}\n\n\ndata: {"id":1,"connect":{"client":"x","session":"s","node":"n"}}\n\n'


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=LINES))) as client:
        yield client


async def test_a_stream_passes_over_pushes_and_pings_to_the_reply(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "http://c/connection/sse") as response:
        connected = await Stream(http, response, "http://c").connected()
    assert connected["client"] == "x"


async def test_a_stream_that_ends_says_so(http: httpx.AsyncClient) -> None:
    async with http.stream("GET", "http://c/connection/sse") as response:
        with pytest.raises(StopAsyncIteration):
            await Stream(http, response, "http://c").reply(2)


async def test_waiting_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.demo.clients.PATIENCE", 0.01)
    with pytest.raises(TimeoutError):
        await soon(asyncio.Queue[int]())


async def test_a_token_endpoint_that_is_down_is_no_refusal() -> None:
    app = App(ANN, "http://127.0.0.1:8010", "http://127.0.0.1:8000")
    await app.http.aclose()
    app.http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503, text="later")), base_url="http://s")
    with pytest.raises(httpx.HTTPStatusError):
        await app.token()
    await app.close()
