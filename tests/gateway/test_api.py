import json
import logging
from typing import Any

import pytest

from proxy.errors import DeliveryFault, Malformed, TooLarge, Unauthorized
from proxy.gateway import parcels
from proxy.policy.decision import Allow, Request
from proxy.wire.api import ApiError, Result
from tests.gateway.scene import (
    NOW,
    ORDERS,
    Box,
    Centrifugo,
    Gate,
    Told,
    allow,
    ask,
    by_channel,
    deny,
    error,
    everything,
    nothing,
)


def sent_to(channel: str) -> dict[str, Any]:
    return {"result": {"epoch": channel}}


PUBLISH = {"channel": "a", "data": {"n": 1}, "tags": {"k": "v"}}


async def test_a_publication_is_decided_with_all_that_the_policy_may_read() -> None:
    _, _, asked = await ask("publish", PUBLISH, everything)
    assert asked == [
        Request(
            op="publish", service="orders", method="publish", channel="a", data={"n": 1}, tags={"k": "v"}, timestamp_ms=NOW, ambiguous=False
        )
    ]


async def test_an_allowed_publication_goes_out_and_centrifugos_answer_comes_back() -> None:
    answer, sent, _ = await ask("publish", PUBLISH, everything)
    assert sent == [("publish", PUBLISH)]
    assert answer == sent_to("a")


async def test_what_centrifugo_refuses_is_told_as_it_is() -> None:
    answer, _, _ = await ask("publish", {"channel": "bad", "data": 1}, everything)
    assert answer == error(107)


async def test_fields_that_nobody_knows_do_not_go_out_and_those_of_a_publication_do() -> None:
    known = {**PUBLISH, "skip_history": True, "idempotency_key": "i", "delta": True, "version": 7, "version_epoch": "e"}
    _, sent, _ = await ask("publish", {**known, "unknown": 1, "b64data": ""}, everything)
    assert sent == [("publish", known)]


async def test_obligations_replace_what_was_sent() -> None:
    rule = allow(data={"n": 1, "at": NOW}, tags={"k": "ours", "t": "x"}, skip_history=True, idempotency_key="ours")
    _, sent, _ = await ask("publish", {**PUBLISH, "tags": {"k": "v", "l": "w"}, "idempotency_key": "theirs"}, lambda _: rule)
    expected = {
        "channel": "a",
        "data": {"n": 1, "at": NOW},
        "tags": {"k": "ours", "l": "w", "t": "x"},
        "skip_history": True,
        "idempotency_key": "ours",
    }
    assert sent == [("publish", expected)]


async def test_tags_are_added_to_a_publication_without_any() -> None:
    _, sent, _ = await ask("publish", {"channel": "a", "data": 1}, lambda _: allow(tags={"t": "x"}))
    assert sent == [("publish", {"channel": "a", "data": 1, "tags": {"t": "x"}})]


REASONS = [
    ("no_rule", 103),
    ("error", 103),
    ("suspended", 103),
    ("bad_channel", 107),
    ("schema", 107),
    ("limit", 111),
    ("fact_error", 100),
]


@pytest.mark.parametrize(("reason", "code"), REASONS)
async def test_a_refusal_is_centrifugos_error_for_its_reason_and_nothing_goes_out(reason: str, code: int) -> None:
    answer, sent, _ = await ask("publish", PUBLISH, lambda _: deny(reason))
    assert answer == error(code)
    assert sent == []


@pytest.mark.parametrize(("method", "body"), [("publish", PUBLISH), ("batch", {"commands": [{"publish": PUBLISH}]})])
async def test_a_service_that_the_policy_does_not_know_is_unauthorized(method: str, body: object) -> None:
    with pytest.raises(Unauthorized):
        await ask(method, body, lambda _: deny("no_identity"))


