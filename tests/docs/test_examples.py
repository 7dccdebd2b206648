"""The examples that call the service, carried out."""

import itertools
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, cast

import httpx
import pytest

from tests.docs import pages
from tests.docs.world import World

PUBLISHING = pages.page("publishing")
CURLS = [(name, block.text) for name, text in pages.every().items() for block in pages.blocks(text, "sh") if block.text.startswith("curl ")]


def _request(command: str, variables: Mapping[str, str]) -> tuple[str, dict[str, str], str]:
    """The address, headers and body of a `curl` command."""
    known = re.sub(r"\$(\w+)", lambda name: variables[name[1]], command)
    words = shlex.split(known.replace("\\\n", " "))
    given = [(flag, word) for flag, word in itertools.pairwise(words) if flag in ("-H", "-d")]
    headers = dict(word.split(": ", 1) for flag, word in given if flag == "-H")
    (address,) = [word for word in words if word.startswith("http")]
    assert words[:4] == ["curl", "-s", "-X", "POST"]
    return address, headers, next((word for flag, word in given if flag == "-d"), "")


async def answered(client: httpx.AsyncClient, command: str, variables: Mapping[str, str]) -> httpx.Response:
    """What a `curl` command gets."""
    address, headers, body = _request(command, variables)
    # What curl sends without being asked.
    sent = {"content-type": "application/x-www-form-urlencoded"} | headers
    return await client.post(address, content=body, headers=sent)


def _same(shown: Any, answered: Any) -> bool:  # noqa: ANN401 - JSON
    if isinstance(shown, dict) and isinstance(answered, dict):
        return set(shown) == set(answered) and all(_same(shown[name], answered[name]) for name in shown)
    if isinstance(shown, str) and shown.endswith("…"):
        return isinstance(answered, str) and answered.startswith(shown[:-1])
    return bool(shown == answered)


@pytest.mark.parametrize("name", ["publishing", "tokens"])
async def test_curl_gets_what_the_page_shows(world: World, name: str) -> None:
    text = pages.page(name)
    pairs = re.findall(r"^```sh\n(curl .*?)^```\n\n```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(pairs) == len(pages.blocks(text, "sh"))
    for command, shown in pairs:
        answer = await answered(world.client, command, world.variables)
        assert answer.status_code == 200, answer.text
        assert _same(json.loads(shown), answer.json()), answer.text


@pytest.mark.parametrize(("name", "command"), CURLS)
async def test_every_curl_calls_a_path_that_exists(world: World, name: str, command: str) -> None:
    assert (await answered(world.client, command, world.variables)).status_code not in (404, 405), name


async def test_the_python_example_publishes(world: World) -> None:
    function, client = (block.text for block in pages.blocks(PUBLISHING, "python")[-2:])
    names: dict[str, Any] = {"ORDERS_KEY": world.variables["ORDERS_KEY"]}
    exec(function + client, names)  # noqa: S102 - ours
    made = cast("httpx.AsyncClient", names["gateway"])
    await made.aclose()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url=made.base_url, headers=made.headers) as gateway:
        await names["notify"](gateway, "42", "12345")
        with pytest.raises(RuntimeError, match="107"):
            await names["notify"](gateway, "42", "1" * 41)
        gateway.headers["x-api-key"] = "wrong"
        with pytest.raises(httpx.HTTPStatusError):
            await names["notify"](gateway, "42", "12345")


async def test_the_errors_of_tokens_have_the_shape_of_the_table(world: World) -> None:
    rows = pages.table(pages.page("tokens"), "status", "body", "when")
    shown = {(int(status), json.loads(pages.spans(body)[0])["error"]["code"]) for status, body, _ in rows if body.startswith("`{")}
    path = "/api/centrifugo/subscription-token"
    signed = {"authorization": f"Bearer {world.variables['SIGN_IN']}"}
    calls: list[tuple[str, dict[str, str]]] = [
        ("[]", signed),
        ('{"channel": "a b"}', signed),
        ('{"channel": "notifications#42"}', {}),
        ('{"channel": "notifications#43"}', signed),
        (" " * (1 << 20) + "{}", signed),
    ]
    answers = [await world.client.post(path, content=body, headers=headers) for body, headers in calls]
    assert {(each.status_code, each.json()["error"]["code"]) for each in answers} == shown


async def test_the_error_codes_of_publishing_are_those_of_the_table(world: World) -> None:
    rows = {int(code) for code, *_ in pages.table(PUBLISHING, "code", "meaning", "what to do")}
    story, notice = {"channel": "news:today", "data": {"headline": "Rain"}}, {"channel": "notifications#42", "data": {}}
    calls: list[tuple[str, str, object]] = [
        *(("NEWSROOM_KEY", "publish", story) for _ in range(11)),
        ("ORDERS_KEY", "publish", notice),
        ("ORDERS_KEY", "publish", story),
        ("APPLICATION_KEY", "revoke_token", {"uid": "unknown"}),
        ("ORDERS_KEY", "nothing", {}),
    ]
    answers = [(await _called(world, world.variables[key], method, json.dumps(body))).json() for key, method, body in calls]
    assert {answer["error"]["code"] for answer in answers if "error" in answer} == rows - {100}


async def test_what_cannot_be_delivered_is_error_100() -> None:
    app = World.build({"KEY": "k" * 32}, "language 1;\nservice s { key env KEY; allow publish; }\n", centrifugo_url="http://127.0.0.1:1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        body = {"channel": "a", "data": 1}
        assert (await client.post("/api/publish", json=body, headers={"x-api-key": "k" * 32})).json()["error"]["code"] == 100


async def test_the_statuses_of_publishing_are_those_of_the_table(world: World) -> None:
    rows = {int(status) for status, _ in pages.table(PUBLISHING, "status", "meaning")}
    key = world.variables["ORDERS_KEY"]
    many = {"channels": ["notifications#1"] * 10_000, "data": 1}
    batch = json.dumps({"commands": [{"broadcast": many}, {"publish": {"channel": "a", "data": 1}}]})
    calls = [(key, "{"), (key, '{"channel": 1, "data": 1}'), ("wrong", "{}"), (key, " " * ((1 << 20) + 1))]
    answers = [await _called(world, shown, "publish", body) for shown, body in calls]
    answers.append(await _called(world, key, "nothing", "{}"))
    answers.append(await _called(world, key, "batch", batch))
    assert {each.status_code for each in answers} == rows - {503}
    assert answers[-1].status_code == 413
    assert answers[2].content == b""


async def _called(world: World, key: str, method: str, body: str) -> httpx.Response:
    return await world.client.post(f"/api/{method}", content=body, headers={"x-api-key": key})
