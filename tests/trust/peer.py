"""Google's CEL as a peer of the policy language: plain, and strict where the language narrows CEL's meaning.

The strict peer is CEL with a guard at each operator that the language narrows (section 4 of the language's description).
Every guard is one clause; what it refuses is an error there, which CEL itself carries on, absorbs or reports. Guards take
their arguments in a list, because this CEL finds no function by arguments of unknown type.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from tests.trust.expressions import TYPES, UNTYPED

ERROR = "error"
"""The outcome of an expression without a value; values are JSON texts, in which 1, 1.0 and true differ."""

_NUMBERS = (int, float)


def shown(value: object) -> str:
    """A value as an outcome."""
    return json.dumps(value, sort_keys=True)


def same(pair: list[object]) -> bool:
    """Clause: no mixed comparison but of int with double; null compares with anything; lists and maps compare by member."""
    left, right = pair
    if left is None or right is None:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and _every(list(zip(left, right, strict=True)))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and _every([(left[key], right[key]) for key in left])
    if type(left) is type(right) or (type(left) in _NUMBERS and type(right) in _NUMBERS):
        return left == right
    raise ValueError("mixed")


def _every(pairs: list[tuple[object, object]]) -> bool:
    """Clause: members compare as `&&` joins them, so that a difference absorbs an error."""
    return _absorbed(pairs, ending=False)


def _absorbed(pairs: list[tuple[object, object]], *, ending: bool) -> bool:
    failed = False
    for left, right in pairs:
        try:
            if same([left, right]) is ending:
                return ending
        except ValueError:
            failed = True
    if failed:
        raise ValueError("mixed")
    return not ending


def among(pair: list[object]) -> bool:
    """Clause: `in` compares like `==` and joins like `||`; only a string can be the key of a map."""
    item, collection = pair
    if isinstance(collection, dict):
        if not isinstance(item, str):
            raise TypeError("no key")
        return item in collection
    if not isinstance(collection, list):
        raise TypeError("no collection")
    return _absorbed([(item, member) for member in collection], ending=True)


def _guard(fits: Callable[[object], bool]) -> Callable[[list[object]], object]:
    def guard(items: list[object]) -> object:
        if not fits(items[0]):
            raise ValueError("refused")
        return items[0]

    return guard


GUARDS: Mapping[str, Callable[[list[object]], object]] = {
    "same": same,
    "among": among,
    # Clause: no list `+`.
    "addend": _guard(lambda value: not isinstance(value, list)),
    # Clause: `< <= > >=` on numbers and on strings, not on bools.
    "ordered": _guard(lambda value: not isinstance(value, bool)),
    # Clause: `int` of int, double or a string `-?[0-9]+`.
    "numeral": _guard(lambda v: re.fullmatch("-?[0-9]+", v, re.ASCII) is not None if isinstance(v, str) else type(v) in _NUMBERS),
    # Clause: `string` of int, bool, string.
    "plain": _guard(lambda value: isinstance(value, int | str)),
    # Clause: lists have int positions.
    "place": _guard(lambda value: not isinstance(value, float)),
    # Clause: 1000 elements per macro.
    "many": _guard(lambda value: isinstance(value, list | dict) and len(value) <= 1000),
}


def _type(text: str) -> cel.Type:
    simple = {"int": cel.Type.INT, "double": cel.Type.DOUBLE, "string": cel.Type.STRING, "bool": cel.Type.BOOL}
    if text.startswith("list<"):
        return cel.Type.List(simple[text[5:-1]])
    if text.startswith("map<"):
        return cel.Type.Map(cel.Type.STRING, simple[text[12:-1]])
    if text.startswith("{"):
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return simple.get(text, cel.Type.DYN)


@cache
def _environment() -> cel.Env:
    variables = {name: _type(text) for name, text in TYPES.items()} | dict.fromkeys(UNTYPED, cel.Type.DYN)
    functions = [
        cel.FunctionDecl(name, [cel.Overload(name, cel.Type.DYN, [cel.Type.List(cel.Type.DYN)], is_member=False, impl=guard)])
        for name, guard in GUARDS.items()
    ]
    return cel.NewEnv(variables=variables, functions=functions, extensions=[ext_strings.ExtStrings()])


def compiled(text: str) -> tuple[cel.Expression, bool] | None:
    """The expression, and whether CEL's checker found types for it; without them it is as dynamic as CEL allows.

    None for what nests deeper than the 32 levels that CEL reads.
    """
    for unchecked in (False, True):
        try:
            return _environment().compile(text, disable_check=unchecked), not unchecked
        except RuntimeError as error:
            if "recursion limit" in str(error):
                return None
            if unchecked:
                raise
    return None


def outcome(expression: cel.Expression, values: Mapping[str, object]) -> str:
    """The value as JSON text, or ERROR."""
    try:
        found = expression.eval(data=values)
        return ERROR if found.type() == cel.Type.ERROR else shown(found.plain_value())
    except RuntimeError:
        return ERROR
