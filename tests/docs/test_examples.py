"""The examples that call the service, carried out."""

import json
import re
import shlex
from typing import Any, cast

import httpx
import pytest

from tests.docs import pages
from tests.docs.world import World

PUBLISHING = pages.page("publishing")
CURLS = [(name, block.text) for name, text in pages.every().items() for block in pages.blocks(text, "sh") if block.text.startswith("curl ")]


def _request(command: str, variables: dict[str, str]) -> tuple[str, dict[str, str], str]:
    """The address, headers and body of a `curl` command."""
    known = re.sub(r"\$(\w+)", lambda name: variables[name[1]], command)
    words = shlex.split(known.replace("\\\n", " "))
    given = [(flag, word) for flag, word in zip(words, words[1:], strict=False) if flag in ("-H", "-d")]
    headers = dict(word.split(": ", 1) for flag, word in given if flag == "-H")
    (address,) = [word for word in words if word.startswith("http")]
    assert words[:4] == ["curl", "-s", "-X", "POST"]
    return address, headers, next((word for flag, word in given if flag == "-d"), "")


async def _answered(world: World, command: str) -> httpx.Response:
    address, headers, body = _request(command, dict(world.variables))
    # What curl sends without being asked.
    sent = {"content-type": "application/x-www-form-urlencoded"} | headers
    return await world.client.post(address, content=body, headers=sent)


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
        answer = await _answered(world, command)
        assert answer.status_code == 200, answer.text
        assert _same(json.loads(shown), answer.json()), answer.text


@pytest.mark.parametrize(("name", "command"), CURLS)
async def test_every_curl_calls_a_path_that_exists(world: World, name: str, command: str) -> None:
    assert (await _answered(world, command)).status_code not in (404, 405), name


async def test_the_python_example_publishes(world: World) -> None:
    function, client = (block.text for block in pages.blocks(PUBLISHING, "python"))
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
    shown = {(int(status), json.loads(pages.spans(body)[0])["error"]["code"]) for status, body, _ in rows if "`" in body}
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