@pytest.mark.parametrize(("body", "code"), [(b"null", 107), (b"{}", 107), (b'{"channel":"a"}', 107), (b'{"channel":"","data":1}', 107)])
async def test_what_centrifugo_refuses_unread_is_refused_without_asking_the_policy(body: bytes, code: int) -> None:
    answer, sent, asked = await ask("publish", body, everything)
    assert (answer, sent, asked) == (error(code), [], [])


@pytest.mark.parametrize("method", ["publish", "broadcast", "batch"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"channel":1,"channels":1,"commands":1,"data":1}', b"\xff", b'{"data":NaN}'])
async def test_a_body_that_centrifugo_would_not_read_is_malformed(method: str, body: bytes) -> None:
    with pytest.raises(Malformed):
        await ask(method, body, everything)


AMBIGUOUS = [b'{"n":1,"n":2}', b'{"n":18446744073709551616}', b"[9223372036854775808]"]


@pytest.mark.parametrize("data", AMBIGUOUS)
async def test_a_payload_with_two_readings_is_told_to_the_policy_and_refused_even_if_no_rule_looks_at_it(data: bytes) -> None:
    answer, sent, asked = await ask("publish", b'{"channel":"a","data":' + data + b"}", everything)
    assert (answer, sent) == (error(107), [])
    assert [request.ambiguous for request in asked] == [True]


async def test_a_payload_with_two_readings_is_still_forbidden_where_it_would_be() -> None:
    answer, _, _ = await ask("publish", b'{"channel":"a","data":{"n":1,"n":2}}', nothing)
    assert answer == error(103)


async def test_a_publication_with_two_readings_does_not_take_the_others_of_its_batch_with_it() -> None:
    items = [b'{"publish":{"channel":"%s","data":%s}}' % (channel, data) for channel in (b"a", b"b") for data in (b"1", *AMBIGUOUS)]
    answer, sent, asked = await ask("batch", b'{"commands":[' + b",".join(items) + b"]}", everything)
    assert [next(iter(reply)) for reply in answer["replies"]] == ["publish", "error", "error", "error"] * 2
    assert sent == [("publish", {"channel": channel, "data": 1}) for channel in ("a", "b")]
    assert [request.ambiguous for request in asked] == [False, True, True, True] * 2


@pytest.mark.parametrize("method", ["publish/", "PUBLISH", "no_such"])
async def test_a_method_that_nobody_knows_is_not_found(method: str) -> None:
    told = await ask(method, b"{", everything)
    assert [told.status, *told] == [404, error(104), [], []]


async def test_a_failed_delivery_is_an_internal_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        answer, _, _ = await ask("publish", PUBLISH, everything, Centrifugo(DeliveryFault("Centrifugo is away")))
    assert answer == error(100)
    assert "Centrifugo is away" in caplog.text


async def test_a_broadcast_that_is_wholly_allowed_goes_out_as_one() -> None:
    body = {"channels": ["a", "b", "c"], "data": {"n": 1}, "tags": {"k": "v"}}
    answer, sent, asked = await ask("broadcast", body, everything)
    assert sent == [("broadcast", body)]
    assert answer == {"result": {"responses": [sent_to("a"), sent_to("b"), sent_to("c")]}}
    assert [(each.op, each.method, each.channel, each.data, each.tags) for each in asked] == [
        ("broadcast", "broadcast", channel, {"n": 1}, {"k": "v"}) for channel in ("a", "b", "c")
    ]


async def test_the_channels_of_a_broadcast_are_decided_one_by_one_and_answered_in_order() -> None:
    rule = by_channel(a=deny("no_rule"), b=allow(), c=deny("limit"), bad=allow(), d=allow())
    answer, sent, _ = await ask("broadcast", {"channels": ["a", "b", "c", "bad", "d"], "data": 1}, rule)
    assert sent == [("broadcast", {"channels": ["b", "bad", "d"], "data": 1})]
    assert answer == {"result": {"responses": [error(103), sent_to("b"), error(111), error(107), sent_to("d")]}}


async def test_a_broadcast_that_is_wholly_refused_sends_nothing() -> None:
    answer, sent, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, nothing)
    assert sent == []
    assert answer == {"result": {"responses": [error(103), error(103)]}}


