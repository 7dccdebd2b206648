"""Whether two patterns can match one channel: an exact answer, with the shortest channel that shows it.

Each pattern becomes a small automaton over single characters (the bound of an int and the longest channel included); two of
them are walked together, shortest texts first.
"""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence

from proxy.policy.patterns import LONGEST, SEPARATORS, Parameter, Pattern, Shape
from proxy.policy.types import INT_MAX

_READABLE = "xyzabcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890"
_ALPHABET = _READABLE + "".join(c for c in map(chr, range(0x21, 0x7F)) if c not in _READABLE)

MOST = 20_000
"""Sets of states that are looked at where more than two patterns meet."""

_States = tuple[frozenset[int], ...]
"""The states that each automaton may be in."""

Class = int
"""A set of characters, a bit for each place in the alphabet: the lowest bit is the most readable one."""


def _class(characters: str) -> Class:
    return sum(1 << _ALPHABET.index(character) for character in set(characters))


_ANY = _class(_ALPHABET)
_PLAIN = _ANY & ~_class(SEPARATORS + "*&")
_DIGITS = "0123456789"
_HEX = _class(_DIGITS + "abcdef")


class _Automaton:
    """States are numbers, 0 the first; `moves` of a state are (class, state); the text may end in `ends`."""

    def __init__(self, pattern: Pattern) -> None:
        self.moves: list[list[tuple[Class, int]]] = [[]]
        self.ends = {0}
        first = pattern.pieces[0]
        for piece in pattern.pieces:
            self._add(piece)
        if isinstance(first, Parameter):
            self.moves[0] = [(characters & ~_class("$"), state) for characters, state in self.moves[0]]

    def _add(self, piece: str | Parameter) -> None:
        match piece:
            case str():
                self._chain(_class(character) for character in piece)
            case Parameter(kind="int"):
                self._int()
            case Parameter(kind="uuid"):
                self._chain(_class("-") if place in (8, 13, 18, 23) else _HEX for place in range(36))
            case _:
                characters = _ANY if piece.kind == "rest" else _PLAIN
                state = self._step(self.ends, characters)
                self.moves[state].append((characters, state))
                self.ends = {state}

    def _step(self, before: Iterable[int], characters: Class) -> int:
        self.moves.append([])
        state = len(self.moves) - 1
        for earlier in before:
            self.moves[earlier].append((characters, state))
        return state

    def _chain(self, classes: Iterable[Class]) -> None:
        for characters in classes:
            self.ends = {self._step(self.ends, characters)}

    def _int(self) -> None:
        """Zero; up to 18 digits; or 19 digits that are the bound's up to one that is smaller."""
        start = self.ends
        self.ends = {self._step(start, _class("0"))}
        bound = str(INT_MAX)
        same, below, shorter = start, set[int](), start
        for place, digit in enumerate(bound):
            lowest = "1" if place == 0 else "0"
            smaller = _DIGITS[int(lowest) : int(digit)]
            next_below = {self._step(below, _class(_DIGITS))} if below else set()
            if smaller:
                next_below.add(self._step(same, _class(smaller)))
            same, below = {self._step(same, _class(digit))}, next_below
            if place < len(bound) - 1:
                shorter = {self._step(shorter, _class(_DIGITS[int(lowest) :]))}
                self.ends |= shorter
        self.ends |= same | below


@functools.lru_cache(maxsize=1024)
def _automaton(pattern: Pattern) -> _Automaton:
    return _Automaton(pattern)


def overlap(one: Pattern, other: Pattern) -> str | None:
    """A shortest channel that both match, or None if there is none."""
    left, right = _automaton(one), _automaton(other)
    reached = {(0, 0): ""}
    waiting = collections.deque(reached)
    while waiting:
        here = waiting.popleft()
        text = reached[here]
        if here[0] in left.ends and here[1] in right.ends:
            return text
        if len(text) == LONGEST:
            continue
        for next_left, next_right, character in _steps(left.moves[here[0]], right.moves[here[1]]):
            there = (next_left, next_right)
            if there not in reached:
                reached[there] = text + character
                waiting.append(there)
    return None


def _steps(left: list[tuple[Class, int]], right: list[tuple[Class, int]]) -> Iterator[tuple[int, int, str]]:
    for some, next_left in left:
        for others, next_right in right:
            common = some & others
            if common:
                yield next_left, next_right, _ALPHABET[(common & -common).bit_length() - 1]


