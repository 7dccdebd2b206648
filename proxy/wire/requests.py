"""What Centrifugo asks: the bodies of its nine HTTP hooks, decoded strictly.

Unknown fields are ignored, known ones have their exact type. Field names and which are left out when empty: captured from Centrifugo
6.9.1 and 5.4.9 (`tests/golden`). A hook body names no event, so each event has its own decoder in `EVENTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from proxy.wire.read import CHANNEL, USER, WORD, document, payload, refuse, text, texts

CHANNELS: Final = 1000
"""Server-side subscriptions a client may ask for; Centrifugo grants at most 128 by default."""
ITEMS: Final = 10_000
"""Keys in one shared poll; Centrifugo asks for at most 1000 by default."""


# Requests are not frozen: building a frozen dataclass costs about twice as much, and hooks are the hot path.
@dataclass(slots=True, kw_only=True)
class Head:
    """What every request about a connection begins with: its id, how it came and how it speaks."""

    client: str
    transport: str
    protocol: str
    encoding: str


@dataclass(slots=True, kw_only=True)
class ConnectRequest(Head):
    """A client without a token wants to connect; `channels` are the server-side subscriptions it would like."""

    name: str
    version: str
    channels: tuple[str, ...]
    data: object
    raw: bytes
    """The bytes that `data` was read from."""


@dataclass(slots=True, kw_only=True)
class Member(Head):
    """The head of a request about a connected client; `user` is `""` for an anonymous one, `meta` is what connect answered."""

    user: str
    meta: object


@dataclass(slots=True, kw_only=True)
class RefreshRequest(Member):
    """A connection has come to its end and may be prolonged."""


@dataclass(slots=True, kw_only=True)
class SubscribeRequest(Member):
    """A client wants to subscribe without a token; nothing tells a first time from a return with recovery."""

    channel: str
    data: object
    raw: bytes


@dataclass(slots=True, kw_only=True)
class PublishRequest(Member):
    """A client wants to publish; it need not be subscribed, and no channel guard of Centrifugo has run."""

    channel: str
    data: object
    raw: bytes


@dataclass(slots=True, kw_only=True)
class SubRefreshRequest(Member):
    """A subscription has come to its end and may be prolonged."""

    channel: str


@dataclass(slots=True, kw_only=True)
class RpcRequest(Member):
    """A client calls `method`, which is `""` if it named none."""

    method: str
    data: object
    raw: bytes


@dataclass(slots=True, kw_only=True)
class MapPublishRequest(Member):
    """A client wants to write `key` of a map channel."""

    channel: str
    key: str
    data: object
    raw: bytes


@dataclass(slots=True, kw_only=True)
class MapRemoveRequest(Member):
    """A client wants to remove `key` from a map channel."""

    channel: str
    key: str


@dataclass(slots=True, kw_only=True)
class PollItem:
    """One key that clients track, and the version they have (0: none)."""

    key: str
    version: int


@dataclass(slots=True, kw_only=True)
class SharedPollRefreshRequest:
    """Centrifugo asks on its own behalf what has changed; there is no client and no user."""

    channel: str
    items: tuple[PollItem, ...]


Request: TypeAlias = (
    ConnectRequest
    | RefreshRequest
    | SubscribeRequest
    | PublishRequest
    | SubRefreshRequest
    | RpcRequest
    | MapPublishRequest
    | MapRemoveRequest
    | SharedPollRefreshRequest
)

_Member = TypeVar("_Member", bound=Member)


def decode_connect(body: bytes) -> ConnectRequest:
    """Decode the connect hook's body; raises `Malformed`."""
    fields = document(body)
    request = object.__new__(ConnectRequest)
    request.client, request.transport, request.protocol, request.encoding = _head(fields)
    request.name = text(fields, "name", 0, WORD) if "name" in fields else ""
    request.version = text(fields, "version", 0, WORD) if "version" in fields else ""
    request.channels = texts(fields, "channels", CHANNELS, CHANNEL)
    request.data, request.raw = payload(fields, body)
    return request


def decode_refresh(body: bytes) -> RefreshRequest:
    """Decode the refresh hook's body; raises `Malformed`."""
    return _member(RefreshRequest, document(body))


def decode_subscribe(body: bytes) -> SubscribeRequest:
    """Decode the subscribe hook's body; raises `Malformed`."""
    fields = document(body)
    request = _member(SubscribeRequest, fields)
    request.channel = text(fields, "channel", 0, CHANNEL)
    request.data, request.raw = payload(fields, body)
    return request