async def test_a_broadcast_splits_where_stamped_payloads_differ() -> None:
    rule = by_channel(a=allow(data={"n": 1}), b=allow(data={"n": 1.0}), c=deny("schema"), d=allow(data={"n": True}), e=allow(data={"n": 1}))
    answer, sent, _ = await ask("broadcast", {"channels": ["a", "b", "c", "d", "e"], "data": {}, "skip_history": True}, rule)
    parts = [
        ("broadcast", {"channels": ["a", "e"], "data": {"n": 1}, "skip_history": True}),
        ("broadcast", {"channels": ["b"], "data": {"n": 1.0}, "skip_history": True}),
        ("broadcast", {"channels": ["d"], "data": {"n": True}, "skip_history": True}),
    ]
    assert json.dumps(sent) == json.dumps(parts)
    assert answer == {"result": {"responses": [sent_to("a"), sent_to("b"), error(107), sent_to("d"), sent_to("e")]}}


@pytest.mark.parametrize("obligation", [{"tags": {"t": "x"}}, {"skip_history": True}, {"idempotency_key": "i"}])
async def test_a_broadcast_splits_where_other_obligations_differ(obligation: dict[str, Any]) -> None:
    _, sent, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, by_channel(a=allow(), b=allow(**obligation)))
    assert sent == [("broadcast", {"channels": ["a"], "data": 1}), ("broadcast", {"channels": ["b"], "data": 1, **obligation})]


async def test_a_split_broadcast_keeps_the_order_of_a_channel_that_it_names_twice() -> None:
    payloads = iter([1, 2])
    _, sent, _ = await ask("broadcast", {"channels": ["a", "a"], "data": 0}, lambda _: allow(data=next(payloads)))
    assert [params["data"] for _, params in sent] == [1, 2]


async def test_a_failed_broadcast_is_an_internal_error_for_what_was_allowed() -> None:
    rule = by_channel(a=allow(), b=deny("no_rule"), c=allow(data=2))
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b", "c"], "data": 1}, rule, Centrifugo(DeliveryFault("x")))
    assert answer == {"result": {"responses": [error(100), error(103), error(100)]}}


async def test_a_broadcast_may_be_refused_as_a_whole_by_centrifugo() -> None:
    refusal = ApiError(code=107, message="bad request")
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, everything, Centrifugo(refusal))
    assert answer == {"result": {"responses": [error(107), error(107)]}}


async def test_a_broadcast_answered_for_another_number_of_channels_is_an_internal_error() -> None:
    short = Result(fields={"responses": [sent_to("a")]})
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, everything, Centrifugo(short))
    assert answer == {"result": {"responses": [error(100), error(100)]}}


async def test_a_broadcast_does_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "LARGEST", 30)

    def stamped(request: Request) -> Allow:
        return allow(data=f"{request.channel}-----")

    _, sent, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, lambda _: allow(data="alike-----"))
    assert len(sent) == 1
    with pytest.raises(TooLarge):
        await ask("broadcast", {"channels": ["a", "b"], "data": 1}, stamped)


async def test_a_call_names_at_most_ten_thousand_channels() -> None:
    full = {"channels": ["a"] * 10_000, "data": 1}
    answer, _, _ = await ask("broadcast", full, nothing)
    assert len(answer["result"]["responses"]) == 10_000
    with pytest.raises(TooLarge):
        await ask("batch", {"commands": [{"broadcast": full}, {"publish": PUBLISH}]}, nothing)


