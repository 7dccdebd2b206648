"""Hook requests: what a real Centrifugo sends is read, anything else is refused."""

import json
from base64 import b64decode
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Malformed
from proxy.wire.read import CHANNEL, USER, WORD
from proxy.wire.requests import CHANNELS, EVENTS, ITEMS

GOLDEN = sorted(Path(__file__, "../../golden").resolve().glob("v*/*.json"))
HEAD = {"client": "c", "transport": "websocket", "protocol": "json", "encoding": "json"}
MEMBER = HEAD | {"user": "42"}
VALID: dict[str, dict[str, Any]] = {
    "connect": HEAD,
    "refresh": MEMBER,
    "subscribe": MEMBER | {"channel": "a"},
    "publish": MEMBER | {"channel": "a"},
    "sub_refresh": MEMBER | {"channel": "a"},
    "rpc": MEMBER,
    "map_publish": HEAD | {"channel": "a", "key": "k"},
    "map_remove": HEAD | {"channel": "a", "key": "k"},
    "shared_poll_refresh": {"channel": "a"},
}
STRINGS = {
    "client": (1, WORD),
    "transport": (1, WORD),
    "protocol": (1, WORD),
    "encoding": (1, WORD),
    "user": (0, USER),
    "channel": (0, CHANNEL),
    "key": (1, CHANNEL),
}
REQUIRED = [(event, name) for event, fields in VALID.items() for name in fields]
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def decode(event: str, fields: object) -> dict[str, Any]:
    """Decode these fields as a request of this event."""
    return asdict(EVENTS[event](orjson.dumps(fields)))


def test_every_event_was_captured_from_both_servers() -> None:
    captured = {(path.parent.name, path.stem) for path in GOLDEN}
    classic = {"connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc"}
    assert {("v6", event) for event in EVENTS} | {("v5", event) for event in classic} <= captured


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_centrifugo_sends_is_read_whole(path: Path) -> None:
    event, _, variant = path.stem.partition("-")
    golden = json.loads(path.read_text())
    assert golden["headers"]["Content-Type"] == "application/json"
    assert golden["headers"]["X-Centrigate-Hook-Secret"] == "secret"
    body = golden["body"].encode()
    sent = json.loads(body)
    request = asdict(EVENTS[event](body))
    if "b64data" in sent:
        assert variant == "binary"
        sent["data"] = json.loads(b64decode(sent.pop("b64data")))
    request["channels"] = list(request.get("channels", []))
    request["items"] = [{name: value for name, value in item.items() if value} for item in request.get("items", [])]
    assert sent == {name: request[name] for name in sent}


@given(
    event=st.sampled_from(sorted(VALID)),
    data=DATA,
    meta=DATA,
    word=st.text(max_size=WORD),
    channels=st.lists(st.text(max_size=9), max_size=3),
)
def test_every_field_arrives_as_it_was_sent(event: str, data: object, meta: object, word: str, channels: list[str]) -> None:
    optional = {"data": data, "meta": meta, "name": word, "version": word, "channels": channels, "method": word, "user": word, "extra": 1}
    if event == "shared_poll_refresh":
        optional = {}
    body = orjson.dumps(optional | VALID[event])
    request = EVENTS[event](body)
    sent = optional | VALID[event] | {"raw": body, "channels": tuple(channels), "items": ()}
    assert asdict(request) == {name: sent[name] for name in request.__dataclass_fields__}


def test_what_is_left_out_has_its_empty_value() -> None:
    assert decode("connect", HEAD).items() >= {"name": "", "version": "", "channels": (), "data": None}.items()
    assert decode("rpc", MEMBER).items() >= {"method": "", "meta": None, "data": None}.items()
    assert decode("map_publish", VALID["map_publish"])["user"] == decode("map_remove", VALID["map_remove"])["user"] == ""
    assert decode("shared_poll_refresh", VALID["shared_poll_refresh"])["items"] == ()


def test_unknown_fields_and_other_spellings_are_ignored() -> None:
    body = orjson.dumps(VALID["subscribe"] | {"token": "x", "Channel": "b", "USER": "1"})
    request = EVENTS["subscribe"](body)
    assert asdict(request) == VALID["subscribe"] | {"meta": None, "data": None, "raw": body}


@pytest.mark.parametrize(("event", "name"), REQUIRED)
def test_what_is_required_must_be_there(event: str, name: str) -> None:
    fields = {known: value for known, value in VALID[event].items() if known != name}
    with pytest.raises(Malformed, match=name):
        decode(event, fields)


