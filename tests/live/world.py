"""The service with the demo policy and a Centrifugo, both real, wired to each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from proxy.app import create
from proxy.cli.server import listen, run
from proxy.demo import data, reviewer
from proxy.demo.application import Application
from proxy.demo.backend import Backend
from proxy.demo.identity import Provider
from proxy.demo.page import Page
from proxy.demo.player import Notes
from proxy.demo.reviewer import Reviewer
from proxy.demo.stage import Places
from proxy.demo.supervisor import Supervisor
from proxy.reload import usable
from proxy.settings import Settings
from tests.demo.policies import FOLDER
from tests.live.servers import ROOT, Secrets, centrifugo

LIBRARY = ROOT / "node_modules/centrifuge/dist/centrifuge.js"
ORDERS = "orders-" * 8
"""The key of the service `orders`."""
APPLICATION = "application-" * 8
"""The key of the service `application`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What runs; `notes` sees every decision, `folder` holds the database and the policies."""

    service: str
    centrifugo: Supervisor
    notes: Notes
    folder: Path

    @property
    def places(self) -> Places:
        """Where the scenario is played."""
        return Places(
            service=self.service,
            centrifugo=self.centrifugo.url,
            orders_key=ORDERS,
            application_key=APPLICATION,
            database=self.folder / "demo.db",
            policies=self.folder / "policies",
        )


@asynccontextmanager
async def world(version: str, folder: Path, told: Secrets | None = None, *, database: str = "") -> AsyncIterator[World]:
    """Start both and stop them when the block ends; `told` are the secrets that Centrifugo has, if they are not the right ones.

    `database` is the address of a PostgreSQL with the demo's data that notifies the channel `changes`, to be taken in place of SQLite.
    """
    sockets = listen("127.0.0.1", 0)
    service = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    await asyncio.to_thread(data.write, folder / "demo.db")
    await asyncio.to_thread(reviewer.copy, FOLDER, folder / "policies")
    for file in (folder / "policies").glob("*.policy"):  # a busy machine is slower than what the demo waits for
        file.write_text(file.read_text().replace("timeout 150ms;", "timeout 3s;"))
    if database:
        listening = 'database main { url env DATABASE_URL; listen "changes"; }'
        Reviewer(folder / "policies").edit("base.policy", ("database main { url env DATABASE_URL; }", listening))
    notes, provider, orders = Notes(), Provider(), Backend(service, ORDERS)
    application = Application(Backend(service, APPLICATION), folder / "demo.db")
    variables = {
        "DATABASE_URL": database or f"sqlite:///{folder / 'demo.db'}",
        "DEMO_IDENTITY_KEY": provider.key,
        "ORDERS_KEY": ORDERS,
        "NEWSROOM_KEY": "newsroom-" * 8,
        "APPLICATION_KEY": APPLICATION,
    }
    async with centrifugo(version, service, folder, told or Secrets()) as server:
        page = Page(provider=provider, orders=orders, application=application, centrifugo=server.port, library=LIBRARY)
        started = asyncio.Event()
        app = create(_settings(server.url, folder), usable(folder / "policies"), variables, page.routes(), notes)
        running = asyncio.create_task(run(app, sockets, started.set))
        try:
            async with asyncio.timeout(10):
                await started.wait()
            yield World(service=service, centrifugo=server, notes=notes, folder=folder)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await orders.close()
            await application.close()


def _settings(centrifugo_url: str, folder: Path) -> Settings:
    secrets = Secrets()
    chosen = {"hook_secret": secrets.hook, "centrifugo_api_key": secrets.api, "token_key": secrets.token}
    own = {"policies": folder / "policies", "store_url": f"sqlite:///{folder}/store.db"}
    return Settings.model_validate({"centrifugo_url": centrifugo_url, **own, **chosen})
