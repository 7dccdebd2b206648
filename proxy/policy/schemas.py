"""JSON Schemas (2020-12) of payloads: what they accept, and the type of the language that they give to `data`.

No reference leaves the file, regular expressions run in linear time, and `format` is checked, not only noted.
"""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from proxy.policy import types
from proxy.policy.derivation import derive, refit
from proxy.policy.types import ANY, Fit, Type

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ONE = frozenset(
    {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
_SOME = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_ASSERTIONS = frozenset(
    {"const", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maximum", "maxItems"}
    | {"maxLength", "maxProperties", "minContains", "minimum", "minItems", "minLength", "minProperties", "multipleOf", "pattern"}
    | {"required", "type", "uniqueItems", "$ref", "$dynamicRef"}
)
_BINDING = _ONE | _SOME | _NAMED | _ASSERTIONS
_FOLLOWED = 200
"""References of one schema that are followed; with more it counts as circular."""

_FORMER = {"additionalItems": "items beside prefixItems", "dependencies": "dependentRequired or dependentSchemas"}

_Object = Mapping[str, Any]
"""A schema that the validator took, so that its keywords have the kinds of values they need."""


class BadSchema(ValueError):
    """The file is no usable schema; the message says where and why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schema:
    """A compiled schema; `type` is what every accepted value has once it went through `fit`."""

    type: Type
    fit: Fit
    """A copy of an accepted value in which `1.0` is 1 where the type is int, and 1 is 1.0 where it is double; `Misfit` beyond 64 bits."""
    validator: jsonschema_rs.Draft202012Validator
    circular: bool
    """Whether it refers to itself: listing what is wrong could then take time without end; accepting does not."""
    digest: str = ""
    """Of the file that it was read from."""

    def accepts(self, value: object) -> bool:
        """Whether a JSON value is valid."""
        try:
            return self.validator.is_valid(value)
        except ValueError:  # the value is no JSON, as with half a surrogate pair
            return False

    def problem(self, value: object) -> str:
        """The first thing that is wrong, with its place and without the payload's values; empty when nothing is."""
        if self.circular:
            return "" if self.accepts(value) else "/: the value does not fit the schema"
        try:
            for error in self.validator.iter_errors(value):
                return f"{_place(error.instance_path)}: {error.message}".encode("unicode_escape").decode()
        except ValueError:
            return "the value is no JSON"
        return ""


def compile_schema(raw: bytes) -> Schema:
    """Reads a schema file; raises `BadSchema`."""
    document = _decode(raw)
    if isinstance(document, dict) and str(document.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        raise BadSchema(f'$schema names another dialect; write "{DIALECT}" or leave it out')
    validator = _validator(document)
    nested = list(_schemas(document))
    for place, schema in nested:
        _check_words(place, schema)
    renamed = any("$id" in schema for _, schema in nested[1:])  # then a local reference may start elsewhere
    found = ANY if renamed else derive(document)
    circular = renamed or _circular(nested)
    return Schema(type=found, fit=refit(found), validator=validator, circular=circular, digest=hashlib.sha256(raw).hexdigest())


def _decode(raw: bytes) -> object:
    try:
        return json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise BadSchema("it is nested too deeply") from None
    except BadSchema:
        raise
    except ValueError as error:
        raise BadSchema(f"it is no JSON: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadSchema(f"the member {twice!a} stands twice in one object")
    return out


def _no_constant(name: str) -> object:
    raise BadSchema(f"it is no JSON: {name} is no number")


def _validator(document: object) -> jsonschema_rs.Draft202012Validator:
    if not isinstance(document, dict | bool):
        raise BadSchema(f"a schema is an object, true or false, not {types.describe(document)}")
    try:
        return jsonschema_rs.Draft202012Validator(
            document,
            validate_formats=True,
            ignore_unknown_formats=False,
            mask="the value",
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise BadSchema(f"{_place(error.instance_path)}: {_advice(error)}") from None
    except ValueError as error:
        raise BadSchema(str(error)) from None


def _advice(error: jsonschema_rs.ValidationError) -> str:
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
        return f"{error.message}; references stay in the file, as #/$defs/name"
    if getattr(error.kind, "format", "") == "regex":
        return "the expression is not usable; it must be complete, small and without look-around and back references"
    return error.message.replace(". Adjust configuration to ignore unrecognized formats", "; leave it out or write a pattern")


def _place(path: list[str | int]) -> str:
    return "/" + "/".join(map(str, path))


def _schemas(schema: Any, place: str = "") -> Iterator[tuple[str, _Object]]:  # noqa: ANN401 - JSON
    """Every object that stands where a schema does, with its place; the first is the document."""
    if not isinstance(schema, dict):
        return
    yield place or "/", schema
    for word in schema.keys() & _ONE:
        yield from _schemas(schema[word], f"{place}/{word}")
    for word in schema.keys() & _SOME:
        for number, item in enumerate(schema[word]):
            yield from _schemas(item, f"{place}/{word}/{number}")
    for word in schema.keys() & _NAMED:
        for name, item in schema[word].items():
            yield from _schemas(item, f"{place}/{word}/{name}")


def _circular(nested: Sequence[tuple[str, _Object]]) -> bool:
    """Whether references may lead back to where they stand; of others than plain pointers that is taken for granted."""
    references = {place: f"{schema['$ref']}/" for place, schema in nested if "$ref" in schema}
    plain = all(reference.startswith("#/") and not set(reference) & set("%~") for reference in references.values())
    if not plain or len(references) > _FOLLOWED or any("$dynamicRef" in schema for _, schema in nested):
        return True
    leads = {target: {other for place, other in references.items() if f"{place}/".startswith(target[1:])} for target in references.values()}
    for _ in references:  # each time without those that lead nowhere, until only circles are left
        leads = {target: rest for target, others in leads.items() if (rest := others & leads.keys())}
    return bool(leads)


def _check_words(place: str, schema: _Object) -> None:
    """JSON Schema ignores what it does not know; a slip of the pen would then accept everything. No annotation is near a keyword."""
    for word in sorted(schema.keys() - _BINDING):
        near = [_FORMER[word]] if word in _FORMER else difflib.get_close_matches(word, sorted(_BINDING), n=1, cutoff=0.8)
        if near:
            raise BadSchema(f"{place}: there is no keyword {word!a}; did you mean {near[0]}?")