def decode_publish(body: bytes) -> PublishRequest:
    """Decode the publish hook's body; raises `Malformed`."""
    fields = document(body)
    request = _member(PublishRequest, fields)
    request.channel = text(fields, "channel", 0, CHANNEL)
    request.data, request.raw = payload(fields, body)
    return request


def decode_sub_refresh(body: bytes) -> SubRefreshRequest:
    """Decode the sub_refresh hook's body; raises `Malformed`."""
    fields = document(body)
    request = _member(SubRefreshRequest, fields)
    request.channel = text(fields, "channel", 0, CHANNEL)
    return request


def decode_rpc(body: bytes) -> RpcRequest:
    """Decode the rpc hook's body; raises `Malformed`."""
    fields = document(body)
    request = _member(RpcRequest, fields)
    request.method = text(fields, "method", 0, WORD) if "method" in fields else ""
    request.data, request.raw = payload(fields, body)
    return request


def decode_map_publish(body: bytes) -> MapPublishRequest:
    """Decode the map_publish hook's body, which leaves out an empty `user`; raises `Malformed`."""
    fields = document(body)
    fields.setdefault("user", "")
    request = _member(MapPublishRequest, fields)
    request.channel = text(fields, "channel", 0, CHANNEL)
    request.key = text(fields, "key", 1, CHANNEL)
    request.data, request.raw = payload(fields, body)
    return request


def decode_map_remove(body: bytes) -> MapRemoveRequest:
    """Decode the map_remove hook's body, which leaves out an empty `user`; raises `Malformed`."""
    fields = document(body)
    fields.setdefault("user", "")
    request = _member(MapRemoveRequest, fields)
    request.channel = text(fields, "channel", 0, CHANNEL)
    request.key = text(fields, "key", 1, CHANNEL)
    return request


def decode_shared_poll_refresh(body: bytes) -> SharedPollRefreshRequest:
    """Decode the shared_poll_refresh hook's body; raises `Malformed`."""
    fields = document(body)
    items = fields.get("items", [])
    if type(items) is not list or len(items) > ITEMS:
        refuse("items", f"a list of at most {ITEMS} objects")
    return SharedPollRefreshRequest(channel=text(fields, "channel", 0, CHANNEL), items=tuple(map(_item, items)))


EVENTS: Final[Mapping[str, Callable[[bytes], Request]]] = MappingProxyType(
    {
        "connect": decode_connect,
        "refresh": decode_refresh,
        "subscribe": decode_subscribe,
        "publish": decode_publish,
        "sub_refresh": decode_sub_refresh,
        "rpc": decode_rpc,
        "map_publish": decode_map_publish,
        "map_remove": decode_map_remove,
        "shared_poll_refresh": decode_shared_poll_refresh,
    }
)
"""The decoder of each event, by the name that ends its hook's path."""


_HEAD: Final = itemgetter("client", "transport", "protocol", "encoding")


def _head(fields: dict[str, Any]) -> tuple[str, str, str, str]:
    try:
        head: tuple[str, str, str, str] = _HEAD(fields)
    except KeyError as missing:
        refuse(str(missing.args[0]), f"a string of 1 to {WORD} characters")
    client, transport, protocol, encoding = head
    # One check for all four: a call for each would cost a tenth of the whole decode.
    if not (
        type(client) is type(transport) is type(protocol) is type(encoding) is str
        and 0 < len(client) <= WORD
        and 0 < len(transport) <= WORD
        and 0 < len(protocol) <= WORD
        and 0 < len(encoding) <= WORD
    ):
        refuse("each of client, transport, protocol and encoding", f"a string of 1 to {WORD} characters")
    return head


def _member(kind: type[_Member], fields: dict[str, Any]) -> _Member:
    # Filling the slots of a bare object instead of calling `kind` with keywords saves a sixth of a decode.
    request = object.__new__(kind)
    request.client, request.transport, request.protocol, request.encoding = _head(fields)
    request.user = text(fields, "user", 0, USER)
    request.meta = fields.get("meta")
    return request


def _item(item: object) -> PollItem:
    if type(item) is not dict:
        refuse("an item", "an object")
    version = item.get("version", 0)
    if type(version) is not int or version < 0:
        refuse("version", "an integer from 0 on")
    return PollItem(key=text(item, "key", 1, CHANNEL), version=version)
