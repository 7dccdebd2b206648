"""The gateway in front of real Centrifugos: what is refused stays out, what is allowed arrives, in order and once."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from proxy.cli.publish import publish
from proxy.delivery.http import Server
from proxy.errors import DeliveryFault
from tests.gateway.pair import ALL_KEY, ORDERS_KEY, Pair, service

pytestmark = pytest.mark.live


def publication(channel: str) -> dict[str, Any]:
    return {"publish": {"channel": channel, "data": {"text": "hi"}}}


async def test_what_is_refused_does_not_reach_centrifugo_and_the_rest_does(pair: Pair) -> None:
    channels = ["chat:r", "chat:r-denied", "chat:r-1-stamped", "chat:r-2-stamped"]
    answer = await pair.ordered("broadcast", {"channels": channels, "data": {"n": 1}})
    first, second, third, fourth = answer["result"]["responses"]
    assert second == {"error": {"code": 103, "message": "permission denied"}}
    assert first["result"]["offset"] == third["result"]["offset"] == fourth["result"]["offset"] == 1
    assert await pair.published("chat:r") == [{"n": 1}]
    assert await pair.published("chat:r-denied") == []
    assert await pair.published("chat:r-1-stamped") == [{"n": 1, "to": "chat:r-1-stamped"}]
    assert await pair.published("chat:r-2-stamped") == [{"n": 1, "to": "chat:r-2-stamped"}]


async def test_a_payload_with_two_readings_is_refused_alone(pair: Pair) -> None:
    body = b'{"commands":[%s,%s]}' % (
        b'{"publish":{"channel":"chat:two-stamped","data":{"n":1,"n":2}}}',
        b'{"publish":{"channel":"chat:one-stamped","data":{"n":1}}}',
    )
    first, second = (await pair.through("/batch", body)).json()["replies"]
    assert (first["error"]["code"], second["publish"]["offset"]) == (107, 1)
    assert await pair.published("chat:two-stamped") == []
    assert await pair.published("chat:one-stamped") == [{"n": 1}]


async def test_a_limit_is_an_error_of_its_own(pair: Pair) -> None:
    first = await pair.ordered("publish", {"channel": "rare:1", "data": 1})
    second = await pair.ordered("publish", {"channel": "rare:1", "data": 1})
    assert (first["error"]["code"], second["error"]["code"]) == (102, 111)


async def test_a_method_is_allowed_by_itself(pair: Pair) -> None:
    assert await pair.ordered("presence", {"channel": "chat:p"}) == {"result": {"presence": {}}}
    for method, body in (("history", {"channel": "chat:p"}), ("presence", {"channel": "p"}), ("info", {}), ("disconnect", {"user": "42"})):
        assert (await pair.ordered(method, body))["error"]["code"] == 103


@pytest.mark.parametrize("parallel", [False, True], ids=["in-order", "in-parallel"])
async def test_a_batch_keeps_the_order_of_each_channel(pair: Pair, *, parallel: bool) -> None:
    channels = [f"chat:order-{parallel}-{n}" for n in range(3)]
    commands = [{"publish": {"channel": channel, "data": n}} for n in range(40) for channel in channels]
    answer = await pair.ordered("batch", {"parallel": parallel, "commands": commands})
    assert [reply["publish"]["offset"] for reply in answer["replies"]] == [n for n in range(1, 41) for _ in channels]
    for channel in channels:
        assert await pair.published(channel) == list(range(40))


async def test_a_command_without_a_channel_comes_after_those_before_it(pair: Pair) -> None:
    batch = {
        "commands": [
            {"publish": {"channel": "chat:last", "data": 1}},
            {"disconnect": {"user": "42"}},
            {"history": {"channel": "chat:last"}},
        ]
    }
    answer = (await pair.through("/batch", json.dumps(batch).encode())).json()
    assert [next(iter(reply)) for reply in answer["replies"]] == ["publish", "disconnect", "history"]
    assert answer["replies"][2]["history"]["offset"] == 1


async def test_concurrent_callers_each_get_their_own_results(pair: Pair) -> None:
    async def publish(caller: int) -> list[int]:
        channel = f"chat:caller-{caller}"
        answers = [await pair.ordered("publish", {"channel": channel, "data": n}) for n in range(5)]
        return [answer["result"]["offset"] for answer in answers]

    assert await asyncio.gather(*map(publish, range(20))) == [[1, 2, 3, 4, 5]] * 20


async def test_a_null_command_that_would_end_centrifugo_is_answered_and_it_lives_on(pair: Pair) -> None:
    answer = await pair.ordered("batch", {"parallel": True, "commands": [None, publication("chat:null"), None]})
    assert [list(reply) for reply in answer["replies"]] == [["error"], ["publish"], ["error"]]
    assert await pair.published("chat:null") == [{"text": "hi"}]


async def test_an_idempotent_publication_is_published_once(pair: Pair) -> None:
    body = {"channel": "chat:once", "data": 1, "idempotency_key": "once"}
    assert await pair.ordered("publish", body) == await pair.ordered("publish", body)
    assert await pair.published("chat:once") == [1]


async def test_facts_are_forgotten(pair: Pair) -> None:
    answer = await pair.through("/invalidate", b'{"topics":["account:42"]}')
    assert answer.json() == {"result": {"facts": 0}}
    assert (await pair.ordered("invalidate", {"topics": ["account:42"]}))["error"]["code"] == 103


DURABLE = b"""
language 1;
service orders { key env ORDERS_KEY; allow publish, broadcast, history on "chat:{x}"; delivery durable; }
"""


async def test_what_is_kept_arrives_in_order_and_a_call_may_choose_otherwise(base: str, pair: Pair, tmp_path: Path) -> None:
    async with service(base, DURABLE, store_url=f"sqlite:///{tmp_path}/outbox.db") as url:
        kept = replace(pair, gateway=url)
        for n in range(20):
            assert await kept.ordered("publish", {"channel": "chat:kept", "data": n}) == {"result": {}}
        both = await kept.ordered("broadcast", {"channels": ["chat:kept", "elsewhere"], "data": 20})
        assert both == {"result": {"responses": [{"result": {}}, {"error": {"code": 103, "message": "permission denied"}}]}}
        async with asyncio.timeout(20):
            while len(await pair.published("chat:kept")) < 21:
                pass
        assert await pair.published("chat:kept") == [*range(21)]
        assert (await kept.ordered("publish?delivery=direct", {"channel": "chat:kept", "data": 0}))["result"]["offset"] == 22


async def test_the_command_publishes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_KEY", ORDERS_KEY)
    app = typer.Typer()
    app.command()(publish)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["--url", pair.gateway, *arguments])

    published = await run("chat:command", '{"n": 1}', "--tag", "k=v")
    assert (published.exit_code, json.loads(published.stdout)["offset"]) == (0, 1)
    refused = await run("elsewhere", "1")
    assert (refused.exit_code, refused.stderr) == (1, "error 103: permission denied\n")


async def test_a_key_in_the_address_counts_for_nothing(pair: Pair) -> None:
    assert (await pair.client.post(f"{pair.gateway}/api/info?api_key={ALL_KEY}", content=b"{}")).status_code == 401


async def test_a_wrong_key_is_told_apart(base: str) -> None:
    stranger = Server(base, "another-key")
    with pytest.raises(DeliveryFault, match="refused the key"):
        await stranger.health()
    await stranger.close()
