"""What the functions and methods of the language do to values of the solver."""

from collections.abc import Callable, Mapping
from typing import Final

import z3

from proxy.policy.functions import lower_ascii
from proxy.policy.types import INT_MAX, INT_MIN
from proxy.review.proving import regular
from proxy.review.proving.logic import FALSE, choice, every, opposite, some, string, text
from proxy.review.proving.operators import Result, unlike
from proxy.review.proving.values import NULL, Choice, Scalar, Value, of

_DIGITS: Final = 20
"""Characters of the longest number."""


def size(value: Value) -> Result:
    """Characters of a string, members of a list or map."""
    err, members = unlike(value, "string", "list", "map"), value.size()
    length = Scalar(kind="int", of=z3.Length(value.term("string"))) if "string" in value.kinds else NULL
    if not {"list", "map"} & value.kinds.keys():
        return Result(err=err, value=length)
    free = FALSE if members is not None else some((of(value, "list"), of(value, "map")))
    count = Scalar(kind="int", of=members if members is not None else z3.IntVal(0))
    return Result(
        err=err, free=free, value=Choice(test=of(value, "string"), then=length, other=count) if "string" in value.kinds else count
    )


def to_int(value: Value) -> Result:
    """`int(value)`."""
    errs, found = [unlike(value, "int", "double", "string")], value.term("int") if "int" in value.kinds else z3.IntVal(0)
    if "double" in value.kinds:
        number = value.term("double")
        errs.append(every((of(value, "double"), some((value.nan, number <= INT_MIN, number >= INT_MAX)))))
        found = choice(of(value, "double"), choice(number < 0, -z3.ToInt(-number), z3.ToInt(number)), found)
    if "string" in value.kinds:
        written = value.term("string")
        negative = z3.PrefixOf("-", written)
        digits = z3.StrToInt(choice(negative, z3.SubString(written, 1, _DIGITS), written))
        number = choice(negative, -digits, digits)
        fine = every((z3.InRe(written, regular.NUMERAL), z3.Length(written) <= _DIGITS, number >= INT_MIN, number <= INT_MAX))
        errs.append(every((of(value, "string"), opposite(fine))))
        found = choice(of(value, "string"), number, found)
    return Result(err=some(errs), value=Scalar(kind="int", of=found))


def to_string(value: Value) -> Result:
    """`string(value)`."""
    found = value.term("string") if "string" in value.kinds else string("")
    if "bool" in value.kinds:
        found = choice(of(value, "bool"), choice(value.term("bool"), string("true"), string("false")), found)
    if "int" in value.kinds:
        number = value.term("int")
        found = choice(of(value, "int"), choice(number < 0, z3.Concat(string("-"), z3.IntToStr(-number)), z3.IntToStr(number)), found)
    return Result(err=unlike(value, "int", "bool", "string"), value=Scalar(kind="string", of=found))


def lowered(value: Value) -> Result:
    """`value.lowerAscii()`: of a text that is not written in the policy only that it is as long."""
    if "string" not in value.kinds:
        return Result(err=unlike(value, "string"))
    term = z3.simplify(value.term("string"))
    if z3.is_string_value(term):
        return Result(err=unlike(value, "string"), value=Scalar(kind="string", of=string(lower_ascii(text(term)))))
    return Result(err=unlike(value, "string"), free=of(value, "string"))


def matched(value: Value, pattern: str) -> Result:
    """`value.matches(pattern)`; it errs on half of a character."""
    if "string" not in value.kinds:
        return Result(err=unlike(value, "string"))
    term, found = value.term("string"), regular.searched(pattern)
    err = some((unlike(value, "string"), every((of(value, "string"), z3.InRe(term, regular.HALVED)))))
    if found is None:
        return Result(err=err, free=opposite(err))
    return Result(err=err, value=Scalar(kind="bool", of=z3.InRe(term, found)))


def _tested(test: Callable[[z3.SeqRef, z3.SeqRef], z3.BoolRef]) -> Callable[[Value, Value], Result]:
    def tested(value: Value, part: Value) -> Result:
        err = some((unlike(value, "string"), unlike(part, "string")))
        known = "string" in value.kinds and "string" in part.kinds
        return Result(err=err, value=Scalar(kind="bool", of=test(value.term("string"), part.term("string")) if known else FALSE))

    return tested


FUNCTIONS: Final[Mapping[str, Callable[[Value], Result]]] = {"size": size, "int": to_int, "string": to_string}
"""Functions of one argument."""

METHODS: Final[Mapping[str, Callable[..., Result]]] = {
    "size": size,
    "lowerAscii": lowered,
    "contains": _tested(z3.Contains),
    "startsWith": _tested(lambda value, part: z3.PrefixOf(part, value)),
    "endsWith": _tested(lambda value, part: z3.SuffixOf(part, value)),
}
"""Methods but for `matches`."""
