"""Walks through expressions without recursion, so that no text can exhaust the stack."""

from collections.abc import Iterator

from proxy.policy.findings import Finding, Objection
from proxy.policy.reading.syntax import (
    Binary,
    Call,
    Chain,
    Conditional,
    Expression,
    Has,
    Index,
    ListOf,
    Literal,
    Macro,
    MapOf,
    MapType,
    Member,
    Method,
    Name,
    NamedType,
    Paren,
    RecordType,
    TypeSyntax,
    Unary,
)  # fmt: skip

MAX_DEPTH = 60
"""How deep expressions nest at most; a literal or name has depth 1, parentheses count."""

MAX_INT = (1 << 63) - 1


def parts(node: Expression) -> tuple[Expression, ...]:
    """Give the expressions directly inside a node, in source order."""
    match node:
        case Literal() | Name():
            return ()
        case Member() | Has() | Unary() | Paren():
            return (node.of,)
        case Binary():
            return (node.left, node.right)
        case Conditional():
            return (node.test, node.then, node.other)
        case Index():
            return (node.of, node.index)
        case _:
            return _more(node)


def _more(node: Macro | Chain | Call | Method | ListOf | MapOf) -> tuple[Expression, ...]:
    match node:
        case Macro():
            return (node.of, node.body)
        case Chain():
            return node.terms
        case Call():
            return node.arguments
        case Method():
            return (node.of, *node.arguments)
        case ListOf():
            return node.items
        case _:
            return tuple(value for _, value in node.entries)


def walk(root: Expression) -> Iterator[tuple[Expression, int]]:
    """Give every node with its depth, a node before its parts, in source order."""
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((part, depth + 1) for part in reversed(parts(node)))


def bound(root: Expression) -> None:
    """Object to an expression that nests too deep or holds an int beyond 64 bits."""
    for node, depth in walk(root):
        if depth > MAX_DEPTH:
            message = f"this expression is nested more than {MAX_DEPTH} deep"
            raise Objection(Finding(id="too-large", at=node.at, message=message, hint="name parts of it with let"))
        if isinstance(node, Literal) and type(node.value) is int and node.value > MAX_INT:
            raise Objection(Finding(id="syntax", at=node.at, message=f"{node.value} does not fit into 64 bits"))


def bound_type(root: TypeSyntax) -> None:
    """Object to a type that nests too deep."""
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Objection(Finding(id="too-large", at=node.at, message=f"this type is nested more than {MAX_DEPTH} deep"))
        waiting.extend((part, depth + 1) for part in _inner(node))


def _inner(node: TypeSyntax) -> tuple[TypeSyntax, ...]:
    match node:
        case NamedType():
            return ()
        case MapType():
            return (node.key, node.of)
        case RecordType():
            return tuple(field.type for field in node.fields)
        case _:
            return (node.of,)
