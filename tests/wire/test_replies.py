"""Replies say what they mean to Centrifugo's decoder, and what it would misread cannot be made."""

import json
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import replies
from proxy.wire.codes import ERRORS, PASSING, REFUSALS
from proxy.wire.replies import (
    UNCHANGED,
    Answered,
    Connected,
    Disconnected,
    Expired,
    MapPublished,
    MapRemoved,
    Override,
    Polled,
    Published,
    Refreshed,
    Refused,
    Removal,
    SubOptions,
    SubRefreshed,
    Subscribed,
    Update,
)
from proxy.wire.write import LATEST

TEXT = st.text(min_size=1, max_size=9)
DATA = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(st.none() | inner, max_size=3) | st.dictionaries(st.text(), st.none() | inner, max_size=3),
    max_leaves=6,
)
ABSENT = st.none()
MOMENT = st.integers(1, LATEST - 1)
TAGS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
OBJECT = st.dictionaries(st.text(max_size=5), st.none() | DATA, max_size=3)
SWITCH = st.sampled_from([None, True, False])
OVERRIDE = st.builds(
    Override, presence=SWITCH, join_leave=SWITCH, force_push_join_leave=SWITCH, force_recovery=SWITCH, force_positioning=SWITCH
)
OPTIONS = st.builds(SubOptions, info=ABSENT | DATA, data=ABSENT | DATA, override=ABSENT | OVERRIDE)
REPLIES: dict[type, st.SearchStrategy[Any]] = {
    Refused: st.builds(Refused, code=st.integers(400, 1999), message=TEXT, temporary=st.booleans())
    | st.sampled_from(sorted(ERRORS)).flatmap(
        lambda code: st.builds(Refused, code=st.just(int(code)), message=TEXT, temporary=st.just(code in PASSING))
    ),
    Disconnected: st.builds(Disconnected, code=st.integers(4000, 4999) | st.sampled_from(sorted(REFUSALS)), reason=TEXT),
    Connected: st.builds(
        Connected,
        user=st.text(max_size=9),
        expire_at=ABSENT | MOMENT,
        info=ABSENT | DATA,
        data=ABSENT | DATA,
        meta=ABSENT | OBJECT,
        subs=st.dictionaries(TEXT, OPTIONS, max_size=2),
    ),
    Refreshed: st.builds(Refreshed, expire_at=MOMENT, info=ABSENT | DATA, meta=ABSENT | OBJECT),
    SubRefreshed: st.builds(SubRefreshed, expire_at=MOMENT, info=ABSENT | DATA),
    Expired: st.just(Expired()),
    Subscribed: st.builds(Subscribed, expire_at=ABSENT | MOMENT, info=ABSENT | DATA, data=ABSENT | DATA, override=ABSENT | OVERRIDE),
    Published: st.builds(Published, data=st.just(UNCHANGED) | DATA, tags=TAGS, skip_history=st.booleans(), idempotency_key=ABSENT | TEXT),
    MapPublished: st.builds(MapPublished, data=st.just(UNCHANGED) | DATA, tags=TAGS, idempotency_key=ABSENT | TEXT),
    MapRemoved: st.builds(MapRemoved, tags=TAGS, idempotency_key=ABSENT | TEXT),
    Answered: st.builds(Answered, data=ABSENT | DATA),
    Polled: st.builds(
        Polled,
        items=st.lists(
            st.builds(Update, key=TEXT, data=DATA, version=st.integers(0, 2**63)) | st.builds(Removal, key=TEXT), max_size=3
        ).map(tuple),
    ),
}
ALIASES = {
    "connect": replies.ConnectReply,
    "refresh": replies.RefreshReply,
    "subscribe": replies.SubscribeReply,
    "publish": replies.PublishReply,
    "sub_refresh": replies.SubRefreshReply,
    "rpc": replies.RpcReply,
    "map_publish": replies.MapPublishReply,
    "map_remove": replies.MapRemoveReply,
    "shared_poll_refresh": replies.SharedPollRefreshReply,
}
MEANT = {Refused: "error", Disconnected: "disconnect", Expired: "expired"}
# The members that hold somebody's JSON, and so may hold anything but a bare null.
OWNED = {"data", "info", "meta"}


def understood(event: str, body: bytes) -> str:
    """Say what Centrifugo does with this reply: its decoder's rules, refresh and sub_refresh having their own."""
    envelope = json.loads(body)
    result = envelope.get("result")
    if event in {"refresh", "sub_refresh"}:
        if result is None or result.get("expired"):
            return "expired"
        nothing = "expired" if event == "refresh" else "permanent"
        return "granted" if result.get("expire_at", 0) > 0 else nothing
    return next((member for member in ("disconnect", "error") if envelope.get(member) is not None), "granted")


def nulls(value: object) -> bool:
    """Whether there is a null outside of somebody's JSON."""
    if isinstance(value, dict):
        return any(each is None or (name not in OWNED and nulls(each)) for name, each in value.items())
    return value is None or (isinstance(value, list) and any(map(nulls, value)))


