"""What a hook may answer, as types that cannot say what Centrifugo would misread.

- A grant always writes a `result`, a refusal never does: `{}` and `{"result":{"allowed":false}}` would both grant.
- None is absence and is left out, never written as null, which Centrifugo passes on, publishes, or dies of.
- refresh and sub_refresh have no refusal, because Centrifugo ignores one there; and every prolongation has an end, because a
  sub_refresh without one would never expire. A rule without an end gets a far one: Centrifugo cuts it to 365 days and asks again.

What breaks this is our mistake: `Fault` when the reply is made, or when it is encoded if it is not JSON. The status of a reply is always
200. Source: Centrifugo's decoder of hook answers, 6.9.1 and 5.4.9; 5.4.9 ignores tags, idempotency keys and map events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from proxy.wire.codes import CUSTOM_DISCONNECTS, CUSTOM_ERRORS, ERRORS, PASSING, REASON, REFUSALS
from proxy.wire.publications import UNCHANGED, MapPublished, MapRemoved, Polled, Published, Removal, Update
from proxy.wire.write import body, demand, finite, moment, present

__all__ = [
    "UNCHANGED",
    "Answered",
    "ConnectReply",
    "Connected",
    "Disconnected",
    "Expired",
    "MapPublishReply",
    "MapPublished",
    "MapRemoveReply",
    "MapRemoved",
    "Override",
    "Polled",
    "PublishReply",
    "Published",
    "RefreshReply",
    "Refreshed",
    "Refused",
    "Removal",
    "Reply",
    "RpcReply",
    "SharedPollRefreshReply",
    "SubOptions",
    "SubRefreshReply",
    "SubRefreshed",
    "SubscribeReply",
    "Subscribed",
    "Update",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An error: the command fails, the connection stays; `temporary` says whether the client tries again.

    `code` is one of `ErrorCode`, each of which has one right value of `temporary`, or 400 to 1999.
    """

    code: int
    message: str
    temporary: bool = False

    def __post_init__(self) -> None:
        own = self.code in ERRORS
        demand(own or self.code in CUSTOM_ERRORS, "clients do not understand this code of an error")
        demand(not own or self.temporary == (self.code in PASSING), "this error has one right value of temporary")
        demand(self.message, "an error has a message")

    def encode(self) -> bytes:
        """Write the body."""
        return body("error", {"code": self.code, "message": self.message, "temporary": self.temporary})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection ends; `code` is 4000 to 4499 (the client comes back), 4500 to 4999 or one of `REFUSALS` (it stays away)."""

    code: int
    reason: str

    def __post_init__(self) -> None:
        demand(self.code in CUSTOM_DISCONNECTS or self.code in REFUSALS, "a hook does not disconnect with this code")
        demand(0 < len(self.reason.encode(errors="replace")) <= REASON, "a reason has 1 to 123 bytes")

    def encode(self) -> bytes:
        """Write the body."""
        return body("disconnect", {"code": self.code, "reason": self.reason})


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What a subscription has otherwise than its namespace says; None leaves it to the namespace."""

    presence: bool | None = None
    join_leave: bool | None = None
    force_push_join_leave: bool | None = None
    force_recovery: bool | None = None
    force_positioning: bool | None = None

    def members(self) -> dict[str, object]:
        """Give the JSON object; Centrifugo wants each switch in an object of its own."""
        switches = present(
            presence=self.presence,
            join_leave=self.join_leave,
            force_push_join_leave=self.force_push_join_leave,
            force_recovery=self.force_recovery,
            force_positioning=self.force_positioning,
        )
        return {name: {"value": bool(value)} for name, value in switches.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubOptions:
    """A server-side subscription: `info` is visible to others, `data` goes to the client once."""

    info: object = None
    data: object = None
    override: Override | None = None

    def __post_init__(self) -> None:
        finite(self.info, self.data)

    def members(self) -> dict[str, object]:
        """Give the JSON object."""
        return present(info=self.info, data=self.data, override=self.override and self.override.members())


# Not frozen: one is made for every connection, as below.
@dataclass(slots=True, kw_only=True)
class Connected:
    """The client is connected as `user` (`""`: anonymous) until `expire_at`, Unix seconds, None for ever.

    `info` is visible to others, `data` goes to the client once, `meta` is private and comes back in later requests, `subs` are its
    server-side subscriptions.
    """

    user: str
    expire_at: int | None = None
    info: object = None
    data: object = None
    meta: dict[str, object] | None = None
    subs: Mapping[str, SubOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand(isinstance(self.user, str), "a user is a string")
        demand(self.meta is None or isinstance(self.meta, dict), "meta is an object")
        moment(self.expire_at)
        finite(self.info, self.data)
        for channel, options in self.subs.items():
            # A null here ends the whole Centrifugo process.
            demand(channel and isinstance(options, SubOptions), "a server-side subscription has a channel and options")

    def encode(self) -> bytes:
        """Write the body."""
        result = present(user=self.user, expire_at=self.expire_at, info=self.info, data=self.data, meta=self.meta)
        if self.subs:
            result["subs"] = {channel: options.members() for channel, options in self.subs.items()}
        return body("result", result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The connection lives on until `expire_at`, Unix seconds; `info` and `meta` replace what it has, None leaves them."""

    expire_at: int
    info: object = None
    meta: dict[str, object] | None = None

    def __post_init__(self) -> None:
        demand(self.meta is None or isinstance(self.meta, dict), "meta is an object")
        demand(self.expire_at, "a prolongation has an end")
        moment(self.expire_at)
        finite(self.info)

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", present(expire_at=self.expire_at, info=self.info, meta=self.meta))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubRefreshed:
    """The subscription lives on until `expire_at`, Unix seconds; `info` replaces what it has, None leaves it."""

    expire_at: int
    info: object = None

    def __post_init__(self) -> None:
        demand(self.expire_at, "a prolongation has an end")
        moment(self.expire_at)
        finite(self.info)

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", present(expire_at=self.expire_at, info=self.info))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The connection (3005) or subscription (2501) ends now; the client comes back through connect or subscribe."""

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", {"expired": True})


# Not frozen: one is made for every subscription, and freezing would double what that costs.
@dataclass(slots=True, kw_only=True)
class Subscribed:
    """The client is subscribed until `expire_at`, Unix seconds, None for as long as it is connected."""

    expire_at: int | None = None
    info: object = None
    data: object = None
    override: Override | None = None

    def __post_init__(self) -> None:
        moment(self.expire_at)
        finite(self.info, self.data)

    def encode(self) -> bytes:
        """Write the body."""
        result: dict[str, object] = {}
        if self.expire_at is not None:
            result["expire_at"] = self.expire_at
        if self.info is not None:
            result["info"] = self.info
        if self.data is not None:
            result["data"] = self.data
        if self.override is not None:
            result["override"] = self.override.members()
        return body("result", result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The call is answered with `data`; None answers without data."""

    data: object = None

    def __post_init__(self) -> None:
        finite(self.data)

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", present(data=self.data))


ConnectReply: TypeAlias = Connected | Refused | Disconnected
RefreshReply: TypeAlias = Refreshed | Expired
SubscribeReply: TypeAlias = Subscribed | Refused | Disconnected
PublishReply: TypeAlias = Published | Refused | Disconnected
SubRefreshReply: TypeAlias = SubRefreshed | Expired
RpcReply: TypeAlias = Answered | Refused | Disconnected
MapPublishReply: TypeAlias = MapPublished | Refused | Disconnected
MapRemoveReply: TypeAlias = MapRemoved | Refused | Disconnected
SharedPollRefreshReply: TypeAlias = Polled | Refused
Reply: TypeAlias = (
    ConnectReply
    | RefreshReply
    | SubscribeReply
    | PublishReply
    | SubRefreshReply
    | RpcReply
    | MapPublishReply
    | MapRemoveReply
    | SharedPollRefreshReply
)
