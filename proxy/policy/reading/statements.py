"""The syntax tree of a policy file: its statements, in source order."""

from typing import Literal as OneOf

from proxy.policy.findings import Position
from proxy.policy.reading.clauses import (
    Algorithms,
    Answer,
    Ask,
    Assign,
    Audience,
    Base,
    Batch,
    Cache,
    Delivery,
    Forward,
    Get,
    Guest,
    Header,
    Invalidate,
    Issuer,
    Jwt,
    Key,
    Keys,
    Listen,
    Mask,
    Parameter,
    Python,
    Sample,
    Source,
    Sql,
    Subscribe,
    Timeout,
)
from proxy.policy.reading.obligations import Allow, Expire
from proxy.policy.reading.syntax import Expression, Field, Text, TypeSyntax, Word, node


@node
class Database:
    """`database NAME { url …; listen "…"; }`."""

    at: Position
    name: Word
    url: Source
    listen: Listen | None


@node
class Http:
    """`http NAME { … }`."""

    at: Position
    name: Word
    clauses: tuple[Base | Header | Timeout, ...]


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
class Fact:
    """`fact NAME(p: T, …) -> T { … }`."""

    at: Position
    name: Word
    parameters: tuple[Parameter, ...]
    type: TypeSyntax
    clauses: tuple[Sql | Get | Python | Cache | Timeout | Invalidate | Batch, ...]


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
class Rpc:
    """`rpc "METHOD" { … }`."""

    at: Position
    method: Text
    statements: tuple[Let | Allow | Forward | Answer, ...]


@node
class Service:
    """`service NAME { … }`."""

    at: Position
    name: Word
    clauses: tuple[Key | Allow | Delivery, ...]


@node
class Log:
    """`log { … }`."""

    at: Position
    clauses: tuple[Mask | Sample, ...]


@node
class Invariant:
    """`always deny OPS on "PATTERN" for KINDS when EXPR;`, or `never allow …`, which means the same; no kinds: everybody."""

    at: Position
    word: OneOf["always deny", "never allow"]
    operations: tuple[Word, ...]
    pattern: Text
    kinds: tuple[Word, ...]
    when: Expression | None


Statement = Database | Http | Identity | Meta | Fact | Let | Deny | Connect | Channel | Rpc | Service | Log | Invariant


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
