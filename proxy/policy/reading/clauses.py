"""The syntax tree of a policy file: what stands inside statements and blocks, in source order."""

from typing import Literal as OneOf

from proxy.policy.findings import Position
from proxy.policy.reading.syntax import Expression, Text, TypeSyntax, Word, node


@node
class Duration:
    """`150ms`, `10s`, …; more than zero."""

    at: Position
    ms: int
    text: str


@node
class Number:
    """A plain count, as in `max 1000` or `burst 20`."""

    at: Position
    value: int


@node
class Env:
    """`env VARIABLE` with an optional default."""

    at: Position
    variable: Word
    default: Text | None


Source = Env | Text
"""Where a value comes from; a `Text` stands where `env` belongs, and the checker says so."""


@node
class Listen:
    """`listen "channel";`."""

    at: Position
    channel: Text


@node
class Base:
    """`base env VAR;`."""

    at: Position
    value: Source


@node
class Header:
    """`header "name" env VAR;`."""

    at: Position
    name: Text
    value: Source


@node
class Timeout:
    """`timeout D;`."""

    at: Position
    duration: Duration


@node
class Place:
    """`header "x"`, `cookie "x"` or `data "a.b"`: where a token may stand."""

    at: Position
    kind: Word
    name: Text


@node
class Jwt:
    """`jwt from PLACES;`."""

    at: Position
    places: tuple[Place, ...]


@node
class Ask:
    """`http NAME GET "/path" forward header "a", "b";` of an identity."""

    at: Position
    http: Word
    path: Text
    forwards: tuple[Text, ...]


@node
class Guest:
    """`guest;`."""

    at: Position


@node
class Issuer:
    """`issuer "…";`."""

    at: Position
    value: Text


@node
class Audience:
    """`audience "…";`."""

    at: Position
    value: Text


@node
class Algorithms:
    """`algorithms ES256, RS256;`."""

    at: Position
    names: tuple[Word, ...]


@node
class Keys:
    """`keys jwks "url";` or `keys env VAR;`; a bare string is a secret in the policy, which the checker says."""

    at: Position
    kind: OneOf["jwks", "env"]
    value: Source


@node
class Assign:
    """`name = value` as a clause (`user meta info expire data answer`) or an obligation (`info data`)."""

    at: Position
    name: Word
    value: Expression


@node
class Parameter:
    """`name: type` of a fact."""

    name: Word
    type: TypeSyntax


@node
class Sql:
    """`sql DATABASE "query";`."""

    at: Position
    database: Word
    query: Text


@node
class Get:
    """`http NAME GET "/path/{p}" [pick "/pointer"];` of a fact."""

    at: Position
    http: Word
    path: Text
    pick: Text | None


@node
class Python:
    """`python "package.module:function";`."""

    at: Position
    target: Text


@node
class Cache:
    """`cache D [negative D] [max N];`."""

    at: Position
    ttl: Duration
    negative: Duration | None
    max: Number | None


@node
class Invalidate:
    """`invalidate on "topic:{p}", …;`."""

    at: Position
    topics: tuple[Text, ...]


@node
class Batch:
    """`batch N;`."""

    at: Position
    most: Number


@node
class Subscribe:
    """`subscribe EXPR;` of `connect`: a server-side subscription."""

    at: Position
    channel: Expression


@node
class Forward:
    """`forward NAME POST "/path";`."""

    at: Position
    http: Word
    path: Text


@node
class Answer:
    """`answer = EXPR;`, `answer presence EXPR;` or `answer history EXPR limit N;`."""

    at: Position
    kind: OneOf["value", "presence", "history"]
    value: Expression
    limit: Number | None


@node
class Key:
    """`key env VAR;` of a service."""

    at: Position
    value: Source


@node
class Delivery:
    """`delivery direct;` or `delivery durable;`; other words are a syntax error."""

    at: Position
    mode: OneOf["direct", "durable"]


@node
class Mask:
    """`mask data.text, meta.roles;`; each path is its words."""

    at: Position
    paths: tuple[tuple[Word, ...], ...]


@node
class Sample:
    """`sample allow P%;`; `percent` may have a fraction."""

    at: Position
    percent: float