def typed(name: str, value: object) -> bool:
    """Whether a member has the type that Centrifugo's decoder insists on."""
    if name == "tags":
        return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    if name == "override":
        return isinstance(value, dict) and all(set(each) == {"value"} and type(each["value"]) is bool for each in value.values())
    kinds = {"expire_at": int, "code": int, "version": int, "user": str, "key": str, "message": str, "reason": str, "idempotency_key": str}
    kinds |= {"temporary": bool, "skip_history": bool, "expired": bool, "removed": bool, "subs": dict, "items": list, "meta": dict}
    return name in {"data", "info"} or type(value) is kinds[name]


@pytest.mark.parametrize("event", ALIASES)
@given(draw=st.data())
def test_centrifugo_understands_what_was_meant(event: str, draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(get_args(ALIASES[event])))
    body = draw.draw(REPLIES[kind]).encode()
    assert understood(event, body) == MEANT.get(kind, "granted")


@pytest.mark.parametrize("kind", REPLIES)
@given(draw=st.data())
def test_a_reply_has_one_member_no_null_and_exact_types(kind: type, draw: st.DataObject) -> None:
    envelope = orjson.loads(draw.draw(REPLIES[kind]).encode())
    assert len(envelope) == 1
    ((member, value),) = envelope.items()
    assert member == {Refused: "error", Disconnected: "disconnect"}.get(kind, "result")
    assert not nulls(envelope)
    assert all(typed(name, each) for name, each in value.items())


def test_every_reply_is_covered_here() -> None:
    assert set(get_args(replies.Reply)) == set(REPLIES) == {kind for alias in ALIASES.values() for kind in get_args(alias)}


@pytest.mark.parametrize("event", ["refresh", "sub_refresh"])
def test_a_prolongation_cannot_refuse(event: str) -> None:
    assert not {Refused, Disconnected} & set(get_args(ALIASES[event]))
    assert Expired in get_args(ALIASES[event])


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (Refused(code=103, message="permission denied"), {"error": {"code": 103, "message": "permission denied", "temporary": False}}),
        (Refused(code=111, message="later", temporary=True), {"error": {"code": 111, "message": "later", "temporary": True}}),
        (Disconnected(code=4501, reason="unauthorized"), {"disconnect": {"code": 4501, "reason": "unauthorized"}}),
        (Connected(user=""), {"result": {"user": ""}}),
        (
            Connected(
                user="42",
                expire_at=9,
                info={"n": 1},
                data=[None],
                meta={"r": None},
                subs={"a": SubOptions(), "b": SubOptions(info=1, data=False, override=Override(force_recovery=True))},
            ),
            {
                "result": {
                    "user": "42",
                    "expire_at": 9,
                    "info": {"n": 1},
                    "data": [None],
                    "meta": {"r": None},
                    "subs": {"a": {}, "b": {"info": 1, "data": False, "override": {"force_recovery": {"value": True}}}},
                }
            },
        ),
        (Refreshed(expire_at=9, info=0, meta={}), {"result": {"expire_at": 9, "info": 0, "meta": {}}}),
        (SubRefreshed(expire_at=9, info=""), {"result": {"expire_at": 9, "info": ""}}),
        (Expired(), {"result": {"expired": True}}),
        (Subscribed(), {"result": {}}),
        (
            Subscribed(
                expire_at=9,
                info=1,
                data=2,
                override=Override(
                    presence=True, join_leave=False, force_push_join_leave=True, force_recovery=False, force_positioning=True
                ),
            ),
            {
                "result": {
                    "expire_at": 9,
                    "info": 1,
                    "data": 2,
                    "override": {
                        "presence": {"value": True},
                        "join_leave": {"value": False},
                        "force_push_join_leave": {"value": True},
                        "force_recovery": {"value": False},
                        "force_positioning": {"value": True},
                    },
                }
            },
        ),
        (Published(data=UNCHANGED), {"result": {}}),
        (
            Published(data={"m": 1}, tags={"a": "b"}, skip_history=True, idempotency_key="i"),
            {"result": {"data": {"m": 1}, "tags": {"a": "b"}, "idempotency_key": "i", "skip_history": True}},
        ),
        (MapPublished(data=0, tags={"a": "b"}, idempotency_key="i"), {"result": {"data": 0, "tags": {"a": "b"}, "idempotency_key": "i"}}),
        (MapPublished(data=UNCHANGED), {"result": {}}),
        (MapRemoved(tags={"a": "b"}, idempotency_key="i"), {"result": {"tags": {"a": "b"}, "idempotency_key": "i"}}),
        (Answered(data=[]), {"result": {"data": []}}),
        (Answered(), {"result": {}}),
        (
            Polled(items=(Update(key="k", data=1), Update(key="l", data=2, version=3), Removal(key="m"))),
            {"result": {"items": [{"key": "k", "data": 1}, {"key": "l", "data": 2, "version": 3}, {"key": "m", "removed": True}]}},
        ),
        (Polled(), {"result": {"items": []}}),
    ],
)
def test_a_reply_is_written_like_this(reply: replies.Reply, body: object) -> None:
    assert orjson.loads(reply.encode()) == body
