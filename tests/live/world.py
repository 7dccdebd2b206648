"""The service with the demo policy and a Centrifugo, both real, wired to each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.app import create
from proxy.cli.server import listen, run
from proxy.demo import data
from proxy.demo.backend import Backend
from proxy.demo.identity import Provider
from proxy.demo.page import Page
from proxy.demo.player import Notes
from proxy.demo.scenario import Places
from proxy.demo.supervisor import Supervisor
from proxy.settings import Settings
from tests.demo.policies import demo
from tests.live.servers import ROOT, Secrets, centrifugo

LIBRARY = ROOT / "node_modules/centrifuge/dist/centrifuge.js"
ORDERS = "orders-" * 8
"""The key of the service `orders`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What runs; `notes` sees every decision."""

    service: str
    centrifugo: Supervisor
    notes: Notes

    @property
    def places(self) -> Places:
        """Where the scenario is played."""
        return Places(service=self.service, centrifugo=self.centrifugo.url, orders_key=ORDERS)


@asynccontextmanager
async def world(version: str, folder: Path, told: Secrets | None = None) -> AsyncIterator[World]:
    """Start both and stop them when the block ends; `told` are the secrets that Centrifugo has, if they are not the right ones."""
    sockets = listen("127.0.0.1", 0)
    service = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    await asyncio.to_thread(data.write, folder / "demo.db")
    notes, provider, orders = Notes(), Provider(), Backend(service, ORDERS)
    variables = {
        "DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "DEMO_IDENTITY_KEY": provider.key,
        "ORDERS_KEY": ORDERS,
        "NEWSROOM_KEY": "newsroom-" * 8,
    }
    async with centrifugo(version, service, folder, told or Secrets()) as server:
        page = Page(provider=provider, orders=orders, centrifugo=server.port, library=LIBRARY)
        started = asyncio.Event()
        app = create(_settings(server.url), demo(), variables, page.routes(), notes)
        running = asyncio.create_task(run(app, sockets, started.set))
        try:
            async with asyncio.timeout(10):
                await started.wait()
            yield World(service=service, centrifugo=server, notes=notes)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await orders.close()


def _settings(centrifugo_url: str) -> Settings:
    secrets = Secrets()
    chosen = {"hook_secret": secrets.hook, "centrifugo_api_key": secrets.api, "token_key": secrets.token}
    return Settings.model_validate({"centrifugo_url": centrifugo_url, **chosen})
