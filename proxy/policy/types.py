"""The types of the language, and how JSON values are fitted to them."""

import dataclasses
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """`bool int double string null any`, and `never`: the element type of an empty list."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`list<of>`."""

    of: "Type"

    def __str__(self) -> str:
        return f"list<{self.of}>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """`map<string, of>`."""

    of: "Type"

    def __str__(self) -> str:
        return f"map<string, {self.of}>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A field of a record."""

    type: "Type"
    optional: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`{field: type, optional?: type}`; `open` ones (payloads of a schema) may hold members that are not listed."""

    fields: Mapping[str, Member]
    open: bool = False

    def __str__(self) -> str:
        return "{" + ", ".join(f"{k}{'?' if m.optional else ''}: {m.type}" for k, m in self.fields.items()) + "}"

    def __hash__(self) -> int:
        return hash(tuple(self.fields))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Nullable:
    """`of?`; `of` itself is neither nullable nor `any` nor `null`."""

    of: "Type"

    def __str__(self) -> str:
        return f"{self.of}?"


Type = Simple | ListOf | MapOf | Record | Nullable

BOOL, INT, DOUBLE, STRING, NULL, ANY, NEVER = (Simple(name=n) for n in ("bool", "int", "double", "string", "null", "any", "never"))

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


class Misfit(ValueError):
    """A value does not have its declared type; the text names the place and what stands there."""


Fit = Callable[[object], object]
"""Returns the value as its type has it, or raises `Misfit`."""


def describe(value: object) -> str:
    """The JSON kind of a value, for messages: never the value itself."""
    names = {bool: "bool", int: "int", float: "double", str: "string", type(None): "null", list: "list", dict: "map"}
    return names.get(type(value), type(value).__name__)


def nullable(of: Type) -> Type:
    """`of?`, or `of` itself where it already admits null."""
    return of if isinstance(of, Nullable) or of in (ANY, NULL) else Nullable(of=of)


def fitter(wanted: Type) -> Fit:  # noqa: PLR0911 - one line a type
    """A function that fits JSON values to `wanted`: members beyond a closed record are dropped, null in an optional field is absence."""
    match wanted:
        case Simple(name="bool" | "string" | "null"):
            return _exact(wanted)
        case Simple(name="int"):
            return _int
        case Simple(name="double"):
            return _double
        case Simple():
            return _any
        case Nullable():
            return _nullable(wanted)
        case ListOf():
            return _list(wanted)
        case MapOf():
            return _map(wanted)
        case _:
            return _record(wanted)


def _exact(wanted: Simple) -> Fit:
    kind = {"bool": bool, "string": str, "null": type(None)}[wanted.name]

    def fit(value: object) -> object:
        if type(value) is not kind:
            raise Misfit(f"expected {wanted}, found {describe(value)}")
        return value

    return fit


def _int(value: object) -> object:
    if type(value) is not int or not INT_MIN <= value <= INT_MAX:
        raise Misfit(f"expected int, found {describe(value)}")
    return value


def _double(value: object) -> object:
    if type(value) not in (int, float):
        raise Misfit(f"expected double, found {describe(value)}")
    return float(value)  # type: ignore[arg-type]  # one of the two numbers


def _any(value: object) -> object:
    return value


def _nullable(wanted: Nullable) -> Fit:
    inner = fitter(wanted.of)
    return lambda value: None if value is None else inner(value)


def _within(place: str, fit: Fit, value: object) -> object:
    try:
        return fit(value)
    except Misfit as misfit:
        raise Misfit(f"{place}: {misfit}") from None


def _list(wanted: ListOf) -> Fit:
    inner = fitter(wanted.of)

    def fit(value: object) -> object:
        if type(value) is not list:
            raise Misfit(f"expected {wanted}, found {describe(value)}")
        try:
            return [inner(item) for item in value]
        except Misfit:  # once more, for its place
            return [_within(f"[{n}]", inner, item) for n, item in enumerate(value)]

    return fit


def _map(wanted: MapOf) -> Fit:
    inner = fitter(wanted.of)

    def fit(value: object) -> object:
        if type(value) is not dict:
            raise Misfit(f"expected {wanted}, found {describe(value)}")
        return {key: _within(f"[{key!r}]", inner, item) for key, item in value.items()}

    return fit


def _record(wanted: Record) -> Fit:
    fields = [(name, member.optional, fitter(member.type)) for name, member in wanted.fields.items()]

    def fit(value: object) -> object:
        if type(value) is not dict:
            raise Misfit(f"expected {wanted}, found {describe(value)}")
        out = dict(value) if wanted.open else {}
        for name, optional, inner in fields:
            item = value.get(name, _MISSING)
            if optional and (item is _MISSING or item is None):
                out.pop(name, None)
            elif item is _MISSING:
                raise Misfit(f"{name}: expected {wanted.fields[name].type}, found nothing")
            else:
                try:
                    out[name] = inner(item)
                except Misfit as misfit:
                    raise Misfit(f"{name}: {misfit}") from None
        return out

    return fit


_MISSING = object()