async def test_each_command_of_a_batch_is_decided_by_itself_and_answered_in_order() -> None:
    commands = [
        {"publish": {"channel": "a", "data": 1}},
        {"publish": {"channel": "b", "data": 2}},
        {"broadcast": {"channels": ["b", "c"], "data": 3}},
        {"publish": {"channel": "c", "data": 4}},
        {"publish": {"channel": "bad", "data": 5}},
    ]
    rule = by_channel(a=allow(), b=deny("schema"), c=allow(skip_history=True), bad=allow())
    answer, sent, _ = await ask("batch", {"commands": commands}, rule)
    assert sent == [
        ("publish", {"channel": "a", "data": 1}),
        ("broadcast", {"channels": ["c"], "data": 3, "skip_history": True}),
        ("publish", {"channel": "c", "data": 4, "skip_history": True}),
        ("publish", {"channel": "bad", "data": 5}),
    ]
    assert answer == {
        "replies": [
            {"publish": {"epoch": "a"}},
            error(107),
            {"broadcast": {"responses": [error(107), sent_to("c")]}},
            {"publish": {"epoch": "c"}},
            error(107),
        ]
    }


async def test_items_that_centrifugo_would_refuse_unread_do_not_stop_the_others() -> None:
    commands: list[object] = [None, {}, {"no_such": {}}, {"publish": None}, {"publish": {}}, {"batch": {}}, {"publish": PUBLISH}]
    answer, sent, _ = await ask("batch", {"commands": commands, "parallel": True}, everything)
    assert answer == {"replies": [error(107), error(104), error(104), error(104), error(107), error(104), {"publish": {"epoch": "a"}}]}
    assert sent == [("publish", PUBLISH)]


@pytest.mark.parametrize("body", [{}, {"commands": []}, {"commands": None, "parallel": True}])
async def test_an_empty_batch_is_answered_as_centrifugo_does(body: object) -> None:
    assert [*await ask("batch", body, everything)] == [{}, [], []]


def publications(*channels: str) -> list[dict[str, Any]]:
    return [{"publish": {"channel": channel, "data": n}} for n, channel in enumerate(channels)]


COMMANDS: list[dict[str, Any]] = [
    *publications("a", "b"),
    {"disconnect": {"user": "42"}},
    {"refresh": {"user": "42"}},
    *publications("a"),
    {"info": {}},
]
IN_ORDER = [">a", ">b", "<a", "<b", ">disconnect", "<disconnect", ">refresh", "<refresh", ">a", "<a", ">info", "<info"]
AT_ONCE = [">a", ">b", ">disconnect", ">refresh", ">a", ">info", "<a", "<b", "<disconnect", "<refresh", "<a", "<info"]


@pytest.mark.parametrize(("parallel", "log"), [(False, IN_ORDER), (True, AT_ONCE)], ids=["in-order", "at-once"])
async def test_a_command_without_a_channel_keeps_its_place_unless_the_batch_is_parallel(*, parallel: bool, log: list[str]) -> None:
    told = await ask("batch", {"commands": COMMANDS, "parallel": parallel}, everything)
    assert told.centrifugo.log == log
    assert told.answer["replies"] == [
        {name: {"epoch": params.get("channel", name)}} for command in COMMANDS for name, params in command.items()
    ]


async def test_a_failed_batch_is_an_internal_error_for_what_was_sent() -> None:
    rule = by_channel(a=allow(), b=deny("no_rule"), c=allow())
    answer, _, _ = await ask("batch", {"commands": publications("a", "b", "c")}, rule, Centrifugo(DeliveryFault("x")))
    assert answer == {"replies": [error(100), error(103), error(100)]}


async def test_decisions_are_asked_in_order_and_a_few_at_a_time() -> None:
    told = Told(gate=Gate(everything), centrifugo=(server := Centrifugo()), box=Box(server.log))
    waiting: list[int] = []

    def rule(_request: Request) -> Allow:
        waiting.append(len(told.gate.asked))
        return allow()

    told.gate.rule = rule
    channels = [f"c{n}" for n in range(130)]
    await told.gateway.call("broadcast", ORDERS, json.dumps({"channels": channels, "data": 1}).encode())
    assert [request.channel for request in told.gate.asked] == channels
    assert waiting == [64] * 64 + [128] * 64 + [130] * 2
