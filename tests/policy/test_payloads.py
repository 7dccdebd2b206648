"""How much of a schema is followed."""

import json

import pytest

from proxy.policy.schemas import compile_schema
from proxy.policy.types import ANY, INT, Record, Type

TREE = {"$defs": {"t": {"type": "object", "properties": {"a": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"}
LINE = {"$defs": {"t": {"type": "object", "properties": {"a": {"type": "string"}}}}, "$ref": "#/$defs/t"}
MOVED = {"type": "object", "properties": {"a": {"$id": "https://example.org/a", "type": "object"}}}
ANCHORED = {"$defs": {"t": {"$anchor": "x", "type": "object", "properties": {"a": {"type": "string"}}}}, "$ref": "#x"}
ENCODED = {"$defs": {"t t": {"type": "object", "properties": {"a": {"type": "string"}}}}, "$ref": "#/$defs/t%20t"}
DYNAMIC = {"$dynamicAnchor": "x", "type": "object", "properties": {"a": {"$dynamicRef": "#x"}}}


def referring(count: int) -> object:
    return {"$defs": {"t": {"type": "string"}}, "properties": {f"p{number}": {"$ref": "#/$defs/t"} for number in range(count)}}


@pytest.mark.parametrize(
    ("document", "circular"), [(ANCHORED, True), (ENCODED, True), (DYNAMIC, True), (referring(200), False), (referring(201), True)]
)
def test_where_references_lead_is_followed_only_where_that_is_easy(document: object, circular: bool) -> None:  # noqa: FBT001 - the expectation
    assert compile_schema(json.dumps(document).encode()).circular is circular


STRINGS = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("document", "value"),
    [
        (STRINGS, ["a"]),
        ({"type": ["array", "null"], "items": {"type": "string"}}, None),
        ({"type": "object", "additionalProperties": STRINGS}, {"a": ["b"]}),
        ({"type": ["string", "null"]}, "a"),
    ],
)
def test_what_needs_no_change_stays_as_it_is(document: object, value: object) -> None:
    assert compile_schema(json.dumps(document).encode()).fit(value) == value


@pytest.mark.parametrize(("document", "circular"), [(TREE, True), (LINE, False), (MOVED, True)])
def test_what_is_wrong_is_not_listed_for_a_schema_that_refers_to_itself(document: object, circular: bool) -> None:  # noqa: FBT001 - the expectation
    schema = compile_schema(json.dumps(document).encode())
    assert schema.circular is circular
    assert schema.problem({"a": {}} if circular else {"a": "b"}) == ""
    assert schema.accepts({"a": 1}) is False
    found = schema.problem({"a": 1})
    assert (found == "/: the value does not fit the schema") is circular
    assert found.startswith("/" if circular else "/a: ")


def test_ten_thousand_types_of_a_schema_are_known_and_the_others_are_any() -> None:
    members = {f"p{number}": {"type": "integer"} for number in range(10_000)}
    found = compile_schema(json.dumps({"type": "object", "properties": members}).encode()).type
    assert isinstance(found, Record)
    assert (found.fields["p9998"].type, found.fields["p9999"].type) == (INT, ANY)


@pytest.mark.parametrize(("references", "found"), [(59, INT), (60, ANY)])
def test_references_are_followed_as_deep_as_expressions_go(references: int, found: Type) -> None:
    chain = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(references - 1)}
    document = {"$defs": {**chain, f"d{references - 1}": {"type": "integer"}}, "$ref": "#/$defs/d0"}
    assert compile_schema(json.dumps(document).encode()).type == found


def test_what_a_name_refers_to_is_any() -> None:
    document = {"$defs": {"a": {"$anchor": "x", "type": "integer"}}, "type": "object", "properties": {"n": {"$ref": "#x"}}}
    found = compile_schema(json.dumps(document).encode()).type
    assert isinstance(found, Record)
    assert found.fields["n"].type == ANY