@pytest.mark.parametrize(("event", "name"), REQUIRED)
@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], ["x"], {}, {"x": "y"}])
def test_a_string_is_a_string(event: str, name: str, value: object) -> None:
    with pytest.raises(Malformed, match=f"{name}.* must be a string"):
        decode(event, VALID[event] | {name: value})


@pytest.mark.parametrize(("event", "name"), REQUIRED)
def test_a_string_has_its_bounds(event: str, name: str) -> None:
    least, most = STRINGS[name]
    for length in (least, most):
        assert decode(event, VALID[event] | {name: "x" * length})[name] == "x" * length
    for length in (least - 1, most + 1):
        if length >= 0:
            with pytest.raises(Malformed, match=name):
                decode(event, VALID[event] | {name: "x" * length})


@pytest.mark.parametrize("name", ["name", "version"])
def test_a_client_may_name_itself_within_bounds(name: str) -> None:
    assert decode("connect", HEAD | {name: "x" * WORD})[name] == "x" * WORD
    for wrong in (None, 1, "x" * (WORD + 1)):
        with pytest.raises(Malformed, match=name):
            decode("connect", HEAD | {name: wrong})


def test_a_method_has_bounds() -> None:
    assert decode("rpc", MEMBER | {"method": "m" * WORD})["method"] == "m" * WORD
    for wrong in (None, 1, "m" * (WORD + 1)):
        with pytest.raises(Malformed, match="method"):
            decode("rpc", MEMBER | {"method": wrong})


def test_a_user_of_a_map_request_is_a_string() -> None:
    for event in ("map_publish", "map_remove"):
        assert decode(event, VALID[event] | {"user": "7"})["user"] == "7"
        for wrong in (None, 7, "x" * (USER + 1)):
            with pytest.raises(Malformed, match="user"):
                decode(event, VALID[event] | {"user": wrong})


def test_channels_have_bounds() -> None:
    assert len(decode("connect", HEAD | {"channels": ["c" * CHANNEL] * CHANNELS})["channels"]) == CHANNELS
    for wrong in (None, "a", {"a": 1}, [1], [None], ["c"] * (CHANNELS + 1), ["c" * (CHANNEL + 1)]):
        with pytest.raises(Malformed, match="channels"):
            decode("connect", HEAD | {"channels": wrong})


def test_poll_items_are_keys_with_versions() -> None:
    request = decode("shared_poll_refresh", {"channel": "v", "items": [{"key": "p1"}, {"key": "p2", "version": 7, "x": 1}]})
    assert request["items"] == ({"key": "p1", "version": 0}, {"key": "p2", "version": 7})
    assert len(decode("shared_poll_refresh", {"channel": "v", "items": [{"key": "k"}] * ITEMS})["items"]) == ITEMS


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        (None, "items must be a list"),
        ({}, "items must be a list"),
        ([{"key": "k"}] * (ITEMS + 1), "items must be a list"),
        ([None], "an item must be an object"),
        (["k"], "an item must be an object"),
        ([{}], "key must be"),
        ([{"key": ""}], "key must be"),
        ([{"key": "k", "version": -1}], "version must be"),
        ([{"key": "k", "version": True}], "version must be"),
        ([{"key": "k", "version": 1.0}], "version must be"),
        ([{"key": "k", "version": None}], "version must be"),
    ],
)
def test_poll_items_of_another_shape_are_refused(items: object, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        decode("shared_poll_refresh", {"channel": "v", "items": items})


@pytest.mark.parametrize("event", ["connect", "subscribe", "publish", "rpc", "map_publish"])
def test_a_binary_payload_comes_with_its_own_bytes(event: str) -> None:
    request = decode(event, MEMBER | {"channel": "a", "key": "k", "b64data": "eyAibSIgOiAxIH0="})
    assert (request["data"], request["raw"]) == ({"m": 1}, b'{ "m" : 1 }')


@given(event=st.sampled_from(sorted(EVENTS)), body=st.binary(max_size=40) | DATA.map(orjson.dumps))
def test_anything_else_is_refused_and_nothing_breaks(event: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        EVENTS[event](body)


@given(
    event=st.sampled_from(sorted(EVENTS)),
    name=st.sampled_from([*STRINGS, "data", "b64data", "meta", "items", "channels", "method"]),
    value=DATA,
)
def test_any_value_in_any_field_is_read_or_refused(event: str, name: str, value: object) -> None:
    try:
        request = decode(event, VALID[event] | {name: value})
    except Malformed:
        return
    assert request.get(name, value) in (value, tuple(value) if isinstance(value, list) else value)
