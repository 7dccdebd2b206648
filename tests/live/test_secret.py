import asyncio
from pathlib import Path

import httpx
import pytest
from centrifuge import SubscriptionErrorContext, SubscriptionEventHandler

from proxy.demo.clients import App, soon
from proxy.demo.data import ANN, DOCUMENT
from tests.live.servers import Secrets
from tests.live.world import world

pytestmark = pytest.mark.live


class Failures(SubscriptionEventHandler):
    def __init__(self) -> None:
        self.errors: asyncio.Queue[SubscriptionErrorContext] = asyncio.Queue()

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        self.errors.put_nowait(ctx)


async def test_with_a_wrong_hook_secret_nobody_gets_in(version: str, tmp_path: Path) -> None:
    async with world(version, tmp_path, Secrets(hook="wrong-" * 8)) as made:
        app = App(ANN, made.places.service, made.places.centrifugo)
        await app.sign_in()
        async with app.stream("http_stream") as stream:
            assert (await stream.reply(1))["error"]["code"] == 100
        await app.connect()
        failures = Failures()
        await app.client.new_subscription(f"chat:doc-{DOCUMENT}", events=failures).subscribe()
        failed = await soon(failures.errors)
        assert "Error 100" in str(failed.error)
        assert {noted.request.op for noted in made.notes.take()} == {"connect"}
        await app.close()


async def test_without_the_secret_a_hook_is_answered_401_and_nothing_more(version: str, tmp_path: Path) -> None:
    async with world(version, tmp_path) as made, httpx.AsyncClient(base_url=made.service, trust_env=False) as http:
        for secret in ({}, {"X-Centrigate-Hook-Secret": "wrong-" * 8}):
            reply = await http.post("/centrifugo/connect", json={"client": "c"}, headers=secret)
            assert (reply.status_code, reply.content) == (401, b"")
        assert made.notes.take() == []
