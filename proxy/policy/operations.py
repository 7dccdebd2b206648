"""What each operator of the language does to values; the meaning is CEL's.

Both ways of running an expression use these: the compiled one calls them where static types do not already prove
that Python means the same, the exact one (`proxy.policy.deciding.evaluate`) always. All raise `Failed` for a CEL error.
"""

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

from proxy.policy.failure import Exhausted, Failed
from proxy.policy.meter import GRAIN, Meter
from proxy.policy.types import INT_MAX, INT_MIN, describe

LEVELS = 1000
"""How deep values that are compared may nest: more than JSON readers take."""


def truth(value: object) -> bool:
    """The value as a condition: a bool and nothing else."""
    if value is True or value is False:
        return value
    raise Failed(f"expected bool, found {describe(value)}")


def negation(value: object) -> bool:
    """`!value`."""
    return not truth(value)


def minus(value: object) -> int | float:
    """`-value`; the smallest int has no negative."""
    if type(value) is int:
        return int64(-value)
    if type(value) is float:
        return -value
    raise Failed(f"cannot negate {describe(value)}")


def int64(value: int) -> int:
    """The value if it fits 64 bits."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise Failed("integer overflow")


def _pair(sign: str, left: object, right: object) -> Failed:
    return Failed(f"no {describe(left)} {sign} {describe(right)}")


def add(left: object, right: object) -> object:
    """`+` on two ints, two doubles or two strings."""
    kind = type(left)
    if kind is not type(right) or kind not in (int, float, str):
        raise _pair("+", left, right)
    total = left + right  # type: ignore[operator]  # one of three kinds, checked above
    return int64(total) if kind is int else total


def subtract(left: object, right: object) -> object:
    """`-` on two ints or two doubles."""
    return _calculate("-", operator.sub, left, right)


def multiply(left: object, right: object) -> object:
    """`*` on two ints or two doubles."""
    return _calculate("*", operator.mul, left, right)


def _calculate(sign: str, do: Callable[[object, object], object], left: object, right: object) -> object:
    kind = type(left)
    if kind is not type(right) or kind not in (int, float):
        raise _pair(sign, left, right)
    result = do(left, right)
    return int64(result) if type(result) is int else result


def divide(left: object, right: object) -> object:
    """`/` on two ints (towards zero) or two doubles (IEEE: by zero is infinite or NaN)."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise Failed("division by zero")
        return int64(_truncated(left, right))
    if type(left) is float and type(right) is float:
        if right == 0.0:
            return math.nan if left == 0.0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1.0, right)
        return left / right
    raise _pair("/", left, right)


def _truncated(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def remainder(left: object, right: object) -> object:
    """`%` on two ints; the sign is the dividend's."""
    if type(left) is not int or type(right) is not int:
        raise _pair("%", left, right)
    if right == 0:
        raise Failed("division by zero")
    return left - int64(_truncated(left, right)) * right


_NUMBERS = (int, float)


def equal(meter: Meter, left: object, right: object) -> bool:
    """`==`: numbers by value, null with anything, lists and maps member by member absorbing errors as `&&` does.

    The members are paid for.
    """
    kind = type(left)
    if kind is type(right) and (kind is list or kind is dict):
        return _every(meter, left, right)
    return _same(left, right)


def _same(left: object, right: object) -> bool:
    kind, other = type(left), type(right)
    if left is None or right is None:
        return left is right
    if (kind is other and kind in _SCALARS) or (kind in _NUMBERS and other in _NUMBERS):
        return left == right
    raise _pair("==", left, right)


_SCALARS = (str, int, bool, float)


def _every(meter: Meter, left: object, right: object) -> bool:
    """Level by level, since recursion would end at the stack; a difference anywhere absorbs every error."""
    failed: Failed | None = None
    level: list[tuple[object, object]] = [(left, right)]
    for _ in range(LEVELS):
        below: list[tuple[object, object]] = []
        for one, other in level:
            kind = type(one)
            if kind is type(other) and (kind is list or kind is dict):
                found = _members(meter, one, other)
                if found is None:
                    return False
                below.extend(found)
                continue
            try:
                if not _same(one, other):
                    return False
            except Failed as error:
                failed = error
        if not below:
            break
        level = below
    else:
        failed = Failed("nested too deeply to compare")
    if failed:
        raise failed
    return True


_OPENING = 4
"""Steps that it takes to look into two lists or maps, before any member is compared."""


def _members(meter: Meter, left: Any, right: Any) -> Iterable[tuple[object, object]] | None:  # noqa: ANN401 - two lists or two maps
    """The pairs of members of two lists or two maps, paid for with their texts; None where one has what the other has not."""
    meter.spend(_OPENING)
    if len(left) != len(right):
        return None
    meter.spend(len(left))
    if type(left) is dict:
        if left.keys() != right.keys():
            return None
        pairs = [(item, right[key]) for key, item in left.items()]
    else:
        pairs = list(zip(left, right, strict=True))
    meter.spend(sum(len(item) // GRAIN for item, _ in pairs if type(item) is str))
    return pairs


def unequal(meter: Meter, left: object, right: object) -> bool:
    """`!=`."""
    return not equal(meter, left, right)


def within(meter: Meter, item: object, collection: object) -> bool:
    """`in`: among the members of a list, which are paid for, absorbing errors as `||` does; or the keys of a map."""
    if type(collection) is dict:
        if type(item) is not str:
            raise _pair("in", item, collection)
        return item in collection
    if type(collection) is not list:
        raise _pair("in", item, collection)
    meter.spend(_visits(item, collection))
    failed: Failed | None = None
    for member in collection:
        try:
            if equal(meter, item, member):
                return True
        except Exhausted:
            raise
        except Failed as error:
            failed = error
    if failed:
        raise failed
    return False


def among(meter: Meter, item: str, texts: list[str]) -> bool:
    """`within` where the types are known."""
    meter.spend(_visits(item, texts))
    return item in texts


def _visits(item: object, members: list[Any]) -> int:
    return len(members) * (1 + len(item) // GRAIN) if type(item) is str else len(members)


def _ordered(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def ordered(left: object, right: object) -> bool:
        kind, other = type(left), type(right)
        if (kind is str and other is str) or (kind in _NUMBERS and other in _NUMBERS):
            return compare(left, right)
        raise _pair(sign, left, right)

    return ordered


less, at_most = _ordered("<", operator.lt), _ordered("<=", operator.le)
more, at_least = _ordered(">", operator.gt), _ordered(">=", operator.ge)


def member(value: object, name: str) -> object:
    """`value.name` of a map or record."""
    if type(value) is dict and name in value:
        return value[name]
    raise Failed(f"no such key: {name}" if type(value) is dict else f"{describe(value)} has no members")


def index(value: object, at: object) -> object:
    """`value[at]` of a list (from 0) or a map."""
    if type(value) is dict and type(at) is str:
        return member(value, at)
    if type(value) is list and type(at) is int:
        if 0 <= at < len(value):
            return value[at]
        raise Failed("index out of range")
    raise Failed(f"cannot index {describe(value)} with {describe(at)}")


def has(value: object, name: str) -> bool:
    """`has(value.name)`; false when the member is missing."""
    if type(value) is dict:
        return name in value
    raise Failed(f"{describe(value)} has no members")


BINARY: dict[str, Callable[[object, object], object]] = {
    "<": less,
    "<=": at_most,
    ">": more,
    ">=": at_least,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}
"""Sign to function, of the operators that cost the same whatever they are given."""

METERED: dict[str, Callable[[Meter, object, object], bool]] = {"==": equal, "!=": unequal, "in": within}
"""Sign to function, of the operators that pay for members."""
