"""What each built-in function and method of the language does to values; the meaning is CEL's. All raise `Failed`."""

from collections.abc import Callable, Collection
from typing import Any

from proxy.policy.failure import Failed
from proxy.policy.operations import int64
from proxy.policy.types import INT_MAX, INT_MIN, describe

ELEMENTS = 1000
"""How many elements a macro may run over."""


def size(value: object) -> int:
    """Characters of a string, elements of a list, entries of a map."""
    if type(value) in (str, list, dict):
        return len(value)  # type: ignore[arg-type]
    raise Failed(f"{describe(value)} has no size")


def elements(value: object) -> Collection[object]:
    """What a macro runs over: the members of a list or the keys of a map, at most `ELEMENTS`."""
    if type(value) is not list and type(value) is not dict:
        raise Failed(f"cannot run over {describe(value)}")
    if len(value) > ELEMENTS:
        raise Failed(f"more than {ELEMENTS} elements")
    return value


def to_int(value: object) -> int:
    """`int(value)` of an int, a double (towards zero) or a string `-?[0-9]+`."""
    if type(value) is int:
        return value
    if type(value) is float and INT_MIN < value < INT_MAX:  # CEL leaves out the ends, where doubles have gaps
        return int64(int(value))
    if type(value) is str and len(value) <= 20:  # noqa: PLR2004 - more cannot fit 64 bits
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            return int64(int(value))
    raise Failed(f"no int of this {describe(value)}")


def to_string(value: object) -> str:
    """`string(value)` of an int, a bool or a string."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    raise Failed(f"no string of {describe(value)}")


def text(value: object) -> str:
    """The value as a string, which it must already be."""
    if type(value) is str:
        return value
    raise Failed(f"expected string, found {describe(value)}")


def matches(value: object, pattern: Any) -> bool:  # noqa: ANN401 - re2 has no types
    """`value.matches(pattern)`, of a compiled pattern."""
    try:
        return pattern.search(text(value)) is not None
    except UnicodeEncodeError:
        raise Failed("the string holds half of a character") from None


def lower_ascii(value: object) -> str:
    """`value.lowerAscii()`: A to Z only."""
    found = text(value)
    return found.lower() if found.isascii() else found.translate(_LOWER)


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def contains(value: object, part: object) -> bool:
    """`value.contains(part)`."""
    return text(part) in text(value)


def starts_with(value: object, part: object) -> bool:
    """`value.startsWith(part)`."""
    return text(value).startswith(text(part))


def ends_with(value: object, part: object) -> bool:
    """`value.endsWith(part)`."""
    return text(value).endswith(text(part))


FUNCTIONS: dict[str, Callable[[object], object]] = {"size": size, "int": to_int, "string": to_string}
"""Built-in functions of one argument."""

METHODS: dict[str, Callable[..., object]] = {
    "size": size,
    "contains": contains,
    "startsWith": starts_with,
    "endsWith": ends_with,
    "lowerAscii": lower_ascii,
}
"""Built-in methods but for `matches`, whose pattern is compiled when the policy loads."""
