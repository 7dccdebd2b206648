"""The methods of Centrifugo's server API and their fields, as one closed table; what it does not name is dropped.

Source: the server API of 6.9.1. The fields that it parses and ignores are left out, as are `b64data` and `b64info`: they arrive as `data`
and `info`, because rules look at JSON and a publication that is not JSON ends every JSON subscriber (3506, terminal).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from proxy.wire.codes import REASON
from proxy.wire.read import refuse

Kind: TypeAlias = Callable[[str, object], object]
"""Checks the value of the field named first and gives it back; raises `Malformed`."""

TEXT: Final = 4096
"""Characters of any name, id, key or tag."""
MANY: Final = 10_000
"""Channels of a broadcast, clients of a whitelist."""
TOPICS: Final = 1000
"""Topics of one invalidation."""
_CODES: Final = range(3000, 5000)


def string(name: str, value: object) -> str:
    """Take a string of at most `TEXT` characters."""
    if type(value) is not str or len(value) > TEXT:
        refuse(name, f"a string of at most {TEXT} characters")
    return value


def strings(name: str, value: object) -> list[str]:
    """Take a list of at most `MANY` strings."""
    if type(value) is not list or len(value) > MANY:
        refuse(name, f"a list of at most {MANY} strings")
    return [string(name, each) for each in value]


def topics(name: str, value: object) -> list[str]:
    """Take a list of at most `TOPICS` strings."""
    if type(value) is not list or len(value) > TOPICS:
        refuse(name, f"a list of at most {TOPICS} strings")
    return strings(name, value)


def tags(name: str, value: object) -> dict[str, str]:
    """Take an object of strings."""
    if type(value) is not dict:
        refuse(name, "an object of strings")
    return {string(name, tag): string(name, each) for tag, each in value.items()}


def flag(name: str, value: object) -> bool:
    """Take a boolean."""
    if type(value) is not bool:
        refuse(name, "true or false")
    return value


def count(name: str, value: object) -> int:
    """Take an integer from 0 to 2**64 - 1."""
    if type(value) is not int or not 0 <= value < 2**64:
        refuse(name, "an integer from 0 to 2**64 - 1")
    return value


def integer(name: str, value: object) -> int:
    """Take an integer of 32 bits; a limit of -1 is no limit."""
    if type(value) is not int or not -(2**31) <= value < 2**31:
        refuse(name, "an integer of 32 bits")
    return value


def seconds(name: str, value: object) -> int:
    """Take Unix seconds of 63 bits, 0 included."""
    if type(value) is not int or not 0 <= value < 2**63:
        refuse(name, "Unix seconds")
    return value


def anything(_name: str, value: object) -> object:
    """Take any JSON value; null is absence, since Centrifugo would hand it to clients."""
    return value


def publication(_name: str, value: object) -> object:
    """Take any JSON value, null included: it is what gets published."""
    return value


def closing(name: str, value: object) -> dict[str, object]:
    """Take a disconnect: a code and a reason that fit a WebSocket close frame; others would reach clients as 1006."""
    given = record({"code": integer, "reason": string})(name, value)
    if given.get("code") not in _CODES or not 0 < len(str(given.get("reason", "")).encode(errors="replace")) <= REASON:
        refuse(name, f"a code from 3000 to 4999 and a reason of 1 to {REASON} bytes")
    return given


def record(members: Mapping[str, Kind]) -> Callable[[str, object], dict[str, object]]:
    """Make the kind of an object with these members; null is absence, others are dropped."""

    def read(name: str, value: object) -> dict[str, object]:
        if type(value) is not dict:
            refuse(name, "an object")
        return {member: kind(member, value[member]) for member, kind in members.items() if value.get(member) is not None}

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: the kind of each field, and `required`, of each of whose groups one field at least is given and not empty."""

    fields: Mapping[str, Kind]
    required: tuple[tuple[str, ...], ...] = ()
    relayed: bool = True
    """Centrifugo has it; the others are answered by this service alone."""

    def read(self, params: dict[str, Any]) -> dict[str, object]:
        """Take the fields that are given, null being absence except as a publication; raises `Malformed` for a wrong type."""
        return {
            name: kind(name, params[name])
            for name, kind in self.fields.items()
            if name in params and (params[name] is not None or kind is publication)
        }

    def complete(self, params: Mapping[str, object]) -> bool:
        """Whether nothing that is required is missing; a given `data` may be any value."""
        return all(any(params.get(name) or (name == "data" and name in params) for name in group) for group in self.required)


