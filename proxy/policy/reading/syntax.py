"""The syntax tree of a policy file: expressions.

Every node knows where it begins. Blocks keep their clauses in source order (`proxy.policy.reading.statements`), so that
the formatter loses nothing and the checker sees what stands twice.
"""

import dataclasses
from typing import Literal as OneOf
from typing import TypeVar, dataclass_transform

from proxy.policy.findings import Position

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def node(cls: type[T]) -> type[T]:
    """A node of the tree: frozen, slotted, keyword-only."""
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)


@node
class Word:
    """A name or keyword as written."""

    at: Position
    text: str


@node
class Text:
    """A string as it is after its escapes."""

    at: Position
    value: str


@node
class Literal:
    """`true`, `1`, `1.5`, `"a"` or `null`; a negative number is one literal."""

    at: Position
    value: bool | int | float | str | None


@node
class Name:
    """A variable, let or macro variable."""

    at: Position
    id: str


@node
class Member:
    """`of.name`; `name.at` is the place of the field."""

    at: Position
    of: "Expression"
    name: Word


@node
class Index:
    """`of[index]`."""

    at: Position
    of: "Expression"
    index: "Expression"


@node
class Has:
    """`has(of.name)`; `at` is the word `has`."""

    at: Position
    of: "Expression"
    name: Word


@node
class Unary:
    """`!of` or `-of`."""

    at: Position
    op: OneOf["!", "-"]
    of: "Expression"


@node
class Chain:
    """Two or more terms joined by the same `&&` or `||`, flattened; `depth` is that of its text."""

    at: Position
    op: OneOf["&&", "||"]
    terms: tuple["Expression", ...]


@node
class Binary:
    """`left op right` for comparisons, `in` and arithmetic; `at` is where `left` begins."""

    at: Position
    op: OneOf["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]
    left: "Expression"
    right: "Expression"


@node
class Conditional:
    """`test ? then : other`."""

    at: Position
    test: "Expression"
    then: "Expression"
    other: "Expression"


@node
class Call:
    """`name(arguments)`: a built-in function or a fact."""

    at: Position
    name: str
    arguments: tuple["Expression", ...]


@node
class Method:
    """`of.name(arguments)`; `name.at` is the place of the method."""

    at: Position
    of: "Expression"
    name: Word
    arguments: tuple["Expression", ...]


@node
class Macro:
    """`of.all(variable, body)`, likewise `exists`, `exists_one`."""

    at: Position
    of: "Expression"
    name: Word
    variable: Word
    body: "Expression"


@node
class ListOf:
    """`[items]`."""

    at: Position
    items: tuple["Expression", ...]


@node
class MapOf:
    """`{"key": value}`."""

    at: Position
    entries: tuple[tuple[Text, "Expression"], ...]


@node
class Paren:
    """`(of)`: means `of`; kept because parentheses count for depth and the formatter keeps the useful ones."""

    at: Position
    of: "Expression"


Expression = Literal | Name | Member | Index | Has | Unary | Chain | Binary | Conditional | Call | Method | Macro | ListOf | MapOf | Paren


@node
class NamedType:
    """`string`, `int`, …; whether the name exists is the checker's question."""

    at: Position
    name: str


@node
class ListType:
    """`list<of>`."""

    at: Position
    of: "TypeSyntax"


@node
class MapType:
    """`map<key, of>`; only `string` keys are allowed, which the checker says."""

    at: Position
    key: "TypeSyntax"
    of: "TypeSyntax"


@node
class Field:
    """`name: type` or `name?: type`."""

    name: Word
    optional: bool
    type: "TypeSyntax"


@node
class RecordType:
    """`{field: type, …}`."""

    at: Position
    fields: tuple[Field, ...]


@node
class NullableType:
    """`of?`."""

    at: Position
    of: "TypeSyntax"


TypeSyntax = NamedType | ListType | MapType | RecordType | NullableType
