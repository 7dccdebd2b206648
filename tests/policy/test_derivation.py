"""The types that JSON Schemas give to payloads, and how payloads come to have them."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.schemas import Schema, compile_schema
from proxy.policy.types import ANY, INT_MAX, INT_MIN, Misfit, Record, fitter

MESSAGE = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"enum": ["message", "typing"]}, "text": {"type": "string", "maxLength": 10}},
    "additionalProperties": False,
}


def compiled(schema: object) -> Schema:
    return compile_schema(json.dumps(schema).encode())


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "string"}, "string"),
        ({"type": "boolean"}, "bool"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "double"),
        ({"type": "null"}, "null"),
        ({"type": ["null"]}, "null"),
        ({"type": ["string", "null"]}, "string?"),
        ({"type": ["null", "integer"]}, "int?"),
        ({"type": ["integer", "number"]}, "double"),
        ({"type": ["integer", "number", "null"]}, "double?"),
        ({"type": ["string", "integer"]}, "any"),
        ({"type": ["string", "integer", "null"]}, "any"),
        ({"type": "array"}, "list<any>"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "list<string?>"),
        ({"type": "array", "items": True}, "list<any>"),
        ({"type": "array", "items": {"type": "string"}, "prefixItems": [{"type": "integer"}]}, "list<any>"),
        ({"type": ["array", "null"], "items": {"type": "integer"}}, "list<int>?"),
        ({"type": "object"}, "map<string, any>"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "map<string, int>"),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "required": ["a"]}, "map<string, int>"),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "patternProperties": {"^x": {}}}, "map<string, any>"),
        ({"type": "object", "additionalProperties": False}, "map<string, any>"),
        ({"type": "object", "properties": {"a": {}, "b": {"type": "string"}}, "required": ["b"]}, "{a?: any, b: string}"),
        ({"type": "object", "required": ["a"]}, "{a: any}"),
        (
            {"type": "object", "properties": {"a": True}, "required": ["b"], "additionalProperties": {"type": "string"}},
            "{a?: any, b: string}",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": ["integer", "null"]}}}}},
            "{a?: {b?: int?}}",
        ),
        ({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}, "{a?: string}?"),
        ({"properties": {"a": {"type": "integer"}}, "required": ["a"]}, "any"),
        ({"items": {"type": "string"}}, "any"),
        ({}, "any"),
        (True, "any"),
        (False, "any"),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": ["a", None]}, "string?"),
        ({"enum": [1, 2]}, "int"),
        ({"enum": [1, 2.5]}, "double"),
        ({"enum": [True, False]}, "bool"),
        ({"enum": [True, 1]}, "any"),
        ({"enum": [None]}, "null"),
        ({"enum": []}, "any"),
        ({"enum": [["a"], []]}, "list<any>"),
        ({"const": "a"}, "string"),
        ({"const": None}, "null"),
        ({"const": {"a": 1}}, "map<string, any>"),
        ({"const": 1, "enum": ["a", 1]}, "int"),
        ({"type": ["string", "integer"], "enum": ["a"]}, "string"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "string"),
        ({"$ref": "#/$defs/a%20b~1c~0d", "$defs": {"a b/c~d": {"type": "string"}}}, "string"),
        ({"$ref": "#/allOf/1", "allOf": [True, {"type": "string"}]}, "string"),
        ({"type": "integer", "$ref": "#/$defs/a", "$defs": {"a": {"type": "number"}}}, "int"),
        ({"$ref": "#x", "$defs": {"a": {"$anchor": "x", "type": "string"}}}, "any"),
        ({"$ref": "#"}, "any"),
        ({"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}}, "{next?: any, n?: int}"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}},
            "list<any>",
        ),
        ({"type": "object", "properties": {"a": {"$id": "https://example.org/y", "type": "string"}}}, "any"),
        ({"anyOf": [{"type": "string"}]}, "any"),
    ],
)
def test_the_type_is_what_the_schema_guarantees(schema: object, name: str) -> None:
    assert str(compiled(schema).type) == name


def test_a_payload_may_hold_more_than_is_listed() -> None:
    found = compiled(MESSAGE).type
    assert isinstance(found, Record)
    assert found.open


def test_references_that_multiply_end_in_any() -> None:
    doubled = {f"d{n}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/d{n + 1}"} for name in "ab"}} for n in range(25)}
    schema = compiled({"$ref": "#/$defs/d0", "$defs": {**doubled, "d25": {"type": "string"}}})
    assert str(schema.type).count("any") > 0


def test_types_deeper_than_any_expression_are_any() -> None:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    assert str(compiled(schema).type) == "list<" * 60 + "any" + ">" * 60


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, 1.0, 1),
        ({"type": "integer"}, -0.0, 0),
        ({"type": "integer"}, INT_MAX, INT_MAX),
        ({"type": "integer"}, INT_MIN, INT_MIN),
        ({"type": "integer"}, -(2.0**63), INT_MIN),
        ({"type": "number"}, 1, 1.0),
        ({"type": ["integer", "null"]}, None, None),
        ({"type": ["integer", "null"]}, 2.0, 2),
        ({"type": "array", "items": {"type": "number"}}, [1, 2.5], [1.0, 2.5]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 3.0}, {"a": 3}),
        (
            {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "integer"}}},
            {"n": 3.0, "more": 3.0},
            {"n": 3, "more": 3.0},
        ),
        ({"enum": [1, "a"]}, 1.0, 1.0),
        ({"enum": [1]}, 1.0, 1),
        ({"enum": [1.5, 2]}, 2, 2.0),
        ({}, {"a": 1.0}, {"a": 1.0}),
    ],
)
def test_numbers_come_to_have_their_types(schema: object, value: object, expected: object) -> None:
    found = compiled(schema)
    before = json.dumps(value)
    assert found.accepts(value)
    assert json.dumps(found.fit(value)) == json.dumps(expected)
    assert json.dumps(value) == before


def test_what_holds_no_numbers_is_not_copied() -> None:
    value = {"type": "message", "text": "hi"}
    assert compiled(MESSAGE).fit(value) is value


@pytest.mark.parametrize("value", [INT_MAX + 1, INT_MIN - 1, 2.0**63, 1e300])
def test_an_integer_beyond_64_bits_does_not_fit(value: float) -> None:
    schema = compiled({"type": "integer"})
    assert schema.accepts(value)
    with pytest.raises(Misfit, match="beyond 64 bits"):
        schema.fit(value)


def test_a_number_beyond_every_double_does_not_fit() -> None:
    with pytest.raises(Misfit, match="too large"):
        compiled({"type": "number"}).fit(10**400)


SCHEMAS = st.recursive(
    st.one_of(
        st.just({}),
        st.sampled_from([True, {"$ref": "#/$defs/i"}, {"$ref": "#/$defs/o"}]),
        st.lists(st.sampled_from(["string", "integer", "number", "boolean", "null"]), min_size=1, max_size=2, unique=True).map(
            lambda kinds: {"type": kinds}
        ),
        st.lists(st.sampled_from(["a", 1, 1.0, 2.5, True, None]), max_size=3).map(lambda values: {"enum": values}),
        st.sampled_from(["a", 1, 2.0, None, []]).map(lambda value: {"const": value}),
    ),
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": ["array", "null"], "items": items}),
        inner.map(lambda items: {"type": "array", "prefixItems": [True], "items": items}),
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                "required": st.lists(st.sampled_from("abd"), max_size=2, unique=True),
                "additionalProperties": inner,
                "patternProperties": st.just({"^d": {}}),
            },
        ),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.sampled_from(["a", "", 0, 1, 1.0, 2.5, True, None, 2**63, 2.0**63]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=6,
)
DEFS = {"i": {"type": "integer"}, "o": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/o"}}}}


@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=10))
def test_every_accepted_value_has_the_type_once_it_is_fitted(schema: object, values: list[object]) -> None:
    document = {"allOf": [schema], "$defs": DEFS, "$ref": "#/allOf/0"}
    found = compiled(document)
    check = fitter(found.type)
    for value in values:
        if not found.accepts(value):
            assert found.problem(value)
            continue
        try:
            fitted = found.fit(value)
        except Misfit:
            assert any(huge in json.dumps(value) for huge in ("9223372036854775808", "9.223372036854775e+18", "9.223372036854776e+18"))
            continue
        assert fitted == value
        check(fitted)


def test_any_is_the_type_of_a_schema_that_says_nothing() -> None:
    assert compiled({}).type == ANY
    assert compiled({}).accepts(math.pi)
