"""What cannot be read is refused, and what two parsers read differently is known."""

import json
from base64 import b64encode, urlsafe_b64encode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Malformed
from proxy.wire.read import DEPTH, ambiguous, decoded, document, parse, payload, text, texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> bytes:
    """Give `depth` objects in one another."""
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":"\n"}',
        b"{}\x00",
        b"\xfe\xff\x00{\x00}",
    ],
)
def test_what_is_not_one_json_value_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="not valid JSON"):
        parse(body)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b"[{}]"])
def test_a_body_is_an_object(body: bytes) -> None:
    with pytest.raises(Malformed, match="the body must be a JSON object"):
        document(body)


def test_the_refusal_does_not_keep_the_body() -> None:
    with pytest.raises(Malformed) as refusal:
        parse(b'{"password": hunter2}')
    assert refusal.value.__cause__ is None
    assert "hunter2" not in str(refusal.value)


@given(JSON)
def test_any_json_is_read_as_it_is(value: object) -> None:
    assert parse(orjson.dumps(value)) == value


def test_depth_is_bounded() -> None:
    assert parse(nested(DEPTH))
    assert parse(b"[" * DEPTH + b"]" * DEPTH)
    for bomb in (nested(DEPTH + 1), b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1)):
        with pytest.raises(Malformed, match=f"deeper than {DEPTH}"):
            parse(bomb)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 1000 + b"]" * 1000, nested(1000), nested(5000), b'{"a":' * 100_000])
def test_a_depth_bomb_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


def test_brackets_are_counted_by_depth_not_by_number() -> None:
    assert parse(b"[" + b",".join([b"[{}]"] * 1000) + b"]") == [[{}]] * 1000
    assert parse(b'"' + b"[{" * 1000 + b'"') == "[{" * 1000


def test_a_string_has_bounds_and_a_type() -> None:
    assert text({"a": "xy"}, "a", 2, 2) == "xy"
    assert text({"a": ""}, "a", 0, 2) == ""
    for wrong in ({}, {"a": None}, {"a": 1}, {"a": b"xy"}, {"a": "x"}, {"a": "xyz"}, {"a": ["xy"]}):
        with pytest.raises(Malformed, match="a must be a string of 2 to 2 characters"):
            text(wrong, "a", 2, 2)


def test_a_list_of_strings_has_bounds_and_a_type() -> None:
    assert texts({}, "a", 1, 1) == ()
    assert texts({"a": ["x", ""]}, "a", 2, 1) == ("x", "")
    for wrong in ({"a": None}, {"a": "x"}, {"a": {"x": 1}}, {"a": ["x", 1]}, {"a": ["x", None]}, {"a": ["xy"]}, {"a": ["x"] * 3}):
        with pytest.raises(Malformed, match="a must be a list of at most 2 strings of at most 1 characters"):
            texts(wrong, "a", 2, 1)


@given(JSON)
def test_a_base64_payload_is_read_as_json(value: object) -> None:
    raw = orjson.dumps(value)
    assert payload({"b64data": b64encode(raw).decode()}, b"body") == (value, raw)


def test_an_absent_payload_and_null_are_the_same() -> None:
    assert payload({}, b"body") == payload({"data": None}, b"body") == (None, b"body")


@pytest.mark.parametrize("encoded", [None, 1, "e30", "e30\n", "e3 0=", "e30==", "=e30", "é30=", urlsafe_b64encode(b"\xfb\xff").decode()])
def test_only_standard_base64_is_read(encoded: object) -> None:
    with pytest.raises(Malformed, match="standard base64"):
        payload({"b64data": encoded}, b"")


def test_standard_base64_is_read() -> None:
    assert decoded("+/8=") == b"\xfb\xff"


@pytest.mark.parametrize("raw", [b"", b"\x00\x01", b"hello", b"{} {}", nested(300)])
def test_a_payload_that_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed, match="b64data holds a payload that cannot be judged"):
        payload({"b64data": b64encode(raw).decode()}, b"")


def test_a_payload_given_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="not in both"):
        payload({"data": 1, "b64data": "MQ=="}, b"")


@given(JSON)
def test_what_our_encoder_writes_has_one_meaning(value: object) -> None:
    assert not ambiguous(orjson.dumps(value))


@given(JSON)
def test_what_another_encoder_writes_has_one_meaning(value: object) -> None:
    assert not ambiguous(json.dumps(value).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"data":{"x":[{"a":null,"b":1,"a":null}]}}',
        b'[{"":1,"":2}]',
        b"9223372036854775808",
        b"-9223372036854775809",
        b'{"n":12345678901234567890}',
        b'{"n":123456789012345678901234567890}',
    ],
)
def test_repeated_members_and_large_integers_are_ambiguous(raw: bytes) -> None:
    assert ambiguous(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"b":{"a":1},"A":2}',
        b'[{"a":1},{"a":1}]',
        b"9223372036854775807",
        b"-9223372036854775808",
        b"1.0e2",
        b"12345678901234567890.5",
        b' { "a" : "\\u003c" } ',
    ],
)
def test_the_rest_is_not(raw: bytes) -> None:
    assert not ambiguous(raw)


@given(JSON, st.sampled_from(["a", "\u00e9", "\n"]))
def test_a_repeated_member_is_found_at_any_depth(value: object, name: str) -> None:
    member = json.dumps(name).encode() + b":" + orjson.dumps(value)
    assert ambiguous(b'{"outer":[1,{' + member + b"," + member + b"}]}")
