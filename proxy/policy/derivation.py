"""The type of the language that a JSON Schema (2020-12) gives to what it accepts, and how accepted values come to have it."""

import urllib.parse
from collections.abc import Mapping
from typing import Any

from proxy.policy import types
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NULL, STRING, Fit, ListOf, MapOf, Member, Misfit, Nullable, Record, Type

_DEEPEST = 60
"""Expressions are not deeper than this (policy language, section 4), so no type need be."""

_MOST = 10_000
"""Types derived from one file; references could multiply them without end."""

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array", dict: "object"}
_SIMPLE: Mapping[str, Type] = {"boolean": BOOL, "integer": INT, "number": DOUBLE, "string": STRING}

_Object = Mapping[str, Any]


def derive(document: object) -> Type:
    """The type of every value that a valid schema accepts, once it went through `refit`; `any` where the schema does not say."""
    return _Derivation(document).derive(document, frozenset({"#"}), _DEEPEST)


def refit(wanted: Type) -> Fit:
    """A function that copies an accepted value so that its numbers are what `wanted` says.

    `1.0` becomes 1 where that is int, and 1 becomes 1.0 where it is double; it raises `Misfit` for an int beyond 64 bits.
    """
    return _fitter(wanted) or _unchanged


class _Derivation:
    """Derives types; each keyword that counts holds for every accepted value, so any one of them may be believed alone."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._left = _MOST

    def derive(self, schema: object, within: frozenset[str], depth: int) -> Type:
        """The type of what `schema` accepts; `within` are the references that led here."""
        if not isinstance(schema, dict) or depth == 0 or self._left == 0:
            return ANY
        self._left -= 1
        found: Type = ANY
        if "type" in schema:
            named = schema["type"]
            found = self._one({named} if isinstance(named, str) else set(named), schema, within, depth - 1)
        if found == ANY and ("const" in schema or "enum" in schema):
            values = [schema["const"]] if "const" in schema else schema["enum"]
            found = self._one({_KINDS[type(value)] for value in values}, {}, within, depth - 1)
        reference = schema.get("$ref")
        if found == ANY and isinstance(reference, str) and reference not in within:
            found = self.derive(self._target(reference), within | {reference}, depth - 1)
        return found

    def _one(self, kinds: set[str], schema: _Object, within: frozenset[str], depth: int) -> Type:
        """The type that admits all these kinds of JSON values; a kind may stand beside null, nothing else does."""
        rest = kinds - {"null"}
        if rest == {"integer", "number"}:
            rest = {"number"}
        if len(rest) != 1:
            return NULL if kinds == {"null"} else ANY
        match rest.pop():
            case "object":
                found = self._object(schema, within, depth)
            case "array":
                found = ListOf(of=ANY if "prefixItems" in schema else self.derive(schema.get("items"), within, depth))
            case kind:
                found = _SIMPLE[kind]
        return types.nullable(found) if "null" in kinds else found

    def _object(self, schema: _Object, within: frozenset[str], depth: int) -> Type:
        """A record where members are listed or required, else a map; `patternProperties` take names from `additionalProperties`."""
        properties, required, further = schema.get("properties"), schema.get("required", ()), schema.get("additionalProperties")
        if "patternProperties" in schema:
            further = None
        if not properties and (further or not required):
            return MapOf(of=self.derive(further, within, depth))
        fields = {name: self.derive(item, within, depth) for name, item in (properties or {}).items()}
        for name in required:
            if name not in fields:
                fields[name] = self.derive(further, within, depth)
        return Record(fields={name: Member(type=t, optional=name not in required) for name, t in fields.items()}, open=True)

    def _target(self, reference: str) -> object:
        """What a local pointer names; None (of type any) for anchors and everything else."""
        path, slash, pointer = urllib.parse.unquote(reference).partition("/")
        if path != "#":
            return None
        target = self._document
        for part in pointer.split("/") if slash else ():
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else target[int(name)] if isinstance(target, list) else None
        return target


def _unchanged(value: object) -> object:
    return value


def _fitter(wanted: Type) -> Fit | None:
    """None where no value needs a change."""
    match wanted:
        case types.Simple():
            return {"int": _integer, "double": _double}.get(wanted.name)
        case Record():
            return _members({name: change for name, member in wanted.fields.items() if (change := _fitter(member.type))})
    change = _fitter(wanted.of)
    if change is None:
        return None
    match wanted:
        case Nullable():
            return lambda value: None if value is None else change(value)
        case ListOf():
            return _items(change)
        case _:
            return _values(change)


def _integer(value: Any) -> object:  # noqa: ANN401 - JSON
    number = int(value)
    if not types.INT_MIN <= number <= types.INT_MAX:
        raise Misfit("expected int, found a number beyond 64 bits")
    return number


def _double(value: Any) -> object:  # noqa: ANN401 - JSON
    try:
        return float(value)
    except OverflowError:
        raise Misfit("expected double, found a number that is too large") from None


def _items(change: Fit) -> Fit:
    def fit(value: Any) -> object:  # noqa: ANN401 - JSON
        return [change(item) for item in value]

    return fit


def _values(change: Fit) -> Fit:
    def fit(value: Any) -> object:  # noqa: ANN401 - JSON
        return {name: change(item) for name, item in value.items()}

    return fit


def _members(changes: Mapping[str, Fit]) -> Fit | None:
    def fit(value: Any) -> object:  # noqa: ANN401 - JSON
        return {**value, **{name: change(value[name]) for name, change in changes.items() if name in value}}

    return fit if changes else None
