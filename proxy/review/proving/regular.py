"""Regular expressions for the solver: RE2 patterns as far as they are plain, and what the parameters of channels match."""

import functools
from collections.abc import Iterator, Mapping
from typing import Final

import z3

from proxy.policy.patterns import Kind
from proxy.review.proving.logic import string, told

Ranges = tuple[tuple[int, int], ...]
"""Characters from one to another, both included."""

_END: Final = 0x2FFFF
"""The last character of the solver."""

_SETS: Final[Mapping[str, Ranges]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)),
}
_ESCAPED: Final[Mapping[str, int]] = {"n": 0x0A, "t": 0x09, "r": 0x0D, "f": 0x0C, "v": 0x0B, "a": 0x07}
_TIMES: Final[Mapping[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class _Opaque(Exception):
    """The pattern has something that is not translated."""


def _any() -> z3.ReRef:
    return z3.Full(z3.ReSort(z3.StringSort()))


def _one(ranges: Ranges) -> z3.ReRef:
    terms = [z3.Range(string(chr(low)), string(chr(high))) for low, high in ranges]
    return z3.Union(*terms) if len(terms) > 1 else terms[0] if terms else z3.Empty(z3.ReSort(z3.StringSort()))


def _others(ranges: Ranges) -> Ranges:
    """All other characters."""
    out, begin = [], 0
    for low, high in sorted(ranges):
        if low > begin:
            out.append((begin, low - 1))
        begin = max(begin, high + 1)
    return (*out, (begin, _END))


@functools.cache
def searched(pattern: str) -> z3.ReRef | None:
    """The texts in which an RE2 pattern is found; None for one that is not plain."""
    try:
        return _Reader(pattern).whole()
    except _Opaque:
        return None


class _Reader:
    """Reads one pattern, which RE2 takes."""

    def __init__(self, pattern: str) -> None:
        self.rest, self.place = pattern, 0

    def peek(self, *texts: str) -> bool:
        """Whether one of these comes next."""
        return self.rest.startswith(texts, self.place)

    def take(self, *texts: str) -> str:
        """Take one of these if it comes next."""
        found = next((text for text in texts if self.peek(text)), "")
        self.place += len(found)
        return found

    def whole(self) -> z3.ReRef:
        """The pattern, which may begin and end anywhere."""
        ways = [self.way()]
        while self.take("|"):
            ways.append(self.way())
        if self.place < len(self.rest):
            raise _Opaque
        return z3.Union(*ways) if len(ways) > 1 else ways[0]

    def way(self) -> z3.ReRef:
        """One alternative of the whole pattern, with its anchors."""
        begin = [] if self.take("^", "\\A") else [_any()]
        inner = self.sequence()
        end = [] if self.take("$", "\\z") else [_any()]
        parts = [*begin, inner, *end]
        return z3.Concat(*parts) if len(parts) > 1 else inner

    def sequence(self) -> z3.ReRef:
        """Parts up to an end."""
        parts = []
        while self.place < len(self.rest) and not self.peek("|", ")", "$", "\\z"):
            parts.append(self.repeated(self.part()))
        return z3.Concat(*parts) if len(parts) > 1 else parts[0] if parts else z3.Re("")

    def repeated(self, part: z3.ReRef) -> z3.ReRef:
        """A part with the signs behind it."""
        while self.place < len(self.rest) and self.peek("*", "+", "?", "{"):
            low, high = self.times()
            self.take("?")
            if high is None:
                part = z3.Star(part) if not low else z3.Concat(z3.Loop(part, low, low), z3.Star(part))
            else:
                part = z3.Loop(part, low, high) if high else z3.Re("")
        return part

    def times(self) -> tuple[int, int | None]:
        """How often."""
        sign = self.take("*", "+", "?")
        if sign:
            return _TIMES[sign]
        inner, _, _ = self.rest[self.place + 1 :].partition("}")
        low, comma, high = inner.partition(",")
        if not low.isdecimal() or not (high.isdecimal() or not high):
            raise _Opaque
        self.place += len(inner) + 2
        return int(low), int(high) if high else None if comma else int(low)

    def part(self) -> z3.ReRef:
        """A group, a class or a character."""
        if self.take("("):
            return self.group()
        if self.take("["):
            return _one(self.characters())
        if self.take("."):
            return _one(_others(((0x0A, 0x0A),)))
        if self.peek("^", "\\A"):
            raise _Opaque
        return _one(self.character())

    def group(self) -> z3.ReRef:
        """Alternatives in brackets, without flags."""
        if self.take("?") and not self.take(":"):
            raise _Opaque
        ways = [self.sequence()]
        while self.take("|"):
            ways.append(self.sequence())
        if not self.take(")"):
            raise _Opaque
        return z3.Union(*ways) if len(ways) > 1 else ways[0]

    def character(self) -> Ranges:
        """A character or an escape."""
        found = self.rest[self.place]
        self.place += 1
        if found == "\\":
            return self.escape()
        if not told(found):
            raise _Opaque
        return ((ord(found), ord(found)),)

    def escape(self) -> Ranges:
        """What stands behind a backslash."""
        found = self.rest[self.place]
        self.place += 1
        if found.lower() in _SETS:
            return _SETS[found] if found in _SETS else _others(_SETS[found.lower()])
        if found in _ESCAPED:
            return ((_ESCAPED[found], _ESCAPED[found]),)
        if found.isalnum():
            raise _Opaque
        return ((ord(found), ord(found)),)

    def characters(self) -> Ranges:
        """A class in square brackets."""
        negated = bool(self.take("^"))
        out = list(self.member())
        while not self.take("]"):
            out += self.member()
        return _others(tuple(out)) if negated else tuple(out)

    def member(self) -> Iterator[tuple[int, int]]:
        """A character, an escape or a range of a class."""
        if self.peek("[:"):
            raise _Opaque
        low = self.character()
        if self.peek("-") and not self.peek("-]"):
            self.place += 1
            high = self.character()
            return iter([(low[0][0], high[0][0])])
        return iter(low)


_SEGMENT: Final[Ranges] = ((0x21, 0x22), (0x24, 0x25), (0x27, 0x29), (0x2B, 0x2B), (0x2D, 0x2E), (0x30, 0x39), (0x3B, 0x7E))
_HEX: Final[Ranges] = ((0x30, 0x39), (0x61, 0x66))


@functools.cache
def parameter(kind: Kind) -> z3.ReRef:
    """What a parameter of a channel pattern matches; of an int also numbers beyond 64 bits."""
    match kind:
        case "plain":
            return z3.Plus(_one(_SEGMENT))
        case "rest":
            return z3.Plus(_one(((0x21, 0x7E),)))
        case "int":
            more = z3.Concat(_one(((0x31, 0x39),)), z3.Loop(_one(_SETS["d"]), 0, 18))
            return z3.Union(z3.Re("0"), more)
        case _:
            hexes = [z3.Loop(_one(_HEX), length, length) for length in (8, 4, 4, 4, 12)]
            return z3.Concat(*[part for each in hexes for part in (each, z3.Re("-"))][:-1])


NUMERAL: Final = z3.Concat(z3.Option(z3.Re("-")), z3.Loop(_one(_SETS["d"]), 1, 20))
"""What `int` reads, but for its bounds and its length."""

HALVED: Final = z3.Concat(_any(), _one(((0xD800, 0xDFFF),)), _any())
"""Texts that hold half of a character."""
