"""The methods of the server API: each field is checked, everything else is dropped."""

from typing import Any

import orjson
import pytest

from proxy.errors import Malformed
from proxy.wire.api import BAD_REQUEST, ApiError, Command, decode_command
from proxy.wire.methods import MANY, METHODS, TEXT, TOPICS, Method

USER = {"user": "42", "client": "c", "session": "s"}
PUBLICATION = {"data": {"m": None}, "tags": {"a": "b"}, "idempotency_key": "i", "delta": True, "version": 2**63 - 1, "version_epoch": "e"}
SWITCHES = ("presence", "join_leave", "force_push_join_leave", "force_recovery", "force_positioning")
# Every method with every field that it has.
FULL: dict[str, dict[str, Any]] = {
    "publish": {"channel": "a", **PUBLICATION, "skip_history": True},
    "broadcast": {"channels": ["a", "b"], **PUBLICATION, "skip_history": False},
    "subscribe": {
        **USER,
        "channel": "a",
        "info": 1,
        "data": [],
        "expire_at": 9,
        "recover_since": {"offset": 1, "epoch": "e"},
        "override": {switch: {"value": True} for switch in SWITCHES},
    },
    "unsubscribe": {**USER, "channel": "a"},
    "disconnect": {**USER, "whitelist": ["c"], "disconnect": {"code": 4500, "reason": "bye"}},
    "refresh": {**USER, "expired": False, "expire_at": 9, "info": {}},
    "presence": {"channel": "a"},
    "presence_stats": {"channel": "a"},
    "history": {"channel": "a", "limit": -1, "since": {"offset": 0, "epoch": ""}, "reverse": True},
    "history_remove": {"channel": "a"},
    "channels": {"pattern": "*"},
    "info": {},
    "rpc": {"method": "m", "params": {"x": 1}},
    "map_publish": {"channel": "a", "key": "k", **PUBLICATION, "key_mode": "if_new"},
    "map_remove": {"channel": "a", "key": "k", "idempotency_key": "i"},
    "map_read_state": {
        "channel": "a",
        "key": "k",
        "cursor": "c",
        "limit": 1,
        "asc": True,
        "revision_offset": 1,
        "revision_epoch": "e",
    },
    "map_read_stream": {"channel": "a", "since_offset": 1, "since_epoch": "e", "limit": 1, "reverse": False},
    "map_stats": {"channel": "a"},
    "map_clear": {"channel": "a"},
    "shared_poll_publish": {"channel": "a", "key": "k", "version": 1, "data": 0, "epoch": "e"},
    "block_user": {"user": "42", "expire_at": 9},
    "unblock_user": {"user": "42"},
    "revoke_token": {"uid": "j", "expire_at": 9},
    "invalidate_user_tokens": {"user": "42", "expire_at": 9, "issued_before": 8, "channel": "a"},
    "invalidate": {"topics": ["account:42", "doc:7"]},
    "reload": {},
    "connections": {"user": "42", "expression": "x"},
}
REQUIRED = {
    "publish": ["channel", "data"],
    "broadcast": ["channels", "data"],
    "subscribe": ["channel"],
    "unsubscribe": ["channel"],
    "presence": ["channel"],
    "presence_stats": ["channel"],
    "history": ["channel"],
    "history_remove": ["channel"],
    "rpc": ["method"],
    "map_publish": ["channel", "key", "data"],
    "map_remove": ["channel", "key"],
    "map_read_state": ["channel"],
    "map_read_stream": ["channel"],
    "map_stats": ["channel"],
    "map_clear": ["channel"],
    "shared_poll_publish": ["channel", "key", "version", "data"],
    "block_user": ["user"],
    "unblock_user": ["user"],
    "revoke_token": ["uid"],
    "invalidate_user_tokens": ["user"],
    "invalidate": ["topics"],
}
FIELDS = [(method, name) for method, params in FULL.items() for name in params]
OURS = {"block_user", "unblock_user", "revoke_token", "invalidate_user_tokens", "invalidate", "reload", "connections"}
EMPTY: tuple[object, ...] = (None, 0, "", [], {}, False)


def decode(method: str, params: object) -> Command | ApiError:
    """Decode a call of this method."""
    return decode_command(method, orjson.dumps(params))


def test_the_table_holds_every_method_and_field() -> None:
    assert {method: set(known.fields) for method, known in METHODS.items()} == {method: set(params) for method, params in FULL.items()}
    assert {method for method, known in METHODS.items() if not known.relayed} == OURS


@pytest.mark.parametrize("method", FULL)
def test_a_command_is_written_as_it_was_read(method: str) -> None:
    command = decode(method, FULL[method])
    assert isinstance(command, Command)
    assert (command.method, orjson.loads(command.encode())) == (method, FULL[method])


@pytest.mark.parametrize("method", FULL)
def test_unknown_fields_and_other_spellings_are_dropped(method: str) -> None:
    spelled = {name.upper(): value for name, value in FULL[method].items()}
    assert decode(method, FULL[method] | spelled | {"all_users": True, "score": 1}) == Command(method=method, params=FULL[method])


