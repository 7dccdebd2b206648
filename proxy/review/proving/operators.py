"""What the operators of the language do to values of the solver: as `proxy.policy.operations` does it to JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import z3

from proxy.policy.types import INT_MAX, INT_MIN
from proxy.review.proving.logic import FALSE, choice, every, opposite, some, text
from proxy.review.proving.values import KINDS, NULL, Choice, Judged, Kind, Scalar, Value, of

_Numbers = Callable[[z3.ArithRef, z3.ArithRef], z3.BoolRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an operator gives: when it errs, when nothing is known of it, and otherwise its value."""

    err: z3.BoolRef = FALSE
    free: z3.BoolRef = FALSE
    value: Value = field(default=NULL)


def judged(found: Judged) -> Result:
    """A condition as a result."""
    return Result(err=found.err, free=found.free, value=Scalar(kind="bool", of=found.holds))


def unlike(value: Value, *kinds: Kind) -> z3.BoolRef:
    """When the value is of none of these kinds."""
    return some(of(value, kind) for kind in KINDS if kind not in kinds)


def real(value: Value) -> z3.ArithRef:
    """An int or double as a number."""
    if "double" not in value.kinds:
        return z3.ToReal(value.term("int"))
    return choice(of(value, "double"), value.term("double"), z3.ToReal(value.term("int"))) if "int" in value.kinds else value.term("double")


def equal(left: Value, right: Value) -> Judged:
    """`==`: of lists and maps nothing is known but that one is no scalar."""
    null = every((of(left, "null"), of(right, "null")))
    either = some((of(left, "null"), of(right, "null")))
    same = [every((of(left, kind), of(right, kind))) for kind in KINDS]
    free = some(same[KINDS.index(kind)] for kind in ("list", "map"))
    numbers = every((_number(left), _number(right)))
    alike = [
        every((same[KINDS.index(kind)], left.term(kind) == right.term(kind)))
        for kind in ("bool", "string")
        if kind in left.kinds and kind in right.kinds
    ]
    if not z3.is_false(numbers):
        alike.append(every((numbers, opposite(left.nan), opposite(right.nan), _compared(left, right, lambda one, two: one == two))))
    holds = some((null, *alike))
    err = opposite(some((either, *same, numbers)))
    return Judged(err=err, free=free, holds=holds)


def _number(value: Value) -> z3.BoolRef:
    return some((of(value, "int"), of(value, "double")))


def _compared(left: Value, right: Value, compare: _Numbers) -> z3.BoolRef:
    """Ints are compared as ints, which the solver likes better."""
    exact = every((of(left, "int"), of(right, "int")))
    if z3.is_true(exact):
        return compare(left.term("int"), right.term("int"))
    mixed = compare(real(left), real(right))
    return mixed if z3.is_false(exact) else choice(exact, compare(left.term("int"), right.term("int")), mixed)


def within(item: Value, among: Value) -> Judged:
    """`in`: among the keys of a map that are written in the policy, or the members of a list."""
    err = some((unlike(among, "map", "list"), every((of(among, "map"), unlike(item, "string")))))
    listed = among.among(item) if "list" in among.kinds else Judged()
    known = isinstance(item, Scalar) and item.kind == "string" and z3.is_string_value(item.of)
    key = among.member(text(item.of))[0] if isinstance(item, Scalar) and known else FALSE
    free = some((every((of(among, "list"), listed.free)), FALSE if known else every((of(among, "map"), of(item, "string")))))
    return Judged(
        err=some((err, every((of(among, "list"), listed.err)))),
        free=every((free, opposite(err))),
        holds=some((every((of(among, "list"), listed.holds)), every((of(among, "map"), key)))),
    )


def _ordered(numbers: _Numbers, texts: Callable[[z3.SeqRef, z3.SeqRef], z3.BoolRef]) -> Callable[[Value, Value], Judged]:
    def ordered(left: Value, right: Value) -> Judged:
        both = every((of(left, "string"), of(right, "string")))
        numeric = every((_number(left), _number(right)))
        holds = []
        if not z3.is_false(both):
            holds.append(every((both, texts(left.term("string"), right.term("string")))))
        if not z3.is_false(numeric):
            holds.append(every((numeric, opposite(left.nan), opposite(right.nan), _compared(left, right, numbers))))
        return Judged(err=opposite(some((both, numeric))), holds=some(holds))

    return ordered


def add(left: Value, right: Value) -> Result:
    """`+` on two ints or two strings; nothing is known of the sum of two doubles."""
    texts = every((of(left, "string"), of(right, "string")))
    found = _calculated(left, right, lambda one, two: one + two)
    err = every((found.err, opposite(texts)))
    if z3.is_false(texts):
        return found
    joined = Scalar(kind="string", of=z3.Concat(left.term("string"), right.term("string")))
    value = joined if z3.is_true(texts) else Choice(test=texts, then=joined, other=found.value)
    return Result(err=err, free=found.free, value=value)


