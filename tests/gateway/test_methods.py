"""Every method of the server API through the gateway: what is decided, what goes out, what comes back."""

from typing import Any

import pytest

from proxy.errors import Malformed, TooLarge, Unauthorized
from proxy.gateway.api import Caller
from proxy.policy.decision import Allow, Deny, Request
from proxy.wire.api import STATUSES, ApiError
from proxy.wire.methods import METHODS
from tests.gateway.scene import NOW, Centrifugo, Rule, allow, ask, deny, error, everything, nothing, orders

CALLS: dict[str, dict[str, Any]] = {
    "publish": {"channel": "a", "data": 1},
    "broadcast": {"channels": ["a"], "data": 1},
    "subscribe": {
        "user": "42",
        "channel": "a",
        "data": {"n": 1},
        "info": {"i": 1},
        "expire_at": 9,
        "override": {"presence": {"value": True}},
    },
    "unsubscribe": {"user": "42", "channel": "a", "client": "c", "session": "s"},
    "disconnect": {"user": "42", "whitelist": ["c"], "disconnect": {"code": 4000, "reason": "bye"}},
    "refresh": {"user": "42", "expired": True},
    "presence": {"channel": "a"},
    "presence_stats": {"channel": "a"},
    "history": {"channel": "a", "limit": 5, "since": {"offset": 1, "epoch": "e"}, "reverse": True},
    "history_remove": {"channel": "a"},
    "channels": {"pattern": "a*"},
    "info": {},
    "rpc": {"method": "m", "params": {"n": 1}},
    "map_publish": {"channel": "a", "key": "k", "data": 1},
    "map_remove": {"channel": "a", "key": "k"},
    "map_read_state": {"channel": "a", "limit": 5},
    "map_read_stream": {"channel": "a", "limit": 5},
    "map_stats": {"channel": "a"},
    "map_clear": {"channel": "a"},
    "shared_poll_publish": {"channel": "a", "key": "k", "version": 1, "data": 1},
}
DATA = {"publish": 1, "broadcast": 1, "subscribe": {"n": 1}, "rpc": {"n": 1}, "map_publish": 1, "shared_poll_publish": 1}


def test_the_calls_are_those_of_all_methods_of_centrifugo() -> None:
    assert set(CALLS) == {name for name, method in METHODS.items() if method.relayed}


@pytest.mark.parametrize("method", CALLS)
async def test_an_allowed_command_goes_out_as_it_came_and_its_result_comes_back(method: str) -> None:
    told = await ask(method, CALLS[method] | {"unknown": 1}, everything)
    assert told.sent == [(method, CALLS[method])]
    result = {"epoch": "a" if {"channel", "channels"} & set(CALLS[method]) else method}
    assert told.answer == {"result": {"responses": [{"result": result}]} if method == "broadcast" else result}
    assert told.status == 200


@pytest.mark.parametrize("method", CALLS)
async def test_a_refused_command_does_not_go_out(method: str) -> None:
    answer, sent, asked = await ask(method, CALLS[method], nothing)
    assert (sent, len(asked)) == ([], 1)
    assert answer == ({"result": {"responses": [error(103)]}} if method == "broadcast" else error(103))


@pytest.mark.parametrize("method", CALLS)
async def test_a_command_is_decided_with_its_channel_if_it_has_one_and_its_payload(method: str) -> None:
    _, _, asked = await ask(method, CALLS[method], everything)
    channel = "a" if {"channel", "channels"} & set(CALLS[method]) else None
    assert asked == [
        Request(
            op=method, service="orders", method=method, channel=channel, data=DATA.get(method), tags={}, timestamp_ms=NOW, ambiguous=False
        )
    ]


@pytest.mark.parametrize("method", sorted(set(CALLS) - {"broadcast"}))
async def test_what_centrifugo_refuses_is_passed_on(method: str) -> None:
    refusal = ApiError(code=112, message="unrecoverable position")
    answer, _, _ = await ask(method, CALLS[method], everything, Centrifugo(refusal))
    assert answer == {"error": {"code": 112, "message": "unrecoverable position"}}


