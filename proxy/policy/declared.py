"""What a policy declares for the layers above: sources of facts, identities, services."""

import dataclasses
from typing import Literal

from proxy.policy.types import Fit, Type


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable that holds a value the policy must not contain."""

    name: str
    default: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database; `url` holds a SQLAlchemy URL, `listen` a channel whose notifications name topics."""

    name: str
    url: Variable
    listen: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An HTTP application; `base` holds its URL, `headers` go with every request."""

    name: str
    base: Variable
    headers: tuple[tuple[str, Variable], ...]
    timeout_ms: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """One query with named bind parameters (`:uid`)."""

    database: str
    query: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpSource:
    """One GET; `path` holds `{parameter}`s, `pick` is a JSON pointer into the reply or None."""

    remote: str
    path: str
    pick: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PythonSource:
    """A function, `package.module:function`."""

    target: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A typed fact: `fit` checks a loaded value (raises `Misfit`); times are milliseconds, `topics` hold `{parameter}`s.

    `takes` are the types of the parameters; `batch` says for how many keys one query asks at most.
    """

    name: str
    parameters: tuple[str, ...]
    takes: tuple[Type, ...]
    type: Type
    fit: Fit = dataclasses.field(compare=False)  # follows from the type
    nullable: bool
    source: SqlSource | HttpSource | PythonSource
    ttl_ms: int
    negative_ms: int
    max_entries: int
    timeout_ms: int
    topics: tuple[str, ...]
    batch: int = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a token may stand: a header, a cookie, or a dotted path in the connect data."""

    kind: Literal["header", "cookie", "data"]
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JwtIdentity:
    """Tokens of one issuer; keys come from a variable (PEM or secret) or a JWKS address."""

    name: str
    places: tuple[Place, ...]
    issuer: str
    audience: str | None
    algorithms: tuple[str, ...]
    keys: Variable | str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpIdentity:
    """A session that the application knows: GET `path` with the named request headers passed on."""

    name: str
    remote: str
    path: str
    forwards: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GuestIdentity:
    """Admits the anonymous user; always the last."""

    name: str


Identity = JwtIdentity | HttpIdentity | GuestIdentity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A backend of the publishing gateway; `key` holds one or more keys, comma separated, plain or `sha256:HEX`."""

    name: str
    key: Variable
    delivery: Literal["direct", "durable"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Logging:
    """What the decision log hides and how many of the allowed decisions it keeps."""

    mask: tuple[tuple[str, ...], ...]
    sample: float
