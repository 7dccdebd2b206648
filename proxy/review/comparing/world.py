"""A request in the making, with the facts that go with it, and how each of two policies sees it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact, Outcome
from proxy.policy.decision import FactKey, Known, Lost, Request
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Expression
from proxy.policy.schemas import Schema
from proxy.policy.types import Misfit
from proxy.review import lines
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import Key
from proxy.review.comparing.samples import MISSING, sample
from proxy.review.comparing.terms import Place

NOW_MS: Final = 1_790_000_000_000
LOST: Final = {"$error": "away"}
"""The value of a fact whose source fails."""

_ROOTS: Final = ("user", "client", "transport", "data", "meta", "labels", "headers", "tags", "key", "name", "version", "timestamp_ms")
_MAPS: Final = ("labels", "headers", "tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is asked (`asked` has the members of a line of the command `decide`), and what was set to which value.

    `channels` are the patterns of which the channel is one; `settings` are values by the keys of terms.
    """

    asked: Mapping[str, Any]
    channels: tuple[Pattern, ...] = ()
    settings: Mapping[Key, object] = field(default_factory=dict)

    def having(self, slot: Key, value: object) -> "World":
        """The world with one value more; what was set inside of that place before goes."""
        kept = {key: found for key, found in self.settings.items() if slot not in [*_way(key)]}
        return replace(self, settings={**kept, slot: value})

    def request(self) -> dict[str, Any]:
        """The request as members of a line, without facts."""
        line = dict(self.asked)
        for slot, value in self.settings.items():
            root, path = rooted(slot)
            if root == ("payload",):
                root = ("name", "data")
            if root[0] == "name" and root[1] in _ROOTS:
                _put(line, (root[1], *path), value)
            elif root[0] == "vars" and not path:
                line["channel"] = self._channel(line["channel"], root, value)
        return line

    def _channel(self, channel: str, slot: Key, value: object) -> str:
        """The channel with another value of a parameter."""
        pattern = self._pattern(slot)
        found = pattern.matches(channel)
        if found is None:
            return channel
        found[pattern.parameters[slot[2]]] = value  # type: ignore[assignment]  # what does not match later is no world
        return "".join(piece if isinstance(piece, str) else str(found[piece.name]) for piece in pattern.pieces)

    def facts(self, line: Mapping[str, Any]) -> Iterator[tuple[FactKey, tuple[str, ...], object]]:
        """The facts that were set: key, path inside of the value, value; outermost first."""
        for slot, value in sorted(self.settings.items(), key=lambda setting: len(rooted(setting[0])[1])):
            root, path = rooted(slot)
            if root[0] == "fact":
                arguments = [self.known(key, line) for key in root[2:]]
                if all(isinstance(each, bool | int | str) for each in arguments):
                    yield (root[1], *arguments), path, value

    def known(self, key: Key, line: Mapping[str, Any]) -> object:
        """The value that a term has, `MISSING` if that is not known without evaluating it."""
        match key[0]:
            case "const":
                return key[2]
            case "name" if len(key) == 2:  # noqa: PLR2004 - a name and nothing else
                return line.get(key[1], {} if key[1] in (*_MAPS, "meta") else MISSING)
            case "vars":
                return self._variable(key, str(line.get("channel")))
            case "payload":
                return line.get("data")
            case "member":
                of = self.known(key[1], line)
                return of.get(key[2], MISSING) if isinstance(of, dict) else MISSING
            case _:
                return self.settings.get(key, MISSING)

    def _variable(self, key: Key, channel: str) -> object:
        pattern = self._pattern(key)
        return (pattern.matches(channel) or {}).get(pattern.parameters[key[2]], MISSING)

    def _pattern(self, variable: Key) -> Pattern:
        return next(pattern for pattern in self.channels if spelling.frame(pattern) == variable[1])


def rooted(slot: Key) -> tuple[Key, tuple[str, ...]]:
    """What a term is a member of, and the names that lead there."""
    path: list[str] = []
    while slot[0] == "member":
        path.append(slot[2])
        slot = slot[1]
    return slot, tuple(reversed(path))


def _way(slot: Key) -> Iterator[Key]:
    """A term and those that it is a member of."""
    yield slot
    while slot[0] == "member":
        slot = slot[1]
        yield slot


def _put(into: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Set what is at the path, whatever stands in its way; `MISSING` takes it away."""
    *way, last = path
    for name in way:
        inner = into.get(name)
        into[name] = dict(inner) if isinstance(inner, dict) else {}
        into = into[name]
    if value is MISSING:
        into.pop(last, None)
    else:
        into[last] = value


class Source:
    """The facts of a world: those that were set, and of all others a usual value of their type."""

    def __init__(self, world: World, line: Mapping[str, Any], policies: Sequence[Policy]) -> None:
        self._policies = policies
        self.values: dict[FactKey, object] = {}
        for key, path, value in world.facts(line):
            if not path:
                self.values[key] = value
                continue
            holder = {"it": self.raw(key)}
            _put(holder, ("it", *path), value)
            self.values[key] = holder["it"]

    def raw(self, key: FactKey) -> object:
        """The value as its source gives it."""
        if key not in self.values:
            given: dict[str, object] = {}
            for policy in self._policies:
                fact = policy.facts.get(str(key[0]))
                value = sample(fact.type) if fact else None
                if fact and not isinstance(value, dict):
                    return value
                given |= value if isinstance(value, dict) else {}
            return given
        return self.values[key]


class View:
    """How one policy sees a world."""

    def __init__(self, policy: Policy, line: Mapping[str, Any], source: Source) -> None:
        self.request: Request = lines.request(line)
        self._policy, self._source = policy, source

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as this policy would get it."""
        value = self._source.raw(key)
        if value == LOST:
            return Lost(why="away")
        try:
            return Known(value=self._policy.facts[str(key[0])].fit(value))
        except Misfit as misfit:
            return Lost(why=str(misfit))

    def outcome(self, node: Expression, place: Place) -> Outcome:
        """What an expression comes to."""
        context = Context(self.request, self, {})
        if place.pattern is not None:
            context.vars = place.pattern.matches(self.request.channel or "") or {}
        if place.code.payload and place.schema is not None:
            context.payload = place.schema.fit(self.request.data)
        return Exact(context, self._policy.decider.statics, place.code).whole(node)

    def fits(self, schema: Schema) -> bool:
        """Whether the payload fits a schema."""
        if not schema.accepts(self.request.data):
            return False
        try:
            schema.fit(self.request.data)
        except Misfit:
            return False
        return True
