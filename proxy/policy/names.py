"""The built-in names: where each exists, what type it has, how it is read from a request."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

from proxy.policy.decision import OPERATIONS, Request
from proxy.policy.failure import Failed
from proxy.policy.types import ANY, INT, STRING, MapOf, Type

METHODS = (
    *("publish", "broadcast", "batch", "subscribe", "unsubscribe", "disconnect", "refresh", "presence", "presence_stats", "history"),
    *("history_remove", "channels", "info", "rpc", "map_publish", "map_remove", "map_read_state", "map_read_stream", "map_stats"),
    *("map_clear", "shared_poll_publish", "block_user", "unblock_user", "revoke_token", "invalidate_user_tokens", "connections"),
    *("invalidate", "explain", "reload"),
)
"""Server API methods that a service may be allowed."""

IDENTITIES = ("identity jwt", "identity http")
HOOKS = ("connect", "rpc", *OPERATIONS)
SERVICE = tuple(f"service {method}" for method in METHODS)
EVERYWHERE = frozenset((*HOOKS, *SERVICE))
"""Where an expression may stand: an operation of a user, a method of a service, or an identity."""

RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
"""Words that CEL keeps for itself."""

FUNCTIONS = frozenset(("has", "size", "int", "string", "all", "exists", "exists_one", "map", "filter"))
METHOD_NAMES = frozenset(("contains", "startsWith", "endsWith", "matches", "lowerAscii", "size"))

LABELS = MapOf(of=STRING)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A built-in name; `sure` names are in every request where they exist, the others may be missing (an evaluation error)."""

    name: str
    where: frozenset[str]
    type: Type
    sure: bool = True


def _at(*places: Iterable[str] | str) -> frozenset[str]:
    out: set[str] = set()
    for place in places:
        out.update((place,) if isinstance(place, str) else place)
    return frozenset(out)


_PAYLOADS = ("publish", "map_publish", "subscribe")

BUILTINS: Mapping[str, Builtin] = {
    b.name: b
    for b in (
        Builtin(name="timestamp_ms", where=EVERYWHERE, type=INT, sure=False),
        Builtin(name="user", where=_at(HOOKS), type=STRING),
        Builtin(name="op", where=_at(HOOKS), type=STRING),
        Builtin(name="client", where=_at(HOOKS), type=STRING, sure=False),
        Builtin(name="transport", where=_at(HOOKS), type=STRING, sure=False),
        Builtin(name="meta", where=_at(HOOKS), type=ANY),
        Builtin(name="labels", where=_at(HOOKS), type=LABELS),
        Builtin(name="headers", where=_at("connect", IDENTITIES), type=LABELS),
        Builtin(name="name", where=_at("connect", IDENTITIES), type=STRING),
        Builtin(name="version", where=_at("connect", IDENTITIES), type=STRING),
        Builtin(name="claims", where=_at("identity jwt"), type=ANY),
        Builtin(name="reply", where=_at("identity http"), type=ANY),
        Builtin(name="data", where=_at("connect", IDENTITIES, "rpc", _PAYLOADS, SERVICE), type=ANY),
        Builtin(name="channel", where=_at(OPERATIONS, SERVICE), type=STRING, sure=False),
        Builtin(name="vars", where=_at(OPERATIONS, SERVICE), type=ANY),
        Builtin(name="key", where=_at("map_publish", "map_remove"), type=STRING, sure=False),
        Builtin(name="method", where=_at("rpc", SERVICE), type=STRING),
        Builtin(name="service", where=_at(SERVICE), type=STRING),
        Builtin(name="tags", where=_at(SERVICE), type=LABELS),
    )
}
"""Every built-in name; `meta`, `vars` and a payload get narrower types where they are declared."""

HIDDEN = frozenset(BUILTINS) | FUNCTIONS | METHOD_NAMES | RESERVED
"""Names that a let, fact or macro variable must not hide."""


SOURCES = frozenset(("claims", "reply"))
"""Names of what an identity is known by, which is no part of the request."""

MAPS = frozenset(("labels", "headers", "tags"))
"""Names that are empty maps where the request has none."""

NOTHING: Mapping[str, str] = {}


def attribute(name: str) -> str:
    """The attribute of the request in which a built-in name is read."""
    return "operation" if name == "op" else name


def sure(value: object, name: str) -> object:
    """The value of a name that this request may lack."""
    if value is None:
        raise Failed(f"this request has no {name}")
    return value


def reader(name: str) -> Callable[[Request], object]:
    """Reads a built-in name that is an attribute of the request."""
    get = attrgetter(attribute(name))
    if name in MAPS:
        return lambda request: get(request) or NOTHING
    if BUILTINS[name].sure:
        return get
    return lambda request: sure(get(request), name)
