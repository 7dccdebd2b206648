import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from proxy.delivery import http
from proxy.delivery.connection import Connection
from proxy.delivery.http import IDLE_S, Server
from proxy.errors import DeliveryFault, SetupFault, Unread
from proxy.wire.api import ApiError, Command, Result
from tests.delivery.trusted import certificate

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


@pytest.mark.parametrize(
    "answer",
    [
        says(b"1", headers="Connection: close\r\n"),
        writes(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", close=False),
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2", close=False),
        writes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1unasked", close=False),
    ],
    ids=["close", "old", "second-answer", "more"],
)
async def test_a_connection_that_is_not_kept_alive_or_says_too_much_is_not_used_again(answer: Answer) -> None:
    async with listening(answer, says(b"3")) as api, calling(api.base) as server:
        assert await server.call("publish", b"{}") == b"1"
        assert await server.call("publish", b"{}") == b"3"
    assert api.connections == 2


async def test_a_connection_on_which_something_comes_while_it_rests_is_not_used_again() -> None:
    spoken: list[asyncio.StreamWriter] = []

    async def remembered(writer: asyncio.StreamWriter) -> None:
        spoken.append(writer)
        await says(b"1")(writer)

    async with listening(remembered, says(b"2")) as api, calling(api.base) as server:
        assert await server.call("publish", b"{}") == b"1"
        (resting,) = server._resting
        spoken[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(5):
            await api.closed.wait()
        assert not resting.usable
        assert await server.call("publish", b"{}") == b"2"


async def test_a_connection_that_speaks_first_is_a_fault() -> None:
    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with listener, calling(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as server:
        with pytest.raises(DeliveryFault):
            await server.call("publish", b"{}")


async def test_a_connection_that_rested_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE_S", 0)
    async with listening(says(b"1"), says(b"2")) as api, calling(api.base) as server:
        assert [await server.call("publish", b"{}") for _ in range(2)] == [b"1", b"2"]
    assert api.connections == 2


async def test_an_answer_in_pieces_is_put_together() -> None:
    pieces = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with listening(writes(pieces, close=False)) as api, calling(api.base) as server:
        assert await server.call("publish", b"{}") == b"abcde"


async def test_a_call_in_the_air_while_it_is_closed_ends_and_leaves_no_connection() -> None:
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await let_go.wait()
        await says(b"1")(writer)

    async with listening(slow) as api:
        server = Server(api.base, KEY)
        call = asyncio.create_task(server.call("publish", b"{}"))
        await asked.wait()
        await server.close()
        let_go.set()
        assert await call == b"1"
        async with asyncio.timeout(5):
            await api.closed.wait()


async def test_a_server_below_a_path_is_reached_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(trusted)
    api = Api([says(b"1")])
    listener = await asyncio.start_server(api.serve, "127.0.0.1", 0, ssl=serving)
    base = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/rt/"
    async with listener, calling(base) as server:
        with pytest.raises(DeliveryFault, match="SSLCertVerificationError"):
            await server.call("publish", b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    listener = await asyncio.start_server(api.serve, "127.0.0.1", 0, ssl=serving)
    base = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/rt/"
    async with listener, calling(base) as server:
        assert await server.call("publish", b"{}") == b"1"
    assert api.requests[0][0] == "POST /rt/api/publish HTTP/1.1"


async def test_commands_are_sent_as_one_batch_that_is_parallel_if_there_are_several() -> None:
    commands = [Command(method="publish", params={"channel": channel, "data": 1}) for channel in "ab"]
    one, two = b'{"replies":[{"publish":{}}]}', b'{"replies":[{"publish":{}},{"error":{"code":102,"message":"unknown channel"}}]}'
    async with listening(says(one), says(two)) as api, calling(api.base) as server:
        assert await server.send(commands[:1]) == (Result(fields={}),)
        assert await server.send(commands) == (Result(fields={}), ApiError(code=102, message="unknown channel"))
    assert [(line, json.loads(body)["parallel"]) for line, _, body in api.requests] == [
        ("POST /api/batch HTTP/1.1", False),
        ("POST /api/batch HTTP/1.1", True),
    ]


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large"])
async def test_a_request_that_was_not_read_was_not_applied(status: str) -> None:
    async with listening(says(b"", status)) as api, calling(api.base) as server:
        with pytest.raises(Unread, match=status[:3]):
            await server.call("batch", b"{}")


def test_connections_rest_shorter_than_centrifugo_waits() -> None:
    assert IDLE_S == 20


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says(b"", "401 Unauthorized"), "Centrifugo refused the key of its server API (status 401): it must be the same as http_api.key"),
        (says(b"{}", "500 Internal Server Error"), "Centrifugo answered publish with status 500"),
        (says(b"{}", "201 Created"), "Centrifugo answered publish with status 201"),
        (says(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "Centrifugo answered publish with status 302"),
        (says(b"x" * 101), "it sent an answer longer than 100 bytes"),
        (says(b"", "100 Continue"), "Centrifugo answered publish with status 100"),
        (writes(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "it did not speak HTTP/1.1"),
        (writes(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), "answered publish with status 101"),
        (writes(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, close=False), "it sent more than an answer"),
        (writes(b""), "it closed the connection before its answer was complete"),
        (writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), "it closed the connection before its answer was complete"),
        (writes(b"HTTP/1.1 200 OK\r\n\r\nno length"), "it closed the connection before its answer was complete"),
    ],
    ids=[
        "wrong-key",
        "error",
        "created",
        "redirect",
        "too-long",
        "continue",
        "other-protocol",
        "upgrade",
        "endless-head",
        "closed",
        "cut-off",
        "no-length",
    ],
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
    connect = Server._open

    async def counted(server: Server, loop: asyncio.AbstractEventLoop) -> Connection:
        tries.append(server)
        return await connect(server, loop)

    monkeypatch.setattr(Server, "_open", counted)
    async with listening() as api:
        place = api.base.removeprefix("http://")
    async with calling(f"http://someone:password@{place}") as server:
        with pytest.raises(DeliveryFault) as fault:
            await server.call("publish", b"{}")
    assert str(fault.value) == f"Centrifugo could not be asked publish at {place}: ConnectionRefusedError"
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
