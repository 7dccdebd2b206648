"""The syntax tree of a policy file: statements, blocks and their clauses, in source order."""

from typing import Literal as OneOf

from proxy.policy.findings import Position
from proxy.policy.syntax import Expression, Field, MapOf, Text, TypeSyntax, Word, node


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
class Database:
    """`database NAME { url …; }`."""

    at: Position
    name: Word
    url: Source


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
class Http:
    """`http NAME { … }`."""

    at: Position
    name: Word
    clauses: tuple[Base | Header | Timeout, ...]


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
class Identity:
    """`identity NAME { … }`."""

    at: Position
    name: Word
    clauses: tuple[Jwt | Ask | Guest | Issuer | Audience | Algorithms | Keys | Assign, ...]


@node
class Meta:
    """`meta { field: type, … }`; `at` is the word `meta`."""

    at: Position
    fields: tuple[Field, ...]


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
class Fact:
    """`fact NAME(p: T, …) -> T { … }`."""

    at: Position
    name: Word
    parameters: tuple[Parameter, ...]
    type: TypeSyntax
    clauses: tuple[Sql | Get | Python | Cache | Timeout | Invalidate, ...]


@node
class Let:
    """`let NAME = value;`."""

    at: Position
    name: Word
    value: Expression


@node
class Deny:
    """`deny NAME [on OPS] when EXPR;`; no operations: all of them."""

    at: Position
    name: Word
    operations: tuple[Word, ...]
    when: Expression


@node
class Schema:
    """`schema "FILE"`."""

    at: Position
    file: Text


@node
class Stamp:
    """`stamp k = EXPR, …`; a key is a name or a string."""

    at: Position
    members: tuple[tuple[Text, Expression], ...]


@node
class Tags:
    """`tags {…}`."""

    at: Position
    value: MapOf


@node
class SkipHistory:
    """`skip_history`."""

    at: Position


@node
class Idempotency:
    """`idempotency EXPR`."""

    at: Position
    value: Expression


@node
class Expire:
    """`expire D [jitter P%]`; a clause of `connect` and an obligation of `subscribe`."""

    at: Position
    duration: Duration
    jitter: Number | None


@node
class Limit:
    """`limit N/D [burst N] [per …]`; `count` messages every `every`."""

    at: Position
    count: Number
    every: Duration
    burst: Number | None
    per: tuple[Word, ...]


Obligation = Schema | Stamp | Tags | SkipHistory | Idempotency | Assign | Expire | Limit


@node
class Allow:
    """`allow [OPS] [as NAME] [on "PATTERN"] [when EXPR] [obligations];`; `at` is the word `allow`."""

    at: Position
    operations: tuple[Word, ...]
    name: Word | None
    pattern: Text | None
    when: Expression | None
    obligations: tuple[Obligation, ...]


@node
class Subscribe:
    """`subscribe EXPR;` of `connect`: a server-side subscription."""

    at: Position
    channel: Expression


@node
class Connect:
    """`connect { … }`."""

    at: Position
    clauses: tuple[Allow | Subscribe | Assign | Expire, ...]


@node
class Channel:
    """`channel "PATTERN" { … }`; `pattern.at` is the string."""

    at: Position
    pattern: Text
    statements: tuple[Let | Deny | Allow, ...]


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
class Rpc:
    """`rpc "METHOD" { … }`."""

    at: Position
    method: Text
    statements: tuple[Let | Allow | Forward | Answer, ...]


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
class Service:
    """`service NAME { … }`."""

    at: Position
    name: Word
    clauses: tuple[Key | Allow | Delivery, ...]


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


@node
class Log:
    """`log { … }`."""

    at: Position
    clauses: tuple[Mask | Sample, ...]


Statement = Database | Http | Identity | Meta | Fact | Let | Deny | Connect | Channel | Rpc | Service | Log


@node
class Comment:
    """`// …` with its text after the two slashes; `alone` when nothing stands before it on its line."""

    at: Position
    text: str
    alone: bool


@node
class PolicyFile:
    """One `*.policy` file that is no test file."""

    path: str
    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
