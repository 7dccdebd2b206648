import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from proxy.errors import DeliveryFault, Malformed, TooLarge, Unauthorized
from proxy.gateway import parcels
from proxy.gateway.api import Gateway
from proxy.gateway.keys import Keys
from proxy.policy.decision import Allow, Deny, Request
from proxy.wire.api import METHOD_NOT_FOUND

NOW = 1_700_000_000_000
Rule = Callable[[Request], Allow | Deny]

ERRORS = {
    100: "internal server error",
    103: "permission denied",
    104: METHOD_NOT_FOUND.message,
    107: "bad request",
    108: "not available",
    111: "too many requests",
}


allow = partial(Allow, rule="service/orders/publish/1", at="x.policy:1", revision="r", facts={})


def deny(reason: str) -> Deny:
    return Deny(reason=reason)


def error(code: int) -> dict[str, Any]:
    return {"error": {"code": code, "message": ERRORS[code]}}


class Gate:
    """Decides by a function, which stands for a policy; holds every decision back until all that were asked with it are."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[Request] = []

    async def decide(self, request: Request) -> Allow | Deny:
        self.asked.append(request)
        await asyncio.sleep(0)
        return self.rule(request)


class Centrifugo:
    """Answers as Centrifugo does, with the channel as epoch, and keeps what it was sent; channels named `bad` are refused."""

    def __init__(self, answer: bytes | DeliveryFault | None = None) -> None:
        self.answer = answer
        self.sent: list[tuple[str, Any]] = []

    async def call(self, method: str, command: bytes) -> bytes:
        given = json.loads(command)
        self.sent.append((method, given))
        if isinstance(self.answer, DeliveryFault):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if method != "batch":
            return json.dumps(self.reply(method, given)).encode()
        replies = []
        for each in given["commands"]:
            ((name, params),) = each.items()
            reply = self.reply(name, params)
            replies.append({name: reply["result"]} if "result" in reply else reply)
        return json.dumps({"replies": replies}).encode()

    def reply(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "broadcast":
            return {"result": {"responses": [self.reply("publish", {"channel": channel}) for channel in params["channels"]]}}
        return error(107) if params["channel"] == "bad" else {"result": {"epoch": params["channel"]}}


def sent_to(channel: str) -> dict[str, Any]:
    return {"result": {"epoch": channel}}


Told = tuple[Any, list[tuple[str, Any]], list[Request]]
"""The answer, what went out, what was decided."""


async def ask(method: str, body: object, rule: Rule, centrifugo: Centrifugo | None = None) -> Told:
    gate, server = Gate(rule), centrifugo or Centrifugo()
    gateway = Gateway(gate, Keys([], {}), server, lambda: NOW)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await gateway.call(method, "orders", raw)
    return json.loads(answer), server.sent, gate.asked


def by_channel(**verdicts: Allow | Deny) -> Rule:
    return lambda request: verdicts[str(request.channel)]


def everything(_request: Request) -> Allow:
    return allow()


def nothing(_request: Request) -> Deny:
    return deny("no_rule")


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


@pytest.mark.parametrize("method", ["presence", "history", "info", "disconnect", "block_user", "rpc"])
async def test_methods_that_are_not_passed_on_are_not_available(method: str) -> None:
    body = {"channel": "a", "user": "42", "method": "m"}
    assert await ask(method, body, everything) == (error(108), [], [])
    answer, sent, _ = await ask("batch", {"commands": [{method: body}, {"publish": PUBLISH}]}, everything)
    assert answer == {"replies": [error(108), {"publish": {"epoch": "a"}}]}
    assert sent == [("publish", PUBLISH)]


@pytest.mark.parametrize("method", ["", "publish/", "PUBLISH", "no_such"])
async def test_a_method_that_nobody_knows_is_not_found(method: str) -> None:
    assert await ask(method, {}, everything) == (error(104), [], [])


async def test_a_failed_delivery_is_an_internal_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        answer, _, _ = await ask("publish", PUBLISH, everything, Centrifugo(DeliveryFault("Centrifugo is away")))
    assert answer == error(100)
    assert "Centrifugo is away" in caplog.text


@pytest.mark.parametrize("nonsense", [b"", b"null", b"[]", b"<html>", b'{"result":1}', b"{}", b'{"replies":[]}', b'{"error":{}}'])
@pytest.mark.parametrize(("method", "body"), [("publish", PUBLISH), ("broadcast", {"channels": ["a"], "data": 1})])
async def test_an_answer_that_makes_no_sense_is_an_internal_error(method: str, body: object, nonsense: bytes) -> None:
    answer, _, _ = await ask(method, body, everything, Centrifugo(nonsense))
    assert answer == (error(100) if method == "publish" else {"result": {"responses": [error(100)]}})


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
        {"broadcast": {"channels": ["a", "e"], "data": {"n": 1}, "skip_history": True}},
        {"broadcast": {"channels": ["b"], "data": {"n": 1.0}, "skip_history": True}},
        {"broadcast": {"channels": ["d"], "data": {"n": True}, "skip_history": True}},
    ]
    assert json.dumps(sent) == json.dumps([("batch", {"parallel": True, "commands": parts})])
    assert answer == {"result": {"responses": [sent_to("a"), sent_to("b"), error(107), sent_to("d"), sent_to("e")]}}


@pytest.mark.parametrize("obligation", [{"tags": {"t": "x"}}, {"skip_history": True}, {"idempotency_key": "i"}])
async def test_a_broadcast_splits_where_other_obligations_differ(obligation: dict[str, Any]) -> None:
    _, sent, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, by_channel(a=allow(), b=allow(**obligation)))
    parts = [{"broadcast": {"channels": ["a"], "data": 1}}, {"broadcast": {"channels": ["b"], "data": 1, **obligation}}]
    assert sent == [("batch", {"parallel": True, "commands": parts})]


async def test_a_split_broadcast_keeps_the_order_of_a_channel_that_it_names_twice() -> None:
    payloads = iter([1, 2])
    _, sent, _ = await ask("broadcast", {"channels": ["a", "a"], "data": 0}, lambda _: allow(data=next(payloads)))
    ((_, batch),) = sent
    assert batch["parallel"] is False
    assert [each["broadcast"]["data"] for each in batch["commands"]] == [1, 2]


async def test_a_failed_broadcast_is_an_internal_error_for_what_was_allowed() -> None:
    rule = by_channel(a=allow(), b=deny("no_rule"), c=allow(data=2))
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b", "c"], "data": 1}, rule, Centrifugo(DeliveryFault("x")))
    assert answer == {"result": {"responses": [error(100), error(103), error(100)]}}


async def test_a_broadcast_may_be_refused_as_a_whole_by_centrifugo() -> None:
    refusal = json.dumps(error(107)).encode()
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b"], "data": 1}, everything, Centrifugo(refusal))
    assert answer == {"result": {"responses": [error(107), error(107)]}}


async def test_a_broadcast_answered_for_another_number_of_channels_is_an_internal_error() -> None:
    short = json.dumps({"result": {"responses": [sent_to("a")]}}).encode()
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
    out = [
        {"publish": {"channel": "a", "data": 1}},
        {"broadcast": {"channels": ["c"], "data": 3, "skip_history": True}},
        {"publish": {"channel": "c", "data": 4, "skip_history": True}},
        {"publish": {"channel": "bad", "data": 5}},
    ]
    assert sent == [("batch", {"parallel": False, "commands": out})]
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
    assert answer == {"replies": [error(107), error(104), error(104), error(107), error(107), error(104), {"publish": {"epoch": "a"}}]}
    assert sent == [("publish", PUBLISH)]


@pytest.mark.parametrize("body", [{}, {"commands": []}, {"commands": None, "parallel": True}])
async def test_an_empty_batch_is_answered_as_centrifugo_does(body: object) -> None:
    assert await ask("batch", body, everything) == ({}, [], [])


def publications(*channels: str) -> list[dict[str, Any]]:
    return [{"publish": {"channel": channel, "data": n}} for n, channel in enumerate(channels)]


@pytest.mark.parametrize(
    ("wished", "channels", "granted"),
    [(False, ("a", "b"), False), (True, ("a", "b"), True), (True, ("a", "b", "a"), False)],
    ids=["in-order", "at-once", "a-channel-twice"],
)
async def test_a_batch_runs_in_parallel_if_that_is_wished_and_keeps_the_order_of_each_channel(
    *, wished: bool, channels: tuple[str, ...], granted: bool
) -> None:
    _, sent, _ = await ask("batch", {"commands": publications(*channels), "parallel": wished}, everything)
    assert sent == [("batch", {"parallel": granted, "commands": publications(*channels)})]


async def test_a_failed_batch_is_an_internal_error_for_what_was_sent() -> None:
    rule = by_channel(a=allow(), b=deny("no_rule"), c=allow())
    answer, _, _ = await ask("batch", {"commands": publications("a", "b", "c")}, rule, Centrifugo(DeliveryFault("x")))
    assert answer == {"replies": [error(100), error(103), error(100)]}


async def test_decisions_are_asked_in_order_and_a_few_at_a_time() -> None:
    gate = Gate(everything)
    waiting: list[int] = []

    def rule(_request: Request) -> Allow:
        waiting.append(len(gate.asked))
        return allow()

    gate.rule = rule
    gateway = Gateway(gate, Keys([], {}), Centrifugo(), lambda: NOW)
    channels = [f"c{n}" for n in range(130)]
    await gateway.call("broadcast", "orders", json.dumps({"channels": channels, "data": 1}).encode())
    assert [request.channel for request in gate.asked] == channels
    assert waiting == [64] * 64 + [128] * 64 + [130] * 2
