"""Channel patterns: what they are, what they match, and finding the one that matches.

A pattern is cut at its parameters. The text before the first one is its *head*; what follows has a *shape*, in which each
literal counts only by its separators and lengths, and a *key*, those literals. Patterns of one shape share one regular
expression, and its groups are in turn parameters and literals: so one match and one dictionary find one of thousands.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Literal, TypeVar

from proxy.policy.types import INT, INT_MAX, STRING, Type

Kind = Literal["plain", "int", "uuid", "rest"]

LONGEST = 255
"""Bytes of the longest channel."""

SEPARATORS = ":#/,"
"""A plain parameter ends before any of these."""

_SEGMENT = r"""[!"$%'-)+\-.0-9;-~]"""
_CLASSES: Mapping[Kind, str] = {
    "plain": _SEGMENT + "+",
    "int": "0|[1-9][0-9]{0,18}",
    "uuid": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "rest": "[!-~]+",
}
_SHORTEST: Mapping[Kind, int] = {"plain": 1, "int": 1, "uuid": 36, "rest": 1}
_TOKENS = re.compile(r"\{[^{}]*\}|[^{}]+|[{}]", re.DOTALL)
_PARAMETER = re.compile(r"([a-z_][a-z0-9_]*)(\*|:int|:uuid)?")
_NOT_LITERAL = re.compile(r"[^!-~]|[*&]")


class BadPattern(ValueError):
    """The text is no pattern; the message says why and what to write instead."""


class RepeatedName(BadPattern):
    """One parameter stands twice: `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the parameter {name} stands twice; give each its own name")
        self.name = name


def well_formed(channel: str) -> bool:
    """Whether a channel has 1 to 255 bytes, each 0x21 to 0x7e; nothing else matches any pattern."""
    return 0 < len(channel) <= LONGEST and channel.isascii() and channel.isprintable() and " " not in channel


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """`{name}`, `{name:int}`, `{name:uuid}` or `{name*}` (`rest`)."""

    name: str
    kind: Kind

    @property
    def type(self) -> Type:
        """The type of its variable."""
        return INT if self.kind == "int" else STRING


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What patterns have in common that differ only in their names, heads and literals; `match` starts behind the head."""

    match: Callable[[str, int], "re.Match[str] | None"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A channel pattern; `pieces` are its literals and parameters in order, no two literals side by side."""

    text: str
    pieces: tuple[str | Parameter, ...] = dataclasses.field(compare=False)
    head: str = dataclasses.field(compare=False, repr=False)
    key: tuple[str, ...] = dataclasses.field(compare=False, repr=False)
    shape: Shape = dataclasses.field(compare=False, repr=False)
    parameters: tuple[str, ...] = dataclasses.field(compare=False, repr=False)
    integers: tuple[str, ...] = dataclasses.field(compare=False, repr=False)

    def matches(self, channel: str) -> dict[str, str | int] | None:
        """The variables if the whole channel matches, else None; what is not well formed never does."""
        if len(channel) > LONGEST or not channel.startswith(self.head):
            return None
        found = self.shape.match(channel, len(self.head))
        if found is None:
            return None
        groups = found.groups()
        return self.variables(groups) if groups[1::2] == self.key else None

    def variables(self, groups: tuple[str, ...]) -> dict[str, str | int] | None:
        """Names the parameters among the groups of a match; None when an int has more than 64 bits."""
        if len(self.parameters) == 1:  # the common case, and three times as fast
            out: dict[str, str | int] = {self.parameters[0]: groups[0]}
        else:
            out = dict(zip(self.parameters, groups[::2]))  # noqa: B905 - strictness would double the cost; a shape fixes the count
        for name in self.integers:
            number = int(out[name])
            if number > INT_MAX:
                return None
            out[name] = number
        return out


def parse(text: str) -> Pattern:
    """Reads a pattern; raises `BadPattern`, or `RepeatedName` for a parameter that stands twice."""
    if not text:
        raise BadPattern("a pattern matches at least one character; write {name*} for every channel")
    pieces = tuple(_piece(token) for token in _TOKENS.findall(text))
    _check_order(pieces)
    parameters = [piece for piece in pieces if isinstance(piece, Parameter)]
    head = pieces[0] if isinstance(pieces[0], str) else ""
    tail = pieces[1:] if head else pieces
    return Pattern(
        text=text,
        pieces=pieces,
        head=head,
        key=tuple(piece for piece in tail if isinstance(piece, str)),
        shape=_shape(_source(head, tail)),
        parameters=tuple(p.name for p in parameters),
        integers=tuple(p.name for p in parameters if p.kind == "int"),
    )


def _piece(token: str) -> str | Parameter:
    if token in ("{", "}"):
        raise BadPattern("a brace has no partner; a parameter is written {name}")
    if token.startswith("{"):
        return _parameter(token)
    bad = _NOT_LITERAL.search(token)
    if bad is None:
        return token
    character = bad[0]
    if character in "*&":
        raise BadPattern(f"{character} cannot stand in a pattern; the rest of a name is written {{name*}}")
    raise BadPattern(f"{character!a} cannot stand in a channel; use printable ASCII without spaces")


def _parameter(token: str) -> Parameter:
    found = _PARAMETER.fullmatch(token, 1, len(token) - 1)
    if found is not None:
        kinds: Mapping[str | None, Kind] = {None: "plain", ":int": "int", ":uuid": "uuid", "*": "rest"}
        return Parameter(name=found[1], kind=kinds[found[2]])
    name, colon, kind = token[1:-1].partition(":")
    if colon and _PARAMETER.fullmatch(name):
        raise BadPattern(f"there is no kind {kind!a}; write {{{name}}}, {{{name}:int}}, {{{name}:uuid}} or {{{name}*}}")
    raise BadPattern(f"{token!a} is no parameter; a name has small letters, digits and _, as in {{user_id}}")


def _check_order(pieces: tuple[str | Parameter, ...]) -> None:
    names: set[str] = set()
    taken = ""
    shortest = 0
    for number, piece in enumerate(pieces, 1):
        if isinstance(piece, str):
            shortest += len(piece)
            taken = "" if _separators(piece) else taken
            continue
        if piece.kind == "rest" and number < len(pieces):
            raise BadPattern(f"{{{piece.name}*}} takes the rest of the name, so it must come last; write {{{piece.name}}} here")
        if piece.name in names:
            raise RepeatedName(piece.name)
        if taken:
            raise BadPattern(f"where {taken} ends and {piece.name} begins is not clear; put one of : # / , between them")
        names.add(piece.name)
        taken = piece.name
        shortest += _SHORTEST[piece.kind]
    if shortest > LONGEST:
        raise BadPattern(f"only channels longer than {LONGEST} bytes could match; make it shorter")


def _separators(text: str) -> str:
    return "".join(character for character in text if character in SEPARATORS)


def _source(head: str, tail: tuple[str | Parameter, ...]) -> str:
    """The expression behind the head: a parameter at the very beginning never takes a leading `$`."""
    out = [r"(?!\$)" if not head else ""]
    for number, piece in enumerate(tail, 1):
        if isinstance(piece, Parameter):
            out.append(f"({_CLASSES[piece.kind]})")
        else:
            out.append(f"({_literal(piece, last=number == len(tail))})")
    return "".join(out)


def _literal(text: str, *, last: bool) -> str:
    """Lengths beside a parameter, separators in place, anything for whole segments."""
    parts = re.split(f"([{SEPARATORS}])", text)
    out = parts.copy()
    out[::2] = [f"{_SEGMENT}*"] * len(parts[::2])
    out[0] = f"{_SEGMENT}{{{len(parts[0])}}}"
    if not last:
        out[-1] = f"{_SEGMENT}{{{len(parts[-1])}}}"
    return "".join(out)


@functools.cache
def _shape(source: str) -> Shape:
    return Shape(match=re.compile(source).fullmatch)


T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Attempt(Generic[T]):
    """Patterns of one head (of length `start`) and one shape, by their keys."""

    start: int
    match: Callable[[str, int], "re.Match[str] | None"]
    table: dict[tuple[str, ...], tuple[T, Pattern]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Node(Generic[T]):
    """A place in the tree of heads: what to try if no child has the next `width` characters, deepest heads first."""

    attempts: tuple[_Attempt[T], ...]
    width: int
    children: dict[str, "_Node[T]"]


class Index(Generic[T]):
    """Finds the pattern that matches a channel; the patterns must not overlap.

    The cost depends on the length of the channel and on the number of different shapes with nested heads, not on the number
    of patterns.
    """

    def __init__(self, entries: Iterable[tuple[Pattern, T]]) -> None:
        self._literal: dict[str, T] = {}
        heads: dict[str, dict[Shape, _Attempt[T]]] = {}
        for pattern, value in entries:
            if not pattern.parameters:
                self._literal[pattern.text] = value
                continue
            empty: _Attempt[T] = _Attempt(len(pattern.head), pattern.shape.match, {})
            attempt = heads.setdefault(pattern.head, {}).setdefault(pattern.shape, empty)
            attempt.table[pattern.key] = (value, pattern)
        self._root = _tree({head: tuple(shapes.values()) for head, shapes in heads.items()}, ())

    def find(self, channel: str) -> tuple[T, dict[str, str | int]] | None:
        """The value of the pattern that matches and the variables; None also for every channel that is not well formed."""
        if channel in self._literal:
            return self._literal[channel], {}
        if len(channel) > LONGEST:
            return None
        node, at = self._root, 0
        while (deeper := node.children.get(channel[at : at + node.width])) is not None:
            at += node.width
            node = deeper
        for attempt in node.attempts:
            found = attempt.match(channel, attempt.start)
            if found is None:
                continue
            groups = found.groups()
            entry = attempt.table.get(groups[1::2])
            if entry is None:
                continue
            variables = entry[1].variables(groups)
            if variables is not None:
                return entry[0], variables
        return None


def _tree(heads: Mapping[str, tuple[_Attempt[T], ...]], above: tuple[_Attempt[T], ...]) -> _Node[T]:
    attempts = heads.get("", ()) + above
    width = min((len(head) for head in heads if head), default=0)
    groups: dict[str, dict[str, tuple[_Attempt[T], ...]]] = {}
    for head, own in heads.items():
        if head:
            groups.setdefault(head[:width], {})[head[width:]] = own
    return _Node(attempts, width, {start: _tree(group, attempts) for start, group in groups.items()})
