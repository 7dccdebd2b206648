import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from proxy.errors import DeliveryFault
from proxy.review.doctor.line import line
from tests.live.clinic import vacant


@asynccontextmanager
async def saying(*answers: Sequence[object] | None) -> AsyncIterator[str]:
    """A server that answers each command with the lines of one message, or hangs up."""

    async def handle(socket: ServerConnection) -> None:
        for answer in answers:
            heard.append(json.loads(await socket.recv()))
            if answer is None:
                await socket.close(3501)
                return
            await socket.send("\n".join(map(json.dumps, answer)))
        heard.append(json.loads(await socket.recv()))

    heard = list[object]()
    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def pushed(channel: str, data: object) -> dict[str, object]:
    return {"push": {"channel": channel, "pub": {"data": data}}}


async def test_the_reply_is_found_among_others_and_what_stands_beside_it_is_kept() -> None:
    async with saying([{}, pushed("b", 1), {"id": 1, "connect": {"client": "c"}}, pushed("a", 2)]) as url, line(url) as talk:
        assert await talk.ask("connect", token="t") == {"id": 1, "connect": {"client": "c"}}
        assert await talk.pushed("a", "pub") == {"data": 2}
        assert await talk.pushed("b", "pub") == {"data": 1}


async def test_what_comes_later_is_waited_for() -> None:
    async with saying([{"id": 1, "connect": {}}], [pushed("a", 2), {"id": 2, "subscribe": {}}]) as url, line(url) as talk:
        await talk.ask("connect")
        assert await talk.ask("subscribe", channel="a") == {"id": 2, "subscribe": {}}
        assert await talk.pushed("a", "pub") == {"data": 2}


async def test_the_end_is_told_with_its_code() -> None:
    async with saying(None) as url, line(url) as talk:
        assert await talk.ask("connect") == {"closed": 3501}
        with pytest.raises(DeliveryFault, match="closed the connection"):
            await talk.pushed("a", "pub")


async def test_silence_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.review.doctor.line.PATIENCE_S", 0.05)
    async with saying([{"id": 7}], [{}]) as url, line(url) as talk:
        with pytest.raises(DeliveryFault, match="did not answer within"):
            await talk.ask("connect")
        with pytest.raises(DeliveryFault, match="did not answer within"):
            await talk.pushed("a", "pub")


async def test_nobody_there_is_a_fault() -> None:
    with pytest.raises(DeliveryFault, match="no client can connect"):
        async with line(f"ws://127.0.0.1:{vacant()}/connection/websocket"):
            pass