class Undecided(Exception):
    """There is more to look at than is looked at."""


def witness(inside: Sequence[Pattern], outside: Sequence[Pattern]) -> str | None:
    """A shortest channel that matches each pattern `inside` and none `outside`, or None if there is none; raises `Undecided`."""
    automata = [_automaton(pattern) for pattern in (*inside, *outside)]
    start = tuple(frozenset({0}) for _ in automata)
    reached = {start: ""}
    waiting = collections.deque(reached)
    while waiting:
        here = waiting.popleft()
        text = reached[here]
        if [bool(states & each.ends) for states, each in zip(here, automata, strict=True)] == [True] * len(inside) + [False] * len(outside):
            return text
        if len(text) == LONGEST:
            continue
        for there, character in _together(automata, here, len(inside)):
            if there not in reached:
                reached[there] = text + character
                waiting.append(there)
        if len(reached) > MOST:
            raise Undecided
    return None


def _together(automata: Sequence[_Automaton], here: _States, inside: int) -> Iterator[tuple[_States, str]]:
    """Where each kind of character leads; characters that lead to the same states are one kind."""
    moves = [[move for state in states for move in each.moves[state]] for each, states in zip(automata, here, strict=True)]
    kinds = [_ANY]
    for characters, _ in itertools.chain.from_iterable(moves):
        kinds = [part for kind in kinds for part in (kind & characters, kind & ~characters) if part]
    for kind in sorted(kinds, key=lambda kind: kind & -kind):  # what reads best first
        there = tuple(frozenset(state for characters, state in each if characters & kind) for each in moves)
        if all(there[:inside]):
            yield there, _ALPHABET[(kind & -kind).bit_length() - 1]


_Buckets = dict[str, dict[Shape, dict[tuple[str, ...], list[int]]]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Outline:
    """What tells most patterns apart at once: their separators in order, whether more may follow, and their last literal."""

    separators: str
    rest: bool
    end: str

    def apart(self, other: "_Outline") -> bool:
        if not (self.end.endswith(other.end) or other.end.endswith(self.end)):
            return True
        if self.separators == other.separators:
            return False
        longer, shorter = (self, other) if len(self.separators) > len(other.separators) else (other, self)
        return not (shorter.rest and longer.separators.startswith(shorter.separators))


def _outline(pattern: Pattern) -> _Outline:
    last = pattern.pieces[-1]
    literals = "".join(piece for piece in pattern.pieces if isinstance(piece, str))
    return _Outline(
        separators="".join(character for character in literals if character in SEPARATORS),
        rest=isinstance(last, Parameter) and last.kind == "rest",
        end=last if isinstance(last, str) else "",
    )


def overlaps(patterns: Sequence[Pattern]) -> list[tuple[int, int, str]]:
    """For each pattern that overlaps an earlier one: (the first such, itself, a channel), in the order of the later.

    Only patterns of which one's head begins the other's are compared, and of one head and shape only those with one key.
    """
    buckets: _Buckets = {}
    for number, pattern in enumerate(patterns):
        buckets.setdefault(pattern.head, {}).setdefault(pattern.shape, {}).setdefault(pattern.key, []).append(number)
    outlines = [_outline(pattern) for pattern in patterns]
    found: dict[int, tuple[int, str]] = {}
    for number, pattern in enumerate(patterns):
        for rival in _rivals(buckets, pattern, number):
            first, later = sorted((number, rival))
            if outlines[first].apart(outlines[later]) or (later in found and found[later][0] < first):
                continue
            channel = overlap(patterns[first], patterns[later])
            if channel is not None:
                found[later] = (first, channel)
    return [(first, later, channel) for later, (first, channel) in sorted(found.items())]


def _rivals(buckets: _Buckets, pattern: Pattern, number: int) -> Iterator[int]:
    """Every pattern whose head begins this one's; those with the same head only if they stand before it."""
    for length in range(len(pattern.head)):
        for keys in buckets.get(pattern.head[:length], {}).values():
            for numbers in keys.values():
                yield from numbers
    for shape, keys in buckets[pattern.head].items():
        for numbers in [keys[pattern.key]] if shape is pattern.shape else keys.values():
            yield from itertools.takewhile(lambda rival: rival < number, numbers)
