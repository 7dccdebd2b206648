"""Values to try: of a type, near a constant, and of a JSON Schema."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from proxy.policy.types import ListOf, MapOf, Nullable, Simple, Type

MISSING: Final = object()
"""Stands for no member at all."""

MOST: Final = 60
"""Samples of one schema."""

_SIMPLE: Final[Mapping[str, object]] = {"bool": False, "int": 0, "double": 0.5, "string": "x"}
_DEEPEST: Final = 12

PLAIN: Final[tuple[object, ...]] = (True, False, None, MISSING, "x", "", "other", 0, 1, -1, 0.5, {}, [], ["x"])
"""Values that tell most kinds apart."""


def sample(kind: Type) -> object:
    """A value of the type, with everything that must be there."""
    match kind:
        case Simple():
            return _SIMPLE.get(kind.name)
        case Nullable():
            return sample(kind.of)
        case ListOf():
            return []
        case MapOf():
            return {}
        case _:
            return {name: sample(member.type) for name, member in kind.fields.items() if not member.optional}


def near(value: float | str | None) -> Iterator[object]:
    """Values that compare with a constant in every way, and what holds it."""
    yield value
    match value:
        case bool() | None:
            return
        case str():
            yield from (f"{value}x", f"x{value}", [value], [value, "x"], {value: "x"}, value.strip("^$"))
        case int():
            yield from (value + 1, value - 1, "x" * min(max(value, 0), 5000), "x" * min(max(value + 1, 0), 5000))
            yield from ([0] * min(max(value, 0), 1001), [0] * min(max(value + 1, 0), 1001))
        case _:
            yield from (value + 1, value - 1, value / 2)


def payloads(schema: object) -> Iterator[object]:
    """Values that a schema may accept, and others that differ from one in a single place; most of them are tried in vain."""
    usual = _valid(schema, schema, 0)
    yield from itertools.islice(_varied(schema, schema, usual, 0), MOST)


def _valid(schema: Any, root: Any, depth: int) -> object:  # noqa: ANN401, PLR0911 - JSON; one line a kind
    """A value that a plain schema accepts."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return "x"
    schema = meant(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema or "required" in schema else "string")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: _valid(properties.get(name, {}), root, depth + 1) for name in schema.get("required", ())}
        case "array":
            return [_valid(schema.get("items", {}), root, depth + 1) for _ in range(min(int(schema.get("minItems", 0)), 1000))]
        case "integer" | "number":
            return schema.get("minimum", schema.get("maximum", schema.get("exclusiveMinimum", -1) + 1))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "x" * max(1, min(int(schema.get("minLength", 1)), 5000))


def _varied(schema: Any, root: Any, usual: Any, depth: int) -> Iterator[object]:  # noqa: ANN401 - JSON
    """The value, then values that differ from it in one place."""
    yield usual
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return
    schema = meant(schema, root)
    yield from schema.get("enum", ())
    yield from _edges(schema)
    if isinstance(usual, dict):
        properties = schema.get("properties", {})
        for name, inner in properties.items():
            for value in itertools.islice(_varied(inner, root, _valid(inner, root, depth + 1), depth + 1), 12):
                yield {**usual, name: value}
        for name in usual:
            yield {other: value for other, value in usual.items() if other != name}
        yield {**usual, "unlisted": "x"}
    yield from (0, "x", None, [], {})


def _edges(schema: Mapping[str, Any]) -> Iterator[object]:
    """Values just inside and just outside the bounds of a schema."""
    for word in ("minLength", "maxLength"):
        if word in schema:
            yield from ("x" * length for length in range(max(0, int(schema[word]) - 1), min(int(schema[word]) + 2, 5000)))
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if word in schema:
            yield from (schema[word] - 1, schema[word], schema[word] + 1)
    for word in ("minItems", "maxItems"):
        if word in schema:
            item = _valid(schema.get("items", {}), schema, 1)
            yield from ([item] * length for length in range(max(0, int(schema[word]) - 1), min(int(schema[word]) + 2, 1000)))


def meant(schema: Mapping[str, Any], root: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    """The schema that a plain local reference names, once; else the schema itself."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    found = root
    for part in reference[2:].split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else schema
