"""What Centrifugo would misread cannot be made."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy.errors import Fault
from proxy.wire.replies import (
    UNCHANGED,
    Answered,
    Connected,
    Disconnected,
    MapPublished,
    MapRemoved,
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

NULL: Any = None
NUMBER: Any = 1
HALF: Any = 1.5
LIST: Any = []
NAN, INFINITY = float("nan"), float("inf")
IMPOSSIBLE: dict[str, tuple[Callable[[], object], str]] = {
    "an error without a code": (lambda: Refused(code=0, message="x"), "do not understand"),
    "an error below 100": (lambda: Refused(code=99, message="x", temporary=True), "do not understand"),
    "an error that is reserved": (lambda: Refused(code=114, message="x"), "do not understand"),
    "an error just below ours": (lambda: Refused(code=399, message="x"), "do not understand"),
    "an error beyond ours": (lambda: Refused(code=2000, message="x"), "do not understand"),
    "an error without a message": (lambda: Refused(code=103, message=""), "message"),
    "too many requests for good": (lambda: Refused(code=111, message="x"), "temporary"),
    "an internal error for good": (lambda: Refused(code=100, message="x"), "temporary"),
    "a denial that is asked for ever": (lambda: Refused(code=103, message="x", temporary=True), "temporary"),
    "a disconnect without a code": (lambda: Disconnected(code=0, reason="x"), "does not disconnect"),
    "a disconnect with a status": (lambda: Disconnected(code=401, reason="x"), "does not disconnect"),
    "a disconnect that reconnects in a loop": (lambda: Disconnected(code=3005, reason="x"), "does not disconnect"),
    "a disconnect below ours": (lambda: Disconnected(code=3999, reason="x"), "does not disconnect"),
    "a disconnect beyond WebSocket": (lambda: Disconnected(code=5000, reason="x"), "does not disconnect"),
    "a disconnect without a reason": (lambda: Disconnected(code=4500, reason=""), "reason"),
    "a reason that drops the close frame": (lambda: Disconnected(code=4500, reason="x" * 124), "reason"),
    "a reason that is too long in bytes": (lambda: Disconnected(code=4500, reason="é" * 62), "reason"),
    "a connection whose user is a number": (lambda: Connected(user=NUMBER), "string"),
    "a connection of null": (lambda: Connected(user=NULL), "string"),
    "a connection whose meta is no object": (lambda: Connected(user="", meta=LIST), "meta"),
    "a connection that is over": (lambda: Connected(user="", expire_at=0), "Unix time"),
    "a subscription that is null": (lambda: Connected(user="", subs={"a": NULL}), "channel and options"),
    "a subscription to nothing": (lambda: Connected(user="", subs={"": SubOptions()}), "channel and options"),
    "a connection with NaN": (lambda: Connected(user="", info=NAN), "JSON"),
    "a connection with infinity": (lambda: Connected(user="", data=-INFINITY), "JSON"),
    "options with NaN": (lambda: SubOptions(info=NAN), "JSON"),
    "options with infinity": (lambda: SubOptions(data=INFINITY), "JSON"),
    "a refresh without an end": (lambda: Refreshed(expire_at=NULL), "has an end"),
    "a refresh that ends at 0": (lambda: Refreshed(expire_at=0), "has an end"),
    "a refresh in milliseconds": (lambda: Refreshed(expire_at=1_764_000_000_000), "Unix time"),
    "a refresh whose meta is no object": (lambda: Refreshed(expire_at=9, meta=LIST), "meta"),
    "a refresh with NaN": (lambda: Refreshed(expire_at=9, info=NAN), "JSON"),
    "a subscription made permanent": (lambda: SubRefreshed(expire_at=NULL), "has an end"),
    "a subscription made permanent by 0": (lambda: SubRefreshed(expire_at=0), "has an end"),
    "a subscription prolonged to the past": (lambda: SubRefreshed(expire_at=-1), "Unix time"),
    "a subscription prolonged by a float": (lambda: SubRefreshed(expire_at=HALF), "Unix time"),
    "a subscription prolonged by a boolean": (lambda: SubRefreshed(expire_at=True), "Unix time"),
    "a subscription prolonged beyond": (lambda: SubRefreshed(expire_at=LATEST), "Unix time"),
    "a subscription prolonged with NaN": (lambda: SubRefreshed(expire_at=9, info=NAN), "JSON"),
    "a subscription until 0": (lambda: Subscribed(expire_at=0), "Unix time"),
    "a subscription with NaN": (lambda: Subscribed(info=NAN), "JSON"),
    "a subscription with infinity": (lambda: Subscribed(data=INFINITY), "JSON"),
    "a publication of null": (lambda: Published(data=None), "null"),
    "a publication of NaN": (lambda: Published(data=NAN), "JSON"),
    "a publication with a tag of null": (lambda: Published(data=1, tags={"a": NULL}), "tags"),
    "a publication with a number as tag": (lambda: Published(data=1, tags={NUMBER: "a"}), "tags"),
    "a publication with an empty key": (lambda: Published(data=1, idempotency_key=""), "idempotency"),
    "a map entry of null": (lambda: MapPublished(data=None), "null"),
    "a map entry with a tag of null": (lambda: MapPublished(data=1, tags={"a": NULL}), "tags"),
    "a map removal with a tag of null": (lambda: MapRemoved(tags={"a": NULL}), "tags"),
    "an answer of infinity": (lambda: Answered(data=INFINITY), "JSON"),
    "a poll with null": (lambda: Polled(items=(NULL,)), "items"),
    "an update to null": (lambda: Update(key="k", data=None), "null"),
    "an update of nothing": (lambda: Update(key="", data=1), "key"),
    "an update to a negative version": (lambda: Update(key="k", data=1, version=-1), "version"),
    "an update to half a version": (lambda: Update(key="k", data=1, version=HALF), "version"),
    "a removal of nothing": (lambda: Removal(key=""), "key"),
}


@pytest.mark.parametrize(("make", "complaint"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_centrifugo_would_misread_cannot_be_made(make: Callable[[], object], complaint: str) -> None:
    with pytest.raises(Fault, match=complaint):
        make()


@pytest.mark.parametrize("kind", [Published, MapPublished])
def test_a_publication_says_what_goes_out(kind: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="data"):
        kind()


def test_a_reason_may_fill_the_close_frame() -> None:
    assert Disconnected(code=4500, reason="é" * 61 + "x").encode()


@pytest.mark.parametrize("value", [object(), {1: 2}, "\ud800", 2**64, UNCHANGED, [UNCHANGED]])
def test_what_is_not_json_is_a_fault(value: object) -> None:
    with pytest.raises(Fault, match="cannot be written as JSON"):
        Answered(data=value).encode()


def test_what_was_read_can_be_written() -> None:
    deepest: Any = None
    for _ in range(210):
        deepest = [deepest]
    assert Connected(user="", subs={"a": SubOptions(data=deepest)}).encode()
    for _ in range(100):
        deepest = [deepest]
    with pytest.raises(Fault, match="cannot be written as JSON"):
        Answered(data=deepest).encode()
