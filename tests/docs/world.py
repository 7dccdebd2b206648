"""The service with the demo's policy and database, in front of something that answers like Centrifugo."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from proxy.app import Service, create
from proxy.demo import data
from proxy.demo.identity import Provider
from proxy.policy.load import load
from proxy.settings import Settings
from tests.demo.policies import demo

REQUIRED: Mapping[str, object] = {
    "hook_secret": SecretStr("h" * 32),
    "centrifugo_api_key": SecretStr("a" * 32),
    "token_key": SecretStr("t" * 32),
}
EPOCH = "xyz"


class Centrifugo:
    """Its server API as far as publications go: counts them, in an epoch of its own."""

    def __init__(self) -> None:
        self.offset = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        method = head.split()[1].rpartition("/")[2]
        body = json.dumps(self._answer(method, json.loads(await reader.readexactly(length)))).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
        writer.close()

    def _answer(self, method: str, command: dict[str, Any]) -> dict[str, Any]:
        if method == "batch":
            named = [next(iter(each.items())) for each in command["commands"]]
            return {"replies": [{name: self._answer(name, params)["result"]} for name, params in named]}
        if method == "publish":
            return {"result": self._published()}
        if method == "broadcast":
            return {"result": {"responses": [{"result": self._published()} for _ in command["channels"]]}}
        return {"result": {}}

    def _published(self) -> dict[str, Any]:
        self.offset += 1
        return {"offset": self.offset, "epoch": EPOCH}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The service, who calls it, and what stands in the environment of callers."""

    app: Service
    client: httpx.AsyncClient
    variables: Mapping[str, str]

    @staticmethod
    def build(variables: Mapping[str, str], policy: str, **chosen: object) -> Service:
        """The service with another policy; raises `SetupFault`."""
        loaded = load({"a.policy": policy.encode()})
        assert loaded.policy is not None, loaded.findings
        return create(Settings.model_validate({**REQUIRED, **chosen}), loaded.policy, variables)

    @staticmethod
    @asynccontextmanager
    async def living(folder: Path) -> AsyncIterator["World"]:
        """The world, until it ends."""
        provider, database = Provider(), folder / "demo.db"
        await asyncio.to_thread(data.write, database)
        keys = {"ORDERS_KEY": "o" * 32, "NEWSROOM_KEY": "n" * 32, "APPLICATION_KEY": "p" * 32}
        needed = {**keys, "DATABASE_URL": f"sqlite:///{database}", "DEMO_IDENTITY_KEY": provider.key}
        async with Centrifugo().running() as url:
            app = create(Settings.model_validate({**REQUIRED, "centrifugo_url": url}), demo(), needed)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8010")
            rest = app._rest
            assert isinstance(rest, Starlette)
            async with client, rest.router.lifespan_context(rest):
                yield World(app=app, client=client, variables={**keys, "SIGN_IN": provider.token(data.ANN)})
