"""Channels as texts of the solver, cut into the parameters of patterns."""

import z3

from proxy.policy.patterns import LONGEST, Parameter, Pattern
from proxy.policy.types import INT_MAX
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import Key
from proxy.review.proving import regular
from proxy.review.proving.logic import TRUE, every, implied, opposite, string
from proxy.review.proving.trees import World
from proxy.review.proving.values import Built, Scalar


class Channels:
    """The one channel of a request, which matches the `pattern`."""

    def __init__(self, world: World, pattern: Pattern) -> None:
        self._world = world
        self.name = z3.String("channel")
        self._cuts: dict[Key, tuple[z3.SeqRef, ...]] = {}
        self._first = spelling.frame(pattern)
        world.axioms += [z3.Length(self.name) <= LONGEST, self.matched(pattern)]

    def variables(self, pattern: Pattern) -> Built:
        """The parameters of a pattern that the channel matches."""
        parameters = [piece for piece in pattern.pieces if isinstance(piece, Parameter)]
        found = zip(parameters, self._cut(pattern), strict=True)
        return Built(entries={each.name: _value(each, term) for each, term in found})

    def matched(self, pattern: Pattern) -> z3.BoolRef:
        """Whether the channel matches a pattern, with its parameters as they are then."""
        terms = self._cut(pattern)
        parameters = [piece for piece in pattern.pieces if isinstance(piece, Parameter)]
        bounds = [z3.StrToInt(term) <= INT_MAX for each, term in zip(parameters, terms, strict=True) if each.kind == "int"]
        if spelling.frame(pattern) == self._first:
            return every((self._joined(pattern), *bounds))
        shape = z3.InRe(self.name, _shape(pattern))
        self._world.axioms.append(implied(shape, self._joined(pattern)))
        return every((shape, self._lawful(pattern), *bounds))

    def _cut(self, pattern: Pattern) -> tuple[z3.SeqRef, ...]:
        """The texts of the parameters; patterns that differ in names only share them."""
        frame = spelling.frame(pattern)
        if frame not in self._cuts:
            number, count = len(self._cuts), len(pattern.parameters)
            self._cuts[frame] = tuple(z3.String(f"vars!{number}!{place}") for place in range(count))
        return self._cuts[frame]

    def _joined(self, pattern: Pattern) -> z3.BoolRef:
        terms = iter(self._cut(pattern))
        parts, fine = [], []
        for piece in pattern.pieces:
            if isinstance(piece, str):
                parts.append(string(piece))
            else:
                parts.append(next(terms))
                fine.append(z3.InRe(parts[-1], regular.parameter(piece.kind)))
        return every((self.name == (z3.Concat(*parts) if len(parts) > 1 else parts[0]), self._lawful(pattern), *fine))

    def _lawful(self, pattern: Pattern) -> z3.BoolRef:
        """A parameter at the beginning takes no `$`."""
        return TRUE if pattern.head else opposite(z3.PrefixOf("$", self.name))


def _shape(pattern: Pattern) -> z3.ReRef:
    parts = [z3.Re(string(piece)) if isinstance(piece, str) else regular.parameter(piece.kind) for piece in pattern.pieces]
    return z3.Concat(*parts) if len(parts) > 1 else parts[0]


def _value(parameter: Parameter, term: z3.SeqRef) -> Scalar:
    if parameter.kind == "int":
        return Scalar(kind="int", of=z3.StrToInt(term))
    return Scalar(kind="string", of=term)