@pytest.mark.parametrize("method", CALLS)
async def test_every_method_is_decided_in_a_batch_too(method: str) -> None:
    def only_info(request: Request) -> Allow | Deny:
        return allow() if request.method == "info" else deny("no_rule")

    answer, sent, _ = await ask("batch", {"commands": [{method: CALLS[method]}, {"info": {}}]}, only_info)
    refused = {"broadcast": {"responses": [error(103)]}} if method == "broadcast" else error(103)
    told = {"info": {"epoch": "info"}}
    assert answer == {"replies": [told if method == "info" else refused, told]}
    assert sent == [("info", {})] * (2 if method == "info" else 1)


async def test_a_subscription_gets_what_its_rule_says() -> None:
    rule = allow(data={"d": 1}, info={"i": 2}, expire_ms=60_000)
    _, sent, _ = await ask("subscribe", {"user": "42", "channel": "a", "data": 0, "info": 0}, lambda _: rule)
    assert sent == [("subscribe", {"user": "42", "channel": "a", "data": {"d": 1}, "info": {"i": 2}, "expire_at": NOW // 1000 + 60})]


@pytest.mark.parametrize(
    ("own", "jitter", "ends"), [(None, 0, range(60, 61)), (1, 0, range(1, 2)), (99, 0, range(60, 61)), (None, 50, range(30, 61))]
)
async def test_a_subscription_ends_at_the_earlier_end(own: int | None, jitter: int, ends: range) -> None:
    given = None if own is None else NOW // 1000 + own
    rule = allow(expire_ms=60_000, jitter=jitter)
    _, sent, _ = await ask("subscribe", {"user": "42", "channel": "a", "expire_at": given}, lambda _: rule)
    assert sent[0][1]["expire_at"] - NOW // 1000 in ends


async def test_a_map_gets_what_its_rule_says() -> None:
    rule = allow(data={"n": 2}, tags={"t": "x"}, idempotency_key="i")
    _, sent, _ = await ask("map_publish", {"channel": "a", "key": "k", "data": {"n": 1}, "tags": {"u": "y"}}, lambda _: rule)
    assert sent == [("map_publish", {"channel": "a", "key": "k", "data": {"n": 2}, "tags": {"u": "y", "t": "x"}, "idempotency_key": "i"})]


async def test_an_invalidation_makes_the_facts_forgotten_and_does_not_go_out() -> None:
    told = await ask("invalidate", {"topics": ["account:42", "doc:7"]}, everything)
    assert [told.status, *told] == [
        200,
        {"result": {"facts": 2}},
        [],
        [
            Request(
                op="invalidate",
                service="orders",
                method="invalidate",
                data=["account:42", "doc:7"],
                tags={},
                timestamp_ms=NOW,
            )
        ],
    ]
    assert told.forgotten == ["account:42", "doc:7"]


async def test_an_invalidation_that_is_refused_changes_nothing() -> None:
    told = await ask("invalidate", {"topics": ["account:42"]}, nothing)
    assert (told.answer, told.forgotten) == (error(103), [])


@pytest.mark.parametrize("topics", [None, []])
async def test_an_invalidation_of_nothing_is_a_bad_request(topics: object) -> None:
    assert (await ask("invalidate", {"topics": topics}, everything)).answer == error(107)


async def test_an_invalidation_keeps_its_place_in_a_batch() -> None:
    commands = [{"publish": {"channel": "a", "data": 1}}, {"invalidate": {"topics": ["t"]}}, {"publish": {"channel": "a", "data": 2}}]
    told = await ask("batch", {"commands": commands}, everything)
    assert told.centrifugo.log == [">a", "<a", "forgotten", ">a", "<a"]
    assert told.answer["replies"][1] == {"invalidate": {"facts": 1}}


TRANSPORT = Caller(service=orders(), transport=True)
CODES = {100: 500, 102: 404, 103: 403, 104: 404, 107: 400, 108: 400, 111: 429, 112: 416, 113: 409, 199: 500}


@pytest.mark.parametrize(("code", "status"), CODES.items())
async def test_in_the_error_mode_transport_the_status_tells_the_error(code: int, status: int) -> None:
    told = await ask("history", {"channel": "a"}, everything, Centrifugo(ApiError(code=code, message="m")), TRANSPORT)
    assert (told.status, told.answer) == (status, {"code": code, "message": "m"})


def test_every_status_is_tested() -> None:
    assert set(STATUSES) < set(CODES)


@pytest.mark.parametrize(
    ("method", "body", "answer"),
    [
        ("info", {}, {"result": {"epoch": "info"}}),
        ("broadcast", {"channels": ["a", "bad"], "data": 1}, {"result": {"responses": [{"result": {"epoch": "a"}}, error(107)]}}),
        ("batch", {"commands": [{"publish": {}}]}, {"replies": [error(107)]}),
    ],
)
async def test_in_the_error_mode_transport_all_else_is_as_ever(method: str, body: object, answer: object) -> None:
    told = await ask(method, body, everything, None, TRANSPORT)
    assert (told.status, told.answer) == (200, answer)


@pytest.mark.parametrize(("rule", "status", "code"), [(nothing, 403, 103), (lambda _: deny("limit"), 429, 111)])
async def test_in_the_error_mode_transport_refusals_have_a_status(rule: Rule, status: int, code: int) -> None:
    told = await ask("publish", {"channel": "a", "data": 1}, rule, None, TRANSPORT)
    assert (told.status, told.answer) == (status, error(code)["error"])


LINES = (
    b'{"id":1,"method":"PUBLISH","params":{"channel":"a","data":1}}\n'
    b'{"method":"publish","params":{"channel":"b","data":1}}\n'
    b'{"id":3,"method":"history","params":{}}\n'
    b'{"id":4,"method":"publish","params":{"channel":"a","data":{"n":1,"n":2}}}\n'
    b'{"id":5,"method":"connections","params":{}}'
)


async def test_lines_are_decided_and_answered_one_by_one() -> None:
    answer, sent, _ = await ask("", LINES, lambda request: allow() if request.channel == "a" else deny("no_rule"))
    assert sent == [("publish", {"channel": "a", "data": 1})]
    assert answer == [
        {"id": 1, "result": {"epoch": "a"}},
        error(103),
        {"id": 3, **error(107)},
        {"id": 4, **error(107)},
        {"id": 5, **error(103)},
    ]


async def test_lines_are_carried_out_in_order() -> None:
    lines = b'{"method":"publish","params":{"channel":"a","data":1}}\n{"method":"info","params":{}}'
    told = await ask("", lines, everything)
    assert told.centrifugo.log == [">a", "<a", ">info", "<info"]


async def test_lines_are_never_told_by_the_status() -> None:
    told = await ask("", LINES, nothing, None, TRANSPORT)
    assert (told.status, told.answer[0]) == (200, {"id": 1, **error(103)})


async def test_lines_that_centrifugo_would_not_read_are_malformed_and_nothing_goes_out() -> None:
    server = Centrifugo()
    with pytest.raises(Malformed):
        await ask("", LINES + b'\n{"method":"nope"}', everything, server)
    assert server.sent == []


async def test_commands_without_a_channel_count_among_the_decisions_too() -> None:
    with pytest.raises(TooLarge):
        await ask("batch", {"commands": [{"broadcast": {"channels": ["a"] * 10_000, "data": 1}}, {"info": {}}]}, nothing)


async def test_lines_of_a_service_that_the_policy_does_not_know_are_unauthorized() -> None:
    with pytest.raises(Unauthorized):
        await ask("", LINES, lambda _: deny("no_identity"))
