"""The syntax tree of a test file: fixtures, tests and matrices, in source order."""

from typing import Literal as OneOf

from proxy.policy.findings import Position
from proxy.policy.reading.statements import Comment
from proxy.policy.reading.syntax import Expression, MapOf, Text, Word, node


@node
class Fixture:
    """`fixture fact(arguments) = value;`; that both are constant is the runner's question."""

    at: Position
    name: Word
    arguments: tuple[Expression, ...]
    value: Expression


@node
class Given:
    """`data EXPR` and the like: what the request carries besides its channel; `name.text` is the word."""

    at: Position
    name: Word
    value: Expression


@node
class By:
    """`by "RULE"`: the rule that decides."""

    at: Position
    rule: Text


@node
class Stamps:
    """`stamps {…}`: members that the payload has afterwards."""

    at: Position
    value: MapOf


@node
class Because:
    """`because REASON`."""

    at: Position
    reason: Word


@node
class Expect:
    """`allow OP ["TARGET"] …;` or `deny …;`; the target is a channel, or the method of `rpc`."""

    at: Position
    effect: OneOf["allow", "deny"]
    operation: Word
    target: Text | None
    clauses: tuple[Given | By | Stamps | Because, ...]


@node
class As:
    """`as "USER" { … }`."""

    at: Position
    user: Text
    expectations: tuple[Expect, ...]


@node
class ServiceCase:
    """`service NAME { … }` in a test."""

    at: Position
    service: Word
    expectations: tuple[Expect, ...]


@node
class Fail:
    """`fail FACT { … }`: the fact fails in the cases inside."""

    at: Position
    fact: Word
    cases: tuple[As | ServiceCase, ...]


Case = As | ServiceCase | Fail


@node
class Test:
    """`test "TITLE" { … }`."""

    __test__ = False

    at: Position
    title: Text
    cases: tuple[Case, ...]


@node
class Matrix:
    """`matrix users […] channels […] operations […] expect \"\"\"…\"\"\";`."""

    at: Position
    users: tuple[Text, ...]
    channels: tuple[Text, ...]
    operations: tuple[Word, ...]
    expect: Text


Trial = Fixture | Test | Matrix


@node
class TrialFile:
    """One `*.test.policy` file."""

    path: str
    trials: tuple[Trial, ...]
    comments: tuple[Comment, ...]
