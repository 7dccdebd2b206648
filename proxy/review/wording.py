"""Expressions and values as text, for traces and reports."""

import json
from typing import Final

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
    Member,
    Method,
    Name,
    Paren,
    Unary,
)  # fmt: skip

LONGEST: Final = 200
"""Characters of a value at most; longer ones are cut."""


def quoted(value: object) -> str:
    """A value as compact JSON."""
    return visible(json.dumps(value, ensure_ascii=False))


def short(value: object) -> str:
    """A value as compact JSON, cut after `LONGEST` characters."""
    text = quoted(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def visible(text: str) -> str:
    """The text without what would move the cursor or turn the text around."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def worded(node: Expression) -> str:  # noqa: PLR0911 - one line a kind
    """The expression in the spelling of the formatter, on one line."""
    match node:
        case Literal():
            return quoted(node.value)
        case Name():
            return node.id
        case Paren():
            return f"({worded(node.of)})"
        case Unary():
            return f"{node.op}{worded(node.of)}"
        case Chain():
            return f" {node.op} ".join(worded(term) for term in node.terms)
        case Binary():
            return f"{worded(node.left)} {node.op} {worded(node.right)}"
        case Conditional():
            return f"{worded(node.test)} ? {worded(node.then)} : {worded(node.other)}"
        case _:
            return _reached(node)


def _reached(node: Member | Index | Has | Call | Method | Macro | ListOf | MapOf) -> str:  # noqa: PLR0911 - likewise
    match node:
        case Member():
            return f"{worded(node.of)}.{node.name.text}"
        case Index():
            return f"{worded(node.of)}[{worded(node.index)}]"
        case Has():
            return f"has({worded(node.of)}.{node.name.text})"
        case Call():
            return f"{node.name}({_listed(node.arguments)})"
        case Method():
            return f"{worded(node.of)}.{node.name.text}({_listed(node.arguments)})"
        case Macro():
            return f"{worded(node.of)}.{node.name.text}({node.variable.text}, {worded(node.body)})"
        case ListOf():
            return f"[{_listed(node.items)}]"
        case _:
            return f"{{{', '.join(f'{quoted(key.value)}: {worded(value)}' for key, value in node.entries)}}}"


def _listed(nodes: tuple[Expression, ...]) -> str:
    return ", ".join(worded(node) for node in nodes)