def test_members_of_members_are_dropped_too() -> None:
    extra = {"offset": 1, "epoch": None, "Offset": 2, "x": 1}
    assert decode("history", {"channel": "a", "since": extra}) == Command(method="history", params={"channel": "a", "since": {"offset": 1}})


@pytest.mark.parametrize(("method", "name"), FIELDS)
def test_null_is_absence_except_as_a_publication(method: str, name: str) -> None:
    command = decode(method, FULL[method] | {name: None})
    if name in REQUIRED.get(method, []) and name != "data":
        assert command == BAD_REQUEST
    elif name == "data" and method != "subscribe":
        assert command == Command(method=method, params=FULL[method] | {"data": None})
        assert b'"data":null' in command.encode()
    else:
        assert command == Command(method=method, params={known: value for known, value in FULL[method].items() if known != name})


@pytest.mark.parametrize(("method", "name"), [(method, name) for method, names in REQUIRED.items() for name in names])
def test_what_is_required_must_be_there(method: str, name: str) -> None:
    missing = {known: value for known, value in FULL[method].items() if known != name}
    assert decode(method, missing) == BAD_REQUEST
    with pytest.raises(Malformed, match="all that it requires"):
        Command(method=method, params=missing)
    if name != "data":
        assert decode(method, FULL[method] | {name: type(FULL[method][name])()}) == BAD_REQUEST


def test_a_publication_may_be_anything_that_is_given() -> None:
    for data in EMPTY:
        assert decode("publish", {"channel": "a", "data": data}) == Command(method="publish", params={"channel": "a", "data": data})


@pytest.mark.parametrize("method", ["subscribe", "unsubscribe", "disconnect", "refresh"])
def test_all_anonymous_connections_are_never_meant(method: str) -> None:
    assert decode(method, {"channel": "a"}) == decode(method, {"channel": "a", "user": ""}) == BAD_REQUEST
    for name in USER:
        assert isinstance(decode(method, {"channel": "a", "user": "", name: "x"}), Command)


@pytest.mark.parametrize(("method", "name"), FIELDS)
@pytest.mark.parametrize("value", [1.5, "x", True, 1, -2, [1], {"x": 1}])
def test_a_field_of_another_type_is_refused(method: str, name: str, value: object) -> None:
    valid = FULL[method][name]
    scalar = type(value) is type(valid) and not isinstance(value, list | dict)
    if name in {"data", "info", "params"} or (scalar and (value != -2 or name == "limit")):
        assert isinstance(decode(method, FULL[method] | {name: value}), Command)
    elif isinstance(value, dict) and name in {"recover_since", "since", "override"}:
        assert decode(method, FULL[method] | {name: value}) == Command(method=method, params=FULL[method] | {name: {}})
    else:
        with pytest.raises(Malformed, match=name):
            decode(method, FULL[method] | {name: value})


@pytest.mark.parametrize(
    ("method", "field", "good", "bad"),
    [
        ("publish", "channel", "x" * TEXT, "x" * (TEXT + 1)),
        ("broadcast", "channels", ["x"] * MANY, ["x"] * (MANY + 1)),
        ("invalidate", "topics", ["x"] * TOPICS, ["x"] * (TOPICS + 1)),
        ("invalidate", "topics", ["x" * TEXT], ["x" * (TEXT + 1)]),
        ("publish", "tags", {"a": "x" * TEXT}, {"a": "x" * (TEXT + 1)}),
        ("publish", "tags", {"x" * TEXT: "a"}, {"x" * (TEXT + 1): "a"}),
        ("publish", "version", 0, -1),
        ("history", "limit", 2**31 - 1, 2**31),
        ("history", "limit", -(2**31), -(2**31) - 1),
        ("subscribe", "expire_at", 2**63 - 1, 2**63),
        ("subscribe", "expire_at", 0, -1),
        ("disconnect", "disconnect", {"code": 3000, "reason": "x"}, {"code": 2999, "reason": "x"}),
        ("disconnect", "disconnect", {"code": 4999, "reason": "x"}, {"code": 5000, "reason": "x"}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "é" * 61 + "x"}, {"code": 4000, "reason": "é" * 62}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "x"}, {"code": 4000, "reason": ""}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "x"}, {"code": 4000}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "x"}, {"reason": "x"}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "x"}, {"code": 0, "reason": "x"}),
        ("disconnect", "disconnect", {"code": 4000, "reason": "x"}, {}),
        ("subscribe", "override", {"presence": {"value": False}}, {"presence": True}),
        ("subscribe", "recover_since", {"offset": 2**63 - 1}, {"offset": 1.0}),
    ],
)
def test_fields_have_bounds(method: str, field: str, good: object, bad: object) -> None:
    assert decode(method, FULL[method] | {field: good}) == Command(method=method, params=FULL[method] | {field: good})
    with pytest.raises(Malformed):
        decode(method, FULL[method] | {field: bad})


def test_a_version_of_more_than_64_bits_is_refused() -> None:
    assert Command(method="publish", params={"channel": "a", "data": 1, "version": 2**64 - 1}).params["version"] == 2**64 - 1
    with pytest.raises(Malformed, match="version"):
        Command(method="publish", params={"channel": "a", "data": 1, "version": 2**64})


def test_a_method_without_requirements_is_complete() -> None:
    assert Method(fields={}).complete({})