_OVERRIDE: Final = dict.fromkeys(
    ("presence", "join_leave", "force_push_join_leave", "force_recovery", "force_positioning"), record({"value": flag})
)
_SINCE: Final = record({"offset": count, "epoch": string})
_PUBLICATION: Final[dict[str, Kind]] = {
    "data": publication,
    "tags": tags,
    "idempotency_key": string,
    "delta": flag,
    "version": count,
    "version_epoch": string,
}
_CHANNEL: Final[dict[str, Kind]] = {"channel": string}
_KEY: Final[dict[str, Kind]] = {"channel": string, "key": string}
_TARGET: Final[dict[str, Kind]] = {"user": string, "client": string, "session": string}
_NAMED: Final = (("channel",),)
_KEYED: Final = (("channel",), ("key",))
# An empty user alone means every anonymous connection, which nobody asks for on purpose.
_TARGETED: Final = ("user", "client", "session")

METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "publish": Method(fields={**_CHANNEL, **_PUBLICATION, "skip_history": flag}, required=(("channel",), ("data",))),
        "broadcast": Method(fields={"channels": strings, **_PUBLICATION, "skip_history": flag}, required=(("channels",), ("data",))),
        "subscribe": Method(
            fields={
                **_TARGET,
                **_CHANNEL,
                "info": anything,
                "data": anything,
                "expire_at": seconds,
                "recover_since": _SINCE,
                "override": record(_OVERRIDE),
            },
            required=(("channel",), _TARGETED),
        ),
        "unsubscribe": Method(fields={**_TARGET, **_CHANNEL}, required=(("channel",), _TARGETED)),
        "disconnect": Method(fields={**_TARGET, "whitelist": strings, "disconnect": closing}, required=(_TARGETED,)),
        "refresh": Method(fields={**_TARGET, "expired": flag, "expire_at": seconds, "info": anything}, required=(_TARGETED,)),
        "presence": Method(fields=_CHANNEL, required=_NAMED),
        "presence_stats": Method(fields=_CHANNEL, required=_NAMED),
        "history": Method(fields={**_CHANNEL, "limit": integer, "since": _SINCE, "reverse": flag}, required=_NAMED),
        "history_remove": Method(fields=_CHANNEL, required=_NAMED),
        "channels": Method(fields={"pattern": string}),
        "info": Method(fields={}),
        "rpc": Method(fields={"method": string, "params": anything}, required=(("method",),)),
        "map_publish": Method(fields={**_KEY, **_PUBLICATION, "key_mode": string}, required=(*_KEYED, ("data",))),
        "map_remove": Method(fields={**_KEY, "idempotency_key": string}, required=_KEYED),
        "map_read_state": Method(
            fields={
                **_KEY,
                "cursor": string,
                "limit": integer,
                "asc": flag,
                "revision_offset": count,
                "revision_epoch": string,
            },
            required=_NAMED,
        ),
        "map_read_stream": Method(
            fields={**_CHANNEL, "since_offset": count, "since_epoch": string, "limit": integer, "reverse": flag}, required=_NAMED
        ),
        "map_stats": Method(fields=_CHANNEL, required=_NAMED),
        "map_clear": Method(fields=_CHANNEL, required=_NAMED),
        "shared_poll_publish": Method(
            fields={**_KEY, "version": count, "data": publication, "epoch": string}, required=(*_KEYED, ("version",), ("data",))
        ),
        "block_user": Method(fields={"user": string, "expire_at": seconds}, required=(("user",),), relayed=False),
        "unblock_user": Method(fields={"user": string}, required=(("user",),), relayed=False),
        "revoke_token": Method(fields={"uid": string, "expire_at": seconds}, required=(("uid",),), relayed=False),
        "invalidate_user_tokens": Method(
            fields={"user": string, "expire_at": seconds, "issued_before": seconds, "channel": string},
            required=(("user",),),
            relayed=False,
        ),
        "invalidate": Method(fields={"topics": topics}, required=(("topics",),), relayed=False),
        "reload": Method(fields={}, relayed=False),
        "connections": Method(fields={"user": string, "expression": string}, relayed=False),
    }
)
"""Every method that the gateway takes, by name; `batch` only holds others."""
