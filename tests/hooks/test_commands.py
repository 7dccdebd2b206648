"""Subscribe, publish, rpc and the map events."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.errors import DeliveryFault, FactFault, Fault, Overload
from proxy.hooks.answers import Answers
from proxy.hooks.map_publish import MapPublish
from proxy.hooks.map_remove import MapRemove
from proxy.hooks.ports import Decider
from proxy.hooks.publish import Publish
from proxy.hooks.rpc import Rpc
from proxy.hooks.shared_poll_refresh import SharedPollRefresh
from proxy.hooks.subscribe import Subscribe
from proxy.policy.decision import Deny, Forwarding, Reading, Request
from proxy.wire import requests
from proxy.wire.api import ApiError, Command, Outcome, Result

from .scene import NOW, Book, Oracle, allow, body, clock, gate, written

MESSAGE = {"kind": "text", "id": "m1"}
FORBIDDEN = {"error": {"code": 103, "message": "permission denied", "temporary": False}}
HOOKS: dict[str, Any] = {"subscribe": Subscribe, "publish": Publish, "rpc": Rpc, "map_publish": MapPublish, "map_remove": MapRemove}


class Applications:
    """Replies what it was told, or fails."""

    def __init__(self, fault: FactFault | None = None) -> None:
        self.fault = fault

    async def forward(self, remote: str, path: str, told: Mapping[str, object]) -> object:
        if self.fault:
            raise self.fault
        return {"by": f"{remote}{path}", "told": told}


class Courier:
    """Centrifugo's server API, which gives the same outcome, or fails; `sent` is what it was sent."""

    def __init__(self, outcome: Outcome | Fault = Result(fields={"presence": {}})) -> None:  # noqa: B008 - it is frozen
        self.outcome = outcome
        self.sent: list[tuple[str, Mapping[str, object]]] = []

    async def send(self, command: Command, /) -> Outcome:
        self.sent.append((command.method, command.params))
        if isinstance(self.outcome, Fault):
            raise self.outcome
        return self.outcome


async def call(decider: Decider, applications: Applications | None = None, courier: Courier | None = None, **fields: object) -> Any:  # noqa: ANN401 - decoded JSON
    hook = Rpc(decider, Answers(), clock, applications or Applications(), courier or Courier())
    return written(await hook(requests.decode_rpc(body(**fields))))


async def ask(event: str, decider: Decider | None = None, raw: bytes = b"", **fields: object) -> Any:  # noqa: ANN401 - decoded JSON
    more: dict[str, list[Any]] = {"subscribe": [Book()], "rpc": [Applications(), Courier()]}
    hook = HOOKS[event](decider or gate(), Answers(), clock, *more.get(event, []))
    return written(await hook(requests.EVENTS[event](raw or body(**fields))))


