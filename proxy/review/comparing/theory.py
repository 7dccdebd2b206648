"""Which answers can stand together: equality, order by constants, null, and patterns that exclude each other."""

from collections.abc import Iterable, Iterator
from typing import Any

from proxy.policy.overlap import Undecided, witness
from proxy.review.comparing.logic import Answers, Key

_NULL: Key = ("const", "NoneType", None)


def possible(answers: Answers, latest: Key) -> bool:
    """Whether the answers may belong to one request, as far as `latest` can change that; it may say so where none exists."""
    match latest[0]:
        case "==" | "<" | "null":
            return _Classes(answers).possible()
        case "on":
            return _reachable(answers)
        case _:
            return True


def _reachable(answers: Answers) -> bool:
    """Whether some channel matches what it must and nothing else, or there is no channel."""
    asked = [(key[2], found) for key, found in answers.items() if key[0] == "on"]
    inside = [pattern for pattern, found in asked if found]
    try:
        return not inside or witness(inside, [pattern for pattern, found in asked if not found]) is not None
    except Undecided:
        return True


class _Classes:
    """Terms that are equal, and what is known of each class."""

    def __init__(self, answers: Answers) -> None:
        self._above: dict[Key, Key] = {}
        self._answers = answers
        for left, right in _pairs(answers, found=True):
            self._above[self._class(left)] = self._class(right)

    def _class(self, term: Key) -> Key:
        while term in self._above and self._above[term] != term:
            term = self._above[term]
        return term

    def possible(self) -> bool:
        if any(self._class(left) == self._class(right) for left, right in _pairs(self._answers, found=False)):
            return False
        values: dict[Key, list[Any]] = {}
        for term in {term for key in self._answers if key[0] in ("==", "null") for term in _terms(key)}:
            if term[0] == "const":
                values.setdefault(self._class(term), []).append(term[2])
        return all(_one(found) for found in values.values()) and all(
            _between(list(bounds), values.get(term, [])) for term, bounds in self._bounds().items()
        )

    def _bounds(self) -> dict[Key, list[tuple[str, Any]]]:
        """What stands above and below each class: `<`, `>`, `<=` or `>=` and a constant."""
        found: dict[Key, list[tuple[str, Any]]] = {}
        for key, answer in self._answers.items():
            if key[0] != "<":
                continue
            _, low, high = key
            if high[0] == "const":
                found.setdefault(self._class(low), []).append(("<" if answer else ">=", high[2]))
            elif low[0] == "const":
                found.setdefault(self._class(high), []).append((">" if answer else "<=", low[2]))
        return found


def _terms(key: Key) -> Iterable[Key]:
    return key[1:] if key[0] == "==" else (key[1], _NULL)


def _pairs(answers: Answers, *, found: bool) -> Iterator[tuple[Key, Key]]:
    for key, answer in answers.items():
        if key[0] in ("==", "null") and answer is found:
            left, right = _terms(key)
            yield left, right


def _one(values: list[Any]) -> bool:
    """Whether constants are one value; 1 and 1.0 are, 1 and true are not."""
    return all(value == values[0] and isinstance(value, bool) is isinstance(values[0], bool) for value in values)


def _between(bounds: list[tuple[str, Any]], values: list[Any]) -> bool:
    """Whether something lies within the bounds: one of the values if there are any."""
    if len({isinstance(edge, str) for _, edge in (*bounds, *(("", value) for value in values))}) > 1:
        return False
    tests = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
    if values:
        return all(value is not None and tests[sign](value, edge) for value in values for sign, edge in bounds)
    lows = [(edge, sign == ">") for sign, edge in bounds if sign in (">", ">=")]
    highs = [(edge, sign == "<") for sign, edge in bounds if sign in ("<", "<=")]
    if not lows or not highs:
        return True
    (low, open_low), (high, open_high) = max(lows), min(highs, key=lambda bound: (bound[0], not bound[1]))
    return bool(low < high or (low == high and not open_low and not open_high))
