"""Strict reading of JSON from hostile bytes: one value, bounded depth, exact types."""

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, Never

import orjson

from proxy.errors import Malformed

DEPTH: Final = 200
"""How deep a document may nest; our own encoder stops at 254, and what is read here goes out in an envelope."""
WORD: Final = 255
"""Characters of a client id, a transport, a method and the like."""
USER: Final = 4096
"""Characters of a user id."""
CHANNEL: Final = 1024
"""Characters of a channel name or a key; the policy refuses long channels itself, with a reason."""

_FLAT: Final = 2 * DEPTH
"""A level takes two bytes, so a body this short cannot nest too deep."""
_SIGNED_64: Final = range(-(2**63), 2**63)


def refuse(name: str, wanted: str) -> Never:
    """Raise `Malformed`: `name` is not what is `wanted`."""
    message = f"{name} must be {wanted}"
    raise Malformed(message)


def parse(body: bytes) -> object:
    """Read exactly one JSON value.

    Raises `Malformed` for anything else: invalid UTF-8, a byte order mark, NaN, lone surrogates, numbers beyond a double,
    trailing bytes, and nesting deeper than `DEPTH`.
    """
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The parser's exception holds the whole body, so it is not chained.
        message = f"not valid JSON: {error.msg}"
        raise Malformed(message) from None
    if len(body) > _FLAT and body.count(b"[") + body.count(b"{") > DEPTH and _deep(value):
        message = f"JSON nests deeper than {DEPTH}"
        raise Malformed(message)
    return value


def document(body: bytes) -> dict[str, Any]:
    """Read exactly one JSON object; raises `Malformed` as `parse` does and for any other value."""
    fields = parse(body)
    if type(fields) is not dict:
        refuse("the body", "a JSON object")
    return fields


def text(fields: dict[str, Any], name: str, least: int, most: int) -> str:
    """Take a string of `least` to `most` characters; raises `Malformed` if it is absent, another type or another length."""
    if name in fields:
        value = fields[name]
        if type(value) is str and least <= len(value) <= most:
            return value
    refuse(name, f"a string of {least} to {most} characters")


def texts(fields: Mapping[str, Any], name: str, count: int, most: int) -> tuple[str, ...]:
    """Take a list of at most `count` strings of at most `most` characters, `()` if absent; raises `Malformed` otherwise."""
    if name not in fields:
        return ()
    values = fields[name]
    if type(values) is not list or len(values) > count or not all(type(each) is str and len(each) <= most for each in values):
        refuse(name, f"a list of at most {count} strings of at most {most} characters")
    return tuple(values)


def payload(fields: Mapping[str, Any], body: bytes) -> tuple[object, bytes]:
    """Take the client's payload as a JSON value, with the bytes it was read from (for `ambiguous`).

    Absent and null are both `None`. Under Centrifugo's `binary_encoding` the payload is standard base64 with padding in `b64data`; rules
    look at JSON, so bytes that are not JSON are `Malformed`, as is a payload given both ways.
    """
    if "b64data" not in fields:
        return fields.get("data"), body
    if fields.get("data") is not None:
        refuse("the payload", "in data or in b64data, not in both")
    raw = decoded(fields["b64data"])
    try:
        return parse(raw), raw
    except Malformed as error:
        message = f"b64data holds a payload that cannot be judged: {error}"
        raise Malformed(message) from None


def decoded(encoded: object) -> bytes:
    """Decode standard base64 with padding; raises `Malformed` for anything else."""
    if type(encoded) is str:
        try:
            return b64decode(encoded, validate=True)
        except ValueError:
            pass
    refuse("b64data", "standard base64 with padding")


def ambiguous(raw: bytes) -> bool:
    """Whether two parsers may read this JSON differently: a repeated member, or an integer beyond signed 64 bits.

    `raw` are bytes that were decoded here before. Costs more than decoding them, so ask only where a rule looks at the payload.
    """
    value = parse(raw)
    try:
        # Whatever our encoder gives back byte for byte has neither; this settles most bodies at the price of one encoding.
        if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == raw:
            return False
    except orjson.JSONEncodeError:
        pass
    try:
        json.loads(raw, object_pairs_hook=_once, parse_int=_fits)
    except ValueError:
        return True
    return False


def _once(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) != len(members):
        raise ValueError


def _fits(digits: str) -> None:
    if int(digits) not in _SIGNED_64:
        raise ValueError


def _deep(value: object) -> bool:
    level: list[Any] = [value]
    for _ in range(DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