async def test_a_member_subscribes() -> None:
    assert await ask("subscribe", channel="doc:7") == {
        "result": {"expire_at": NOW // 1000 + 300, "info": {"role": "editor"}, "data": {"doc": "7"}}
    }


async def test_an_allowed_subscription_is_written_down_and_no_other() -> None:
    book = Book()
    hook = Subscribe(gate(), Answers(), clock, book)
    await hook(requests.decode_subscribe(body(channel="doc:7")))
    assert hook.now(requests.decode_subscribe(body(channel="none:8")))
    assert hook.now(requests.decode_subscribe(body(channel="news:8")))
    assert book.entries == [("subscribed", "c1", "doc:7", NOW // 1000 + 300), ("subscribed", "c1", "news:8", None)]


async def test_a_rule_without_obligations_grants_a_bare_result() -> None:
    assert await ask("subscribe", Oracle(allow()), channel="x:1") == {"result": {}}


async def test_a_stranger_does_not_subscribe() -> None:
    assert await ask("subscribe", channel="doc:8") == FORBIDDEN


async def test_an_unknown_channel_is_named_so() -> None:
    assert (await ask("subscribe", channel="none:8"))["error"]["code"] == 102


async def test_a_lost_fact_is_tried_again() -> None:
    assert (await ask("subscribe", channel="doc:lost"))["error"] == {"code": 100, "message": "internal server error", "temporary": True}


async def test_a_spent_limit_is_tried_again() -> None:
    assert (await ask("subscribe", gate(tokens=0), channel="fast:1"))["error"]["code"] == 111


async def test_what_was_judged_is_what_is_published() -> None:
    assert await ask("publish", channel="doc:7", data=MESSAGE) == {
        "result": {"data": MESSAGE | {"author": "42"}, "tags": {"kind": "text"}, "idempotency_key": "m1"}
    }


async def test_what_no_rule_looked_at_is_left_as_the_client_wrote_it() -> None:
    assert await ask("publish", channel="quiet:1", data={"x": 1}) == {"result": {"skip_history": True}}


async def test_a_judged_null_is_left_as_the_client_wrote_it() -> None:
    assert await ask("publish", channel="nothing:1", data=None) == {"result": {}}
    assert await ask("map_publish", channel="nothing:1", key="k", data=None) == {"result": {}}


async def test_an_empty_idempotency_key_is_none() -> None:
    assert await ask("publish", channel="doc:7", data=MESSAGE | {"id": ""}) == {
        "result": {"data": MESSAGE | {"author": "42", "id": ""}, "tags": {"kind": "text"}}
    }


async def test_a_payload_against_the_schema_is_a_bad_request() -> None:
    assert (await ask("publish", channel="doc:7", data={"kind": 1}))["error"]["code"] == 107


@pytest.mark.parametrize("event", ["publish", "map_publish"])
@pytest.mark.parametrize("text", [b'{"kind":"a","kind":"b","id":"x"}', b'{"kind":"a","id":"x","n":18446744073709551615}'])
async def test_a_payload_with_two_readings_is_a_bad_request(event: str, text: bytes) -> None:
    raw = body(channel="doc:7", key="k")[:-1] + b',"data":' + text + b"}"
    assert (await ask(event, raw=raw))["error"]["code"] == 107


async def test_a_refused_publish_has_no_result() -> None:
    assert await ask("publish", channel="doc:8", data=MESSAGE) == FORBIDDEN


async def test_a_method_is_answered_with_what_its_policy_computes() -> None:
    assert await ask("rpc", method="double", data={"n": 4}) == {"result": {"data": {"twice": 8}}}
    assert await ask("rpc", method="ping") == {"result": {}}
    assert await ask("rpc", Oracle(allow()), method="x") == {"result": {}}


async def test_an_answer_that_errs_refuses() -> None:
    assert await ask("rpc", method="double", data={"n": "x"}) == FORBIDDEN


async def test_an_unknown_method_is_named_so() -> None:
    assert (await ask("rpc", method="none"))["error"]["code"] == 104


async def test_a_method_that_reads_a_channel_is_answered_with_what_it_holds() -> None:
    courier = Courier(Result(fields={"presence": {"c1": {"user": "42"}}}))
    answer = await call(gate(), courier=courier, method="who", data={"channel": "news:1"})
    assert answer == {"result": {"data": {"presence": {"c1": {"user": "42"}}}}}
    assert courier.sent == [("presence", {"channel": "news:1"})]


async def test_who_may_not_see_what_a_channel_holds_is_refused_as_there() -> None:
    courier = Courier()
    assert await call(gate(), courier=courier, method="who", data={"channel": "doc:7"}) == FORBIDDEN
    assert (await call(gate(), courier=courier, method="who", data={"channel": "none:1"}))["error"]["code"] == 102
    assert courier.sent == []


async def test_a_history_is_read_up_to_its_limit() -> None:
    courier, oracle = Courier(), Oracle(allow(answer=Reading(kind="history", channel="a:b", limit=5)))
    await call(oracle, courier=courier, method="m")
    assert courier.sent == [("history", {"channel": "a:b", "limit": 5})]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(ApiError(code=108, message="not available"), 100), (DeliveryFault("away"), 100), (Overload("too much"), 111)],
)
async def test_what_cannot_be_read_is_tried_again(outcome: Outcome | Fault, code: int) -> None:
    error = (await call(gate(), courier=Courier(outcome), method="who", data={"channel": "news:1"}))["error"]
    assert (error["code"], error["temporary"]) == (code, True)


async def test_a_method_is_forwarded_with_who_calls_and_what_they_say() -> None:
    forwarding = Oracle(allow(answer=Forwarding(remote="app", path="/rename")))
    told = {"user": "42", "client": "c1", "meta": {"role": "x"}, "data": {"title": "a"}}
    answer = await call(forwarding, method="m", meta={"role": "x"}, data={"title": "a"})
    assert answer == {"result": {"data": {"by": "app/rename", "told": told}}}


async def test_an_application_that_fails_is_tried_again() -> None:
    forwarding = Oracle(allow(answer=Forwarding(remote="app", path="/rename")))
    error = (await call(forwarding, Applications(FactFault("away")), method="m"))["error"]
    assert (error["code"], error["temporary"]) == (100, True)


async def test_a_key_is_written_as_judged() -> None:
    assert await ask("map_publish", channel="doc:7", key="k", data=MESSAGE) == {
        "result": {"data": MESSAGE | {"author": "42"}, "tags": {"kind": "text"}, "idempotency_key": "m1"}
    }
    assert await ask("map_publish", channel="map:7", key="k", data=1) == {"result": {"tags": {"by": "42"}, "idempotency_key": "k"}}


async def test_a_key_is_removed() -> None:
    assert await ask("map_remove", channel="map:7", key="k") == {"result": {"tags": {"by": "42"}, "idempotency_key": "k"}}
    assert await ask("map_remove", Oracle(allow()), channel="map:7", key="k") == {"result": {}}


@pytest.mark.parametrize("event", ["map_publish", "map_remove"])
async def test_a_locked_key_stays(event: str) -> None:
    assert await ask(event, channel="map:7", key="locked", data=1) == FORBIDDEN


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("subscribe", {"channel": "a:b", "data": {"a": 1}}),
        ("publish", {"channel": "a:b", "data": {"a": 1}}),
        ("rpc", {"method": "m", "data": {"a": 1}}),
        ("map_publish", {"channel": "a:b", "key": "k", "data": {"a": 1}}),
        ("map_remove", {"channel": "a:b", "key": "k"}),
    ],
)
async def test_the_policy_is_told_everything(event: str, fields: dict[str, Any]) -> None:
    oracle = Oracle(Deny(reason="no_rule"))
    await ask(event, oracle, meta={"role": "x"}, **fields)
    assert oracle.asked == [
        Request(op=event, user="42", client="c1", transport="websocket", meta={"role": "x"}, timestamp_ms=NOW, **fields)
    ]


@pytest.mark.parametrize("event", ["subscribe", "publish", "rpc", "map_publish"])
async def test_two_readings_are_marked(event: str) -> None:
    oracle = Oracle(Deny(reason="no_rule"))
    raw = json.dumps({"client": "c", "transport": "t", "protocol": "json", "encoding": "json", "user": "", "channel": "a:b", "key": "k"})
    await ask(event, oracle, raw=raw.encode()[:-1] + b',"data":{"a":1,"a":1}}')
    assert oracle.asked[0].ambiguous


async def test_a_shared_poll_changes_nothing() -> None:
    request = requests.decode_shared_poll_refresh(b'{"channel":"p:1","items":[{"key":"a"}]}')
    assert written(await SharedPollRefresh()(request)) == {"result": {"items": []}}
