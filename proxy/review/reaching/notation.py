"""Expressions that are made, not read."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Final, cast

from proxy.policy.findings import Position
from proxy.policy.reading.syntax import Binary, Call, Expression, Has, Index, ListOf, Literal, Macro, MapOf, Member, Method, Paren, Text
from proxy.review.wording import LONGEST

_HERE: Final = Position(file="", line=1, column=1)

TRUE: Final = Literal(at=_HERE, value=True)
FALSE: Final = Literal(at=_HERE, value=False)


def bare(node: Expression) -> Expression:
    """The expression without parentheses around it."""
    while isinstance(node, Paren):
        node = node.of
    return node


def quote(value: object) -> Expression:
    """A JSON value as an expression."""
    match value:
        case list():
            return ListOf(at=_HERE, items=tuple(quote(item) for item in value))
        case dict():
            return MapOf(at=_HERE, entries=tuple((Text(at=_HERE, value=str(key)), quote(item)) for key, item in value.items()))
        case _:
            return Literal(at=_HERE, value=cast("bool | int | float | str | None", value))


def writable(value: object) -> bool:
    """Whether the language can write a value, which has no words for what is infinite or no number, and people can read it."""
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False)) <= LONGEST
    except ValueError:
        return False


def literal(value: bool) -> Expression:  # noqa: FBT001 - the value itself
    """`true` or `false`."""
    return TRUE if value else FALSE


def rebuilt(node: Expression, new: Sequence[Expression]) -> Expression:  # noqa: PLR0911 - one line a kind
    """The node with other parts, in their order."""
    match node:
        case Binary():
            # Whoever it is about comes first, as people say it.
            swapped = node.op in ("==", "!=") and isinstance(new[0], Literal) and not isinstance(new[1], Literal)
            return dataclasses.replace(node, left=new[swapped], right=new[not swapped])
        case Index():
            return dataclasses.replace(node, of=new[0], index=new[1])
        case Macro():
            return dataclasses.replace(node, of=new[0], body=new[1])
        case Call():
            return dataclasses.replace(node, arguments=tuple(new))
        case Method():
            return dataclasses.replace(node, of=new[0], arguments=tuple(new[1:]))
        case ListOf():
            return dataclasses.replace(node, items=tuple(new))
        case MapOf():
            return dataclasses.replace(node, entries=tuple((key, value) for (key, _), value in zip(node.entries, new, strict=True)))
        case _:
            return dataclasses.replace(cast("Member | Has", node), of=new[0])
