"""Centrifugo's server API over gRPC.

Messages are built from the compiled form of `api.proto`, in a pool of their own: generated classes would be registered under
Centrifugo's names for the whole process, where its official ones may be, too.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import grpc
import grpc.aio
import orjson
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from proxy.errors import DeliveryFault, SetupFault, Unread
from proxy.wire.api import METHOD_NOT_FOUND, ApiError, Command, Outcome, Result
from proxy.wire.codes import ErrorCode
from proxy.wire.write import dump

SECURE: Final = "grpcs://"
"""Begins the address of a server that is reached over TLS."""
LARGEST: Final = 4 << 20
"""Bytes of a request; Centrifugo refuses longer ones unless told otherwise."""

_PACKAGE: Final = "centrifugal.centrifugo.api"
_BATCH: Final = f"/{_PACKAGE}.CentrifugoApi/Batch"
_INFO: Final = Command(method="info", params={})
_WHOLE: Final[Mapping[str, Sequence[str]]] = {
    "Client": ("user", "client"),
    "Clients": ("presence",),
    "Counts": ("num_clients", "num_users"),
    "Publications": ("publications", "offset", "epoch"),
    "Node": ("uid", "name", "version", "num_clients", "num_users", "num_channels", "num_subs"),
    "Names": ("channels",),
}
"""By message, the fields that Centrifugo's JSON has even when they are zero; all others are left out then."""
# Its own backoff grows to two minutes, and it would ask a proxy of the environment.
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Server:
    """One Centrifugo server, called over one connection; a `Transport`.

    `target` is its address (`localhost:10000`, with TLS `grpcs://host:port`), `key` its `grpc_api.key`. A call waits `timeout_s` in all
    and reads at most `largest` bytes. Nothing is sent twice.
    """

    def __init__(self, target: str, key: str, *, timeout_s: float = 5.0, largest: int = 16 << 20) -> None:
        if not key or not key.isascii() or not key.isprintable():
            raise SetupFault("the key of Centrifugo's server API must be printable ASCII and not empty")
        self._target = target
        self._metadata = (("authorization", f"apikey {key}"),)
        self._timeout_s = timeout_s
        self._largest = largest
        self._request, self._response = _messages("BatchRequest", "BatchResponse")
        members = self._request.DESCRIPTOR.fields_by_name["commands"].message_type.fields
        # The fields of each method that hold JSON.
        self._methods = {each.name: {field.name for field in each.message_type.fields if _is_json(field)} for each in members}
        self._channel: grpc.aio.Channel | None = None

    async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Send one command, or several whose order does not matter, and give the outcome of each.

        `DeliveryFault` when it is unknown what was applied, `Unread` for a request that is longer than `LARGEST`: it is not sent.
        """
        known = [command for command in commands if command.method in self._methods]
        replies = iter(await self._call(known) if known else ())
        return [_outcome(next(replies), command.method) if command.method in self._methods else METHOD_NOT_FOUND for command in commands]

    async def health(self) -> None:
        """Return if Centrifugo answers and takes the key; raises `DeliveryFault` if not. It only reads its own list of nodes for it."""
        await self.send([_INFO])

    async def close(self) -> None:
        """Close the connection; the server cannot be called afterwards."""
        if self._channel is not None:
            await self._channel.close()

    async def _call(self, commands: Sequence[Command]) -> Sequence[Any]:
        request = self._request(commands=[self._member(command) for command in commands], parallel=len(commands) > 1)
        if request.ByteSize() > LARGEST:
            raise Unread(f"a request to Centrifugo is longer than {LARGEST} bytes")
        call = self._open().unary_unary(
            _BATCH, request_serializer=self._request.SerializeToString, response_deserializer=self._response.FromString
        )
        try:
            response: Any = await call(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise DeliveryFault(self._failure(error.code())) from None
        if len(response.replies) != len(commands):
            raise DeliveryFault(f"Centrifugo did not reply to each of {len(commands)} commands")
        replies: Sequence[Any] = response.replies
        return replies

    def _open(self) -> grpc.aio.Channel:
        # It belongs to the loop that runs when it is made.
        if self._channel is None:
            options = [*_OPTIONS, ("grpc.max_receive_message_length", self._largest)]
            if self._target.startswith(SECURE):
                self._channel = grpc.aio.secure_channel(self._target.removeprefix(SECURE), grpc.ssl_channel_credentials(), options)
            else:
                self._channel = grpc.aio.insecure_channel(self._target, options)
        return self._channel

    def _member(self, command: Command) -> Mapping[str, object]:
        texts = self._methods[command.method]
        return {command.method: {name: dump(value) if name in texts else value for name, value in command.params.items()}}

    def _failure(self, code: grpc.StatusCode) -> str:
        if code is grpc.StatusCode.UNAUTHENTICATED:
            return "Centrifugo refused the key of its server API: it must be the same as grpc_api.key"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"Centrifugo did not answer within {self._timeout_s:g} s"
        return f"Centrifugo could not be asked at {self._target}: {code.name}"


def _messages(*names: str) -> Sequence[type[Message]]:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(resources.files("proxy.delivery").joinpath("api.pb").read_bytes()).file:
        pool.Add(file)
    return [GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in names]


def _is_json(field: Any) -> bool:  # noqa: ANN401 - protobuf has no types
    return bool(field.type == field.TYPE_BYTES)


def _outcome(reply: Any, method: str) -> Outcome:  # noqa: ANN401 - protobuf has no types
    if reply.HasField("error"):
        return ApiError(code=reply.error.code, message=reply.error.message)
    if not reply.HasField(method):
        raise DeliveryFault("Centrifugo's reply has neither a result nor an error")
    try:
        return Result(fields=_plain(getattr(reply, method)))
    except orjson.JSONDecodeError:
        # Over HTTP Centrifugo cannot answer this either.
        return ApiError(code=ErrorCode.INTERNAL, message="internal server error")


def _plain(message: Message) -> dict[str, object]:
    """Give a message as the JSON object that it is over HTTP."""
    kind = message.DESCRIPTOR
    whole = [(kind.fields_by_name[name], getattr(message, name)) for name in _WHOLE.get(kind.name, ())]
    return {field.name: _value(field, value) for field, value in (*whole, *message.ListFields())}


def _value(field: Any, value: Any) -> object:  # noqa: ANN401 - protobuf has no types
    if isinstance(value, Mapping):
        inner = field.message_type.fields_by_name["value"]
        return {key: _value(inner, each) for key, each in value.items()}
    if isinstance(value, Message):
        return _plain(value)
    if _is_json(field):
        return orjson.loads(value)
    # Only messages are repeated in results.
    return [_plain(each) for each in value] if field.message_type is not None else value
