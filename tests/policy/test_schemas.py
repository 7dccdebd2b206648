"""JSON Schemas: what is refused and what is accepted."""

import json

import pytest

from proxy.policy.schemas import DIALECT, BadSchema, Schema, compile_schema


def compiled(schema: object) -> Schema:
    return compile_schema(json.dumps(schema).encode())


MESSAGE = {
    "$schema": DIALECT,
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"enum": ["message", "typing"]}, "text": {"type": "string", "maxLength": 10}},
    "additionalProperties": False,
}


def test_a_value_is_accepted_as_the_schema_says() -> None:
    schema = compiled(MESSAGE)
    assert schema.accepts({"type": "message", "text": "hi"})
    assert schema.accepts({"type": "typing", "text": "😀" * 10})
    assert not schema.accepts({"type": "message", "text": "😀" * 11})
    assert not schema.accepts({"type": "message"})
    assert not schema.accepts({"type": "message", "text": "hi", "x": 1})
    assert not schema.accepts([])


def test_an_integer_may_be_written_with_a_zero_fraction_and_a_bool_is_none() -> None:
    schema = compiled({"type": "integer"})
    assert [schema.accepts(value) for value in (1, 1.0, 1.5, True, "1", None)] == [True, True, False, False, False, False]


def test_a_format_is_checked() -> None:
    schema = compiled({"format": "uuid"})
    assert schema.accepts("123e4567-e89b-12d3-a456-426614174000")
    assert not schema.accepts("x")


def test_a_hostile_text_does_not_slow_a_pattern_down() -> None:
    assert not compiled({"pattern": "^(a+)+$"}).accepts("a" * 50_000 + "b")


def test_what_is_no_json_is_not_accepted() -> None:
    schema = compiled({"type": "string"})
    assert not schema.accepts("\ud800")
    assert schema.problem("\ud800") == "the value is no JSON"


def test_deep_payloads_are_judged() -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    schema = compiled({"type": ["array", "integer"], "items": {"$ref": "#"}})
    assert schema.accepts(deep)
    assert not schema.accepts([[["x"]]])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "it is no JSON: Expecting value"),
        (b'{"type": "object",', "it is no JSON"),
        (b"\xff", "it is no JSON: 'utf-8' codec"),
        ("\ufeff{}".encode(), "it is no JSON"),
        ('{"type":"string"}'.encode("utf-16"), "it is no JSON"),
        (b'{"maximum": NaN}', "NaN is no number"),
        (b'{"maximum": -Infinity}', "-Infinity is no number"),
        (b'{"maximum": 1e999}', "/maximum"),
        (b'{"a": 1, "b": 2, "b": 3}', "the member 'b' stands twice"),
        (b'{"properties": {"x": {"type": "string", "type": "integer"}}}', "the member 'type' stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"not":' * 300 + b"{}" + b"}" * 300, "Recursion limit"),
        (b'{"enum": ["\\ud800"]}', "UTF-8"),
        (b"[]", "a schema is an object, true or false, not list"),
        (b'"{}"', "a schema is an object, true or false, not string"),
        (b"null", "not null"),
        (b'{"type": "objekt"}', "/type: "),
        (b'{"properties": {"a": {"minLength": -1}}}', "/properties/a/minLength: "),
        (b'{"required": "a"}', "/required: "),
        (b'{"pattern": "["}', "/pattern: the expression is not usable; it must be complete"),
        (b'{"pattern": "(?=x)"}', "/pattern: the expression is not usable; it must be complete, small and without look-around"),
        (b'{"pattern": "(a{1000}){1000}"}', "/pattern: the expression is not usable"),
        (b'{"pattern": "(a)\\\\1"}', "/pattern: "),
        (b'{"patternProperties": {"(?!x)": {}}}', "/patternProperties"),
        (b'{"format": "shoe-size"}', "/format: Unknown format: 'shoe-size'; leave it out or write a pattern"),
        (b'{"$ref": "https://example.org/x.json"}', "disabled, cannot fetch https://example.org/x.json; references stay in the file"),
        (b'{"$ref": "file:///etc/passwd"}', "references stay in the file"),
        (b'{"$ref": "other.json"}', "references stay in the file, as #/$defs/name"),
        (b'{"$ref": "#/$defs/x"}', "Pointer '/$defs/x' does not exist"),
        (b'{"$ref": "#x"}', "Anchor 'x' does not exist"),
        (b'{"$schema": "http://json-schema.org/draft-07/schema#"}', f'write "{DIALECT}" or leave it out'),
        (b'{"$schema": 5}', "$schema names another dialect"),
        (b'{"maxLenght": 1}', "/: there is no keyword 'maxLenght'; did you mean maxLength?"),
        (b'{"$defs": {"a": {"requird": []}}}', "/$defs/a: there is no keyword 'requird'; did you mean required?"),
        (b'{"items": {"allOf": [{"propertys": {}}]}}', "/items/allOf/0: there is no keyword 'propertys'; did you mean properties?"),
        (b'{"additionalPropertis": false}', "did you mean additionalProperties?"),
        (b'{"allOff": []}', "did you mean allOf?"),
        (b'{"dependencies": {}}', "did you mean dependentRequired or dependentSchemas?"),
        (b'{"additionalItems": false}', "did you mean items beside prefixItems?"),
    ],
)
def test_what_is_no_usable_schema_is_refused_with_its_place(raw: bytes, says: str) -> None:
    with pytest.raises(BadSchema) as refusal:
        compile_schema(raw)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": DIALECT + "#", "$id": "https://example.org/x.json", "title": "t", "examples": [1], "x-owner": "chat"},
        dict.fromkeys(("$comment", "contentEncoding", "contentMediaType", "default", "description", "example", "title"), "a"),
        {"deprecated": True, "readOnly": True, "writeOnly": True},
        {"$dynamicAnchor": "a", "contains": {}, "items": {}, "prefixItems": [{}], "unevaluatedItems": True, "unevaluatedProperties": True},
        {"properties": {"maxLenght": {"type": "string"}}},
        {"enum": [{"maxLenght": 1}]},
        {"$ref": "#a", "$defs": {"b": {"$anchor": "a"}}},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        True,
        False,
    ],
)
def test_what_only_looks_wrong_is_taken(schema: object) -> None:
    compiled(schema)


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        (MESSAGE, {"type": "message", "text": "my secret text"}, "/text: the value is longer than 10 characters"),
        (MESSAGE, {"type": "secret", "text": ""}, '/type: the value is not one of "message" or "typing"'),
        (MESSAGE, {"type": "typing"}, '/: "text" is a required property'),
        ({"items": {"type": "integer"}}, [1, "secret"], '/1: the value is not of type "integer"'),
        (MESSAGE, {"type": "typing", "text": "", "é\n": 1}, "/: Additional properties are not allowed ('\\xe9\\n' was unexpected)"),
        (False, 1, "/: False schema does not allow the value"),
        (MESSAGE, {"type": "typing", "text": ""}, ""),
    ],
)
def test_a_problem_names_the_place_and_not_the_value(schema: object, value: object, says: str) -> None:
    assert compiled(schema).problem(value) == says