def _calculated(left: Value, right: Value, calculate: Callable[[z3.ArithRef, z3.ArithRef], z3.ArithRef]) -> Result:
    ints, doubles = (every((of(left, kind), of(right, kind))) for kind in _NUMBERS)
    if z3.is_false(ints):
        return Result(err=opposite(doubles), free=doubles)
    number = calculate(left.term("int"), right.term("int"))
    return Result(
        err=some((opposite(some((ints, doubles))), every((ints, _beyond(number))))), free=doubles, value=Scalar(kind="int", of=number)
    )


def _beyond(number: z3.ArithRef) -> z3.BoolRef:
    return some((number < INT_MIN, number > INT_MAX))


def subtract(left: Value, right: Value) -> Result:
    """`-`."""
    return _calculated(left, right, lambda one, two: one - two)


def multiply(left: Value, right: Value) -> Result:
    """`*`."""
    return _calculated(left, right, lambda one, two: one * two)


def divide(left: Value, right: Value) -> Result:
    """`/`, towards zero."""
    return _divided(left, right, _quotient)


def remainder(left: Value, right: Value) -> Result:
    """`%` on two ints; the sign is the dividend's."""
    found = _divided(left, right, lambda one, two: one - _quotient(one, two) * two)
    ints = every((of(left, "int"), of(right, "int")))
    smallest = FALSE if z3.is_false(ints) else every((left.term("int") == INT_MIN, right.term("int") == -1))
    return Result(err=some((found.err, opposite(ints), smallest)), value=found.value)


def _divided(left: Value, right: Value, calculate: Callable[[z3.ArithRef, z3.ArithRef], z3.ArithRef]) -> Result:
    found = _calculated(left, right, calculate)
    ints = every((of(left, "int"), of(right, "int")))
    return (
        found
        if z3.is_false(ints)
        else Result(err=some((found.err, every((ints, right.term("int") == 0)))), free=found.free, value=found.value)
    )


def _quotient(one: z3.ArithRef, two: z3.ArithRef) -> z3.ArithRef:
    size = z3.Abs(one) / z3.Abs(two)
    return choice((one < 0) == (two < 0), size, -size)


def minus(value: Value) -> Result:
    """`-value`."""
    double = of(value, "double")
    err = unlike(value, "int", "double")
    if "int" not in value.kinds:
        return Result(err=err, value=_negated(value))
    number = Scalar(kind="int", of=-value.term("int"))
    err = some((err, every((of(value, "int"), value.term("int") == INT_MIN))))
    return Result(err=err, value=number if z3.is_false(double) else Choice(test=double, then=_negated(value), other=number))


def _negated(value: Value) -> Value:
    return Scalar(kind="double", of=-value.term("double"), nan=value.nan) if "double" in value.kinds else NULL


def negation(value: Value) -> Result:
    """`!value`."""
    holds = opposite(value.term("bool")) if "bool" in value.kinds else FALSE
    return Result(err=unlike(value, "bool"), value=Scalar(kind="bool", of=holds))


def index(value: Value, at: Value) -> Result:
    """`value[at]`: of a map with a key that is written in the policy; of lists nothing is known but what cannot be indexed."""
    keyed, placed = every((of(value, "map"), of(at, "string"))), every((of(value, "list"), of(at, "int")))
    err = opposite(some((keyed, placed)))
    if isinstance(at, Scalar) and at.kind == "string" and z3.is_string_value(at.of):
        present, found = value.member(text(at.of))
        return Result(err=some((err, opposite(present))), value=found)
    return Result(err=err, free=opposite(err))


def member(value: Value, name: str) -> Result:
    """`value.name`."""
    present, found = value.member(name)
    return Result(err=some((unlike(value, "map"), opposite(present))), value=found)


def has(value: Value, name: str) -> Result:
    """`has(value.name)`."""
    return Result(err=unlike(value, "map"), value=Scalar(kind="bool", of=value.member(name)[0]))


_LESS: Final = _ordered(lambda one, two: one < two, lambda one, two: one < two)
_AT_MOST: Final = _ordered(lambda one, two: one <= two, lambda one, two: one <= two)
_NUMBERS: Final[tuple[Kind, Kind]] = ("int", "double")

BINARY: Final[Mapping[str, Callable[[Value, Value], Result]]] = {
    "==": lambda left, right: judged(equal(left, right)),
    "in": lambda item, among: judged(within(item, among)),
    "<": lambda left, right: judged(_LESS(left, right)),
    "<=": lambda left, right: judged(_AT_MOST(left, right)),
    ">": lambda left, right: judged(_LESS(right, left)),
    ">=": lambda left, right: judged(_AT_MOST(right, left)),
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}
"""Sign to function; `!=` is the opposite of `==`."""
