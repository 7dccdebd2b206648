import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpcore
import pytest

from proxy.delivery.http import IDLE_S, Server
from proxy.errors import DeliveryFault, SetupFault

KEY = "the-key-of-the-server-api"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Api:
    """A server on a real socket that keeps what it was sent and answers as it is told."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.base = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
                self.requests.append((line, headers, await reader.readexactly(int(headers["content-length"]))))
                await self.answers.pop(0)(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def listening(*answers: Answer) -> AsyncIterator[Api]:
    api = Api(list(answers))
    listener = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    api.base = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        listener.close()


@asynccontextmanager
async def calling(base: str, *, timeout_s: float = 5.0, largest: int = 1 << 20) -> AsyncIterator[Server]:
    server = Server(base, KEY, timeout_s=timeout_s, largest=largest)
    try:
        yield server
    finally:
        await server.close()


def says(body: bytes, status: str = "200 OK", headers: str = "") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    return answer


def writes(raw: bytes, *, close: bool = True) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.close()
            await writer.wait_closed()

    return answer


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()
    writer.close()


async def test_a_command_is_posted_to_its_method_with_the_key_and_the_answer_comes_back_as_it_is() -> None:
    async with listening(says(b'{"result":{}}')) as api, calling(api.base + "/") as server:
        assert await server.call("publish", b'{"channel":"a"}') == b'{"result":{}}'
    line, headers, body = api.requests[0]
    assert (line, body) == ("POST /api/publish HTTP/1.1", b'{"channel":"a"}')
    assert (headers["x-api-key"], headers["content-type"], headers["accept-encoding"]) == (KEY, "application/json", "identity")


async def test_calls_share_one_kept_alive_connection() -> None:
    async with listening(says(b"1"), says(b"2"), says(b"3")) as api, calling(api.base) as server:
        assert [await server.call("publish", b"{}") for _ in range(3)] == [b"1", b"2", b"3"]
    assert api.connections == 1


async def test_a_connection_closed_while_it_rested_is_replaced_and_the_command_sent_once() -> None:
    async with listening(writes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"), says(b"2")) as api, calling(api.base) as server:
        assert await server.call("publish", b"{}") == b"1"
        await api.closed.wait()
        assert await server.call("publish", b"{}") == b"2"
    assert (api.connections, len(api.requests)) == (2, 2)


def test_connections_rest_shorter_than_centrifugo_waits() -> None:
    assert IDLE_S == 20


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says(b"", "401 Unauthorized"), "Centrifugo refused the key of its server API (status 401): it must be the same as http_api.key"),
        (says(b"{}", "500 Internal Server Error"), "Centrifugo answered publish with status 500"),
        (says(b"{}", "201 Created"), "Centrifugo answered publish with status 201"),
        (says(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "Centrifugo answered publish with status 302"),
        (says(b"x" * 101), "Centrifugo's answer to publish is longer than 100 bytes"),
        (writes(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "RemoteProtocolError"),
        (writes(b""), "RemoteProtocolError"),
        (writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "RemoteProtocolError"),
    ],
    ids=["wrong-key", "error", "created", "redirect", "too-long", "other-protocol", "closed", "cut-off"],
)
async def test_anything_but_a_complete_answer_with_status_200_is_a_fault_and_nothing_is_sent_twice(answer: Answer, sentence: str) -> None:
    async with listening(answer, says(b"{}")) as api, calling(api.base, largest=100) as server:
        with pytest.raises(DeliveryFault) as fault:
            await server.call("publish", b"{}")
        assert sentence in str(fault.value)
        assert KEY not in str(fault.value)
        assert len(api.requests) == 1
        assert await server.call("publish", b"{}") == b"{}"


STUCK = writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=False)


@pytest.mark.parametrize("answer", [never, STUCK], ids=["silent", "stuck"])
async def test_a_late_answer_is_a_fault(answer: Answer) -> None:
    async with listening(answer, never) as api, calling(api.base, timeout_s=0.05) as server:
        with pytest.raises(DeliveryFault, match=r"^Centrifugo did not answer publish within 0\.05 s$"):
            await server.call("publish", b"{}")


async def test_an_answer_that_trickles_in_is_late_as_a_whole() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)

    async with listening(trickle) as api, calling(api.base, timeout_s=0.1) as server:
        with pytest.raises(DeliveryFault, match="within"):
            await server.call("publish", b"{}")


async def test_a_call_waits_for_a_free_connection_no_longer_than_for_an_answer() -> None:
    async with listening(never, never) as api:
        server = Server(api.base, KEY, timeout_s=0.05, connections=1)
        results = await asyncio.gather(*(server.call("publish", b"{}") for _ in range(2)), return_exceptions=True)
        await server.close()
    assert list(map(str, results)) == ["Centrifugo did not answer publish within 0.05 s"] * 2


async def test_connecting_is_tried_twice_and_the_sentence_names_the_place_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []
    connect = httpcore.AnyIOBackend.connect_tcp

    async def counted(*args: object, **kwargs: object) -> httpcore.AsyncNetworkStream:
        tries.append(args)
        return await connect(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", counted)
    async with listening() as api:
        place = api.base.removeprefix("http://")
    async with calling(f"http://someone:password@{place}") as server:
        with pytest.raises(DeliveryFault) as fault:
            await server.call("publish", b"{}")
    assert str(fault.value) == f"Centrifugo could not be asked publish at {place}: ConnectError"
    assert len(tries) == 2


async def test_health_asks_for_info() -> None:
    async with listening(says(b'{"result":{"nodes":[]}}'), says(b"", "401 Unauthorized")) as api, calling(api.base) as server:
        await server.health()
        assert api.requests[0][0] == "POST /api/info HTTP/1.1"
        with pytest.raises(DeliveryFault):
            await server.health()


@pytest.mark.parametrize("key", ["", "schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_stops_the_start(key: str) -> None:
    with pytest.raises(SetupFault, match="printable ASCII"):
        Server("http://127.0.0.1:1", key)
