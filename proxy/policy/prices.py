"""What an expression pays for the texts and members that it handles.

Macros pay for their bodies before they run over anything, `==` and `in` for the members of lists and maps. Texts are paid for
by their length, but only inside macros: outside, none is handled more often than the policy says.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from proxy.policy import functions, operations
from proxy.policy.meter import GRAIN, Meter

_MATCH, _STATES = 64, 16
"""Steps of a match, and states of the pattern times characters that it handles in one step at worst."""

_LONG, _FEW = 30_000, 6
"""From this length on Python looks for a text in linear time, with this factor; in shorter ones it may try each place."""


def _length(value: object) -> int:
    return len(value) if type(value) is str else 0


def _shorter(left: object, right: object) -> int:
    return min(len(left), len(right)) // GRAIN if type(left) is str and type(right) is str else 0


def _sum(left: object, right: object) -> int:
    return (_length(left) + _length(right)) // GRAIN


def _second(_: object, item: object) -> int:
    return _length(item) // GRAIN


def _key(item: object, collection: object) -> int:
    return _length(item) // GRAIN if type(collection) is dict else 0


def _search(value: object, part: object) -> int:
    length = _length(value)
    return length * (_length(part) if length < _LONG else _FEW) // GRAIN


def _match(value: object, pattern: Any) -> int:  # noqa: ANN401 - re2 has no types
    return _MATCH + int(_length(value) * pattern.programsize // _STATES)


COSTS: Mapping[str, Callable[..., int]] = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _shorter),
    "+": _sum,
    "in": _key,
    "index": _second,
    "contains": _search,
    "startsWith": _second,
    "endsWith": _second,
    "lowerAscii": _length,
    "matches": _match,
}
"""Steps that an operator or method takes for the lengths of its texts, inside macros, by its name."""


def _paying(name: str) -> Callable[..., Any]:
    cost, do = COSTS[name], operations.METERED.get(name) or _unmetered(_PLAIN[name])

    def paid(meter: Meter, *values: Any) -> Any:  # noqa: ANN401 - JSON values
        steps = cost(*values)
        if steps:
            meter.spend(steps)
        return do(meter, *values)

    return paid


def _unmetered(do: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *values: do(*values)


_PLAIN: Mapping[str, Callable[..., Any]] = {
    **operations.BINARY,
    **functions.METHODS,
    "index": operations.index,
    "matches": functions.matches,
}

PAYING: Mapping[str, Callable[..., Any]] = {name: _paying(name) for name in COSTS}
"""The same operators and methods as functions of a meter and operands that first pay for their texts."""


def visited(meter: Meter, value: object, weight: int) -> Collection[object]:
    """What a macro runs over, paid for: `weight` are the steps of its body."""
    found = functions.elements(value)
    meter.spend(len(found) * weight)
    return found
