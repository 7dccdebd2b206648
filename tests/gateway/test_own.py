"""What the service carries out itself: it does not go out, and asks the policy like everything else."""

import json
from typing import Any

import pytest

from tests.gateway.scene import ORDERS, Box, Centrifugo, Gate, Told, ask, error, everything, nothing

PUBLISH = {"channel": "a", "data": 1}

CALLS: dict[str, tuple[dict[str, Any], tuple[object, ...]]] = {
    "block_user": ({"user": "42"}, ("block", "42", None)),
    "unblock_user": ({"user": "42"}, ("unblock", "42")),
    "revoke_token": ({"uid": "j"}, ("revoke", "j")),
    "invalidate_user_tokens": ({"user": "42"}, ("outdate", "42", None, None)),
    "connections": ({}, ("connections", None)),
}


@pytest.mark.parametrize("method", CALLS)
async def test_an_order_is_carried_out_and_does_not_go_out(method: str) -> None:
    body, order = CALLS[method]
    told = await ask(method, body)
    assert (told.sent, told.people.orders) == ([], [order])
    assert "result" in told.answer
    assert [(request.op, request.service) for request in told.gate.asked] == [(method, "orders")]


@pytest.mark.parametrize("method", CALLS)
async def test_an_order_that_is_refused_changes_nothing(method: str) -> None:
    told = await ask(method, CALLS[method][0], nothing)
    assert (told.answer, told.people.orders) == (error(103), [])


@pytest.mark.parametrize(
    ("method", "body", "order"),
    [
        ("block_user", {"user": "42", "expire_at": 1_800_000_000}, ("block", "42", 1_800_000_000)),
        ("block_user", {"user": "42", "expire_at": 0}, ("block", "42", None)),
        ("invalidate_user_tokens", {"user": "42", "issued_before": 5, "channel": "c"}, ("outdate", "42", 5, "c")),
        ("invalidate_user_tokens", {"user": "42", "issued_before": 0, "channel": ""}, ("outdate", "42", None, None)),
        ("connections", {"user": "42"}, ("connections", "42")),
    ],
)
async def test_an_order_is_told_what_was_said(method: str, body: dict[str, Any], order: tuple[object, ...]) -> None:
    assert (await ask(method, body)).people.orders == [order]


@pytest.mark.parametrize("method", [method for method, (body, _) in CALLS.items() if body])
async def test_an_order_about_nobody_is_a_bad_request(method: str) -> None:
    assert (await ask(method, {})).answer == error(107)


async def test_connections_are_listed_by_client() -> None:
    told = await ask("connections", {})
    assert told.answer["result"] == {
        "connections": {
            "c1": {
                "user": "42",
                "app_name": "app",
                "app_version": "2",
                "transport": "sse",
                "state": {"channels": {"doc:7": {}}},
            }
        }
    }


async def test_a_token_that_is_not_known_is_said_to_be_so() -> None:
    told = await ask("revoke_token", {"uid": "other"})
    assert told.answer == {"error": {"code": 108, "message": "this token is not known here"}}


async def test_what_cannot_be_kept_fails_alone() -> None:
    told = Told(gate=Gate(everything), centrifugo=Centrifugo(), box=Box([]))
    told.people.away = True
    body = json.dumps({"commands": [{"block_user": {"user": "42"}}, {"publish": PUBLISH}]}).encode()
    reply = await told.gateway.call("batch", ORDERS, body)
    assert json.loads(reply.body) == {"replies": [error(100), {"publish": {"epoch": "a"}}]}


async def test_a_reload_tells_the_revision_or_what_is_wrong() -> None:
    told = Told(gate=Gate(everything), centrifugo=Centrifugo(), box=Box([]))
    assert json.loads((await told.gateway.call("reload", ORDERS, b"{}")).body) == {"result": {"revision": "rev2"}}
    told.unusable = True
    refused = json.loads((await told.gateway.call("reload", ORDERS, b"{}")).body)
    assert refused == {"error": {"code": 107, "message": "a.policy:1:1: it cannot be used"}}
