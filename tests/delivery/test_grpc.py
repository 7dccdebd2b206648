import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from proxy.delivery import grpc as module
from proxy.delivery.grpc import Server, _messages
from proxy.errors import DeliveryFault, SetupFault, Unread
from proxy.wire.api import METHOD_NOT_FOUND, ApiError, Command, Result
from tests.delivery.centrifugos import publish
from tests.delivery.trusted import certificate

KEY = "the-key-of-the-server-api"
FOLDER = Path(module.__file__).parent
REQUEST, RESPONSE, REPLY = _messages("BatchRequest", "BatchResponse", "Reply")

Answer = Callable[[Any], Any]


@asynccontextmanager
async def listening(answer: Answer, credentials: Any = None) -> AsyncIterator[str]:  # noqa: ANN401 - grpc has no types
    """A server on a real socket; `answer` gives the response to a request."""

    async def batch(request: Any, context: Any) -> Any:  # noqa: ANN401 - grpc has no types
        assert dict(context.invocation_metadata())["authorization"] == f"apikey {KEY}"
        return answer(request)

    method = grpc.unary_unary_rpc_method_handler(
        batch, request_deserializer=REQUEST.FromString, response_serializer=RESPONSE.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("centrifugal.centrifugo.api.CentrifugoApi", {"Batch": method}),))
    port = server.add_secure_port("localhost:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"{'localhost' if credentials else '127.0.0.1'}:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def calling(target: str, **chosen: Any) -> AsyncIterator[Server]:  # noqa: ANN401 - the arguments of a server
    server = Server(target, KEY, **chosen)
    try:
        yield server
    finally:
        await server.close()


def replies(*given: dict[str, Any]) -> Any:  # noqa: ANN401 - grpc has no types
    return RESPONSE(replies=given)


def test_the_compiled_messages_are_those_of_the_text(tmp_path: Path) -> None:
    made = tmp_path / "api.pb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--descriptor_set_out={made}", f"{FOLDER}/api.proto"]
    subprocess.run(command, check=True)
    assert made.read_bytes() == (FOLDER / "api.pb").read_bytes()


async def test_commands_arrive_in_one_batch_that_is_parallel_if_there_are_several() -> None:
    seen: list[Any] = []

    def answer(request: Any) -> Any:  # noqa: ANN401 - grpc has no types
        seen.append(request)
        return replies(*[{"publish": {"offset": number}} for number in range(len(request.commands))])

    async with listening(answer) as target, calling(target) as server:
        assert await server.send([publish("a", {"x": 1})]) == [Result(fields={})]
        outcomes = await server.send([publish("a", None), publish("b", [1], tags={"k": "v"}, version=2**64 - 1)])
    assert outcomes == [Result(fields={}), Result(fields={"offset": 1})]
    assert [request.parallel for request in seen] == [False, True]
    first, second = [command.publish for command in seen[1].commands]
    assert (first.channel, first.data, second.data, dict(second.tags), second.version) == ("a", b"null", b"[1]", {"k": "v"}, 2**64 - 1)


async def test_a_method_that_it_does_not_have_is_refused_alone_and_not_sent() -> None:
    blocked = Command(method="block_user", params={"user": "u"})
    async with listening(lambda request: replies(*[{"publish": {}} for _ in request.commands])) as target, calling(target) as server:
        assert await server.send([blocked, publish("a", 1)]) == [METHOD_NOT_FOUND, Result(fields={})]
        assert await server.send([blocked]) == [METHOD_NOT_FOUND]


async def test_presence_comes_as_over_http() -> None:
    clients = {"c1": {"user": "", "client": "c1", "conn_info": b'{"n":1}'}, "c2": {"user": "u", "client": "c2", "chan_info": b"null"}}
    command = Command(method="presence", params={"channel": "a"})
    async with listening(lambda _: replies({"presence": {"presence": clients}})) as target, calling(target) as server:
        assert await server.send([command]) == [
            Result(
                fields={
                    "presence": {
                        "c1": {"user": "", "client": "c1", "conn_info": {"n": 1}},
                        "c2": {"user": "u", "client": "c2", "chan_info": None},
                    }
                }
            )
        ]


async def test_what_is_not_json_is_an_error_of_its_command_alone() -> None:
    history = Command(method="history", params={"channel": "a"})
    answer = replies({"history": {"publications": [{"data": b"\x00"}]}}, {"publish": {}})
    async with listening(lambda _: answer) as target, calling(target) as server:
        outcomes = await server.send([history, publish("b", 1)])
    assert outcomes == [ApiError(code=100, message="internal server error"), Result(fields={})]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (replies(), "Centrifugo did not reply to each of 1 commands"),
        (replies({"info": {}}), "Centrifugo's reply has neither a result nor an error"),
        (replies({"error": {"code": 1, "message": "x" * 2000}}), "RESOURCE_EXHAUSTED"),
        (None, "INTERNAL|UNKNOWN"),
    ],
    ids=["none", "other", "too-long", "mistake"],
)
async def test_anything_but_a_complete_answer_is_a_fault(answer: Any, sentence: str) -> None:  # noqa: ANN401 - grpc has no types
    async with listening(lambda _: answer) as target, calling(target, largest=1000) as server:
        with pytest.raises(DeliveryFault, match=sentence):
            await server.send([publish("a", 1)])


async def test_a_late_answer_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with calling(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05) as server:
            with pytest.raises(DeliveryFault, match=r"Centrifugo did not answer within 0\.05 s"):
                await server.send([publish("a", 1)])


async def test_a_request_that_centrifugo_would_not_read_is_not_sent() -> None:
    async with calling("127.0.0.1:1") as server:
        with pytest.raises(Unread, match="longer than 4194304 bytes"):
            await server.send([publish("a", "x" * (4 << 20))])


async def test_it_is_reached_over_tls_where_its_address_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path).read_bytes()
    credentials = grpc.ssl_server_credentials([(pem, pem)])
    make = grpc.ssl_channel_credentials
    async with listening(lambda _: replies({"publish": {}}), credentials) as target:
        async with calling(f"grpcs://{target}", timeout_s=2) as server:
            with pytest.raises(DeliveryFault):
                await server.send([publish("a", 1)])
        monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda: make(pem))
        async with calling(f"grpcs://{target}") as server:
            assert await server.send([publish("a", 1)]) == [Result(fields={})]


@pytest.mark.parametrize("key", ["", "schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_stops_the_start(key: str) -> None:
    with pytest.raises(SetupFault, match="printable ASCII"):
        Server("127.0.0.1:1", key)


async def test_one_that_was_never_used_can_be_closed() -> None:
    await Server("127.0.0.1:1", KEY).close()
