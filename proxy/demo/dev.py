"""`centrigate dev`: Centrifugo, the service with the demo policy, and the scenario, all from one process."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console
from starlette.types import ASGIApp

from proxy import settings
from proxy.app import create
from proxy.demo import data, reviewer, secrets
from proxy.demo.application import Application
from proxy.demo.backend import Backend
from proxy.demo.identity import Provider
from proxy.demo.page import LIBRARY, Page
from proxy.demo.player import Notes, Player
from proxy.demo.provide import PINNED, provide
from proxy.demo.scenario import STEPS
from proxy.demo.stage import Places, Step
from proxy.demo.supervisor import Neighbour, Supervisor, endpoints, environment
from proxy.reload import usable
from proxy.settings import Settings

CONFIG: Final = Path("centrifugo-config.json")
"""Centrifugo's configuration, relative to the working directory."""

_HOST: Final = "127.0.0.1"


class Host(Protocol):
    """Who serves an application."""

    def listen(self, host: str, port: int) -> Sequence[socket.socket]:
        """Open the listening sockets; raises `SetupFault`."""

    async def run(self, app: ASGIApp, sockets: Sequence[socket.socket], started: Callable[[], None]) -> None:
        """Serve until a signal or cancellation, and close the sockets; `started` is called when connections are accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be chosen: a port of None is that of the settings, one of 0 a free one.

    `attach` takes the Centrifugo at the address of the settings, which somebody else runs, and listens on the host of the settings.
    `database` and `policies` are made anew at each start, the one with the demo's people, the other from the policies of the settings.
    """

    once: bool = False
    attach: bool = False
    port: int | None = None
    centrifugo_port: int = 8000
    env: Path = Path(settings.FILE)
    database: Path = Path("var/demo.db")
    policies: Path = Path("var/demo/policies")
    steps: Sequence[Step] = STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything here stands on: `service` is the address of the service."""

    settings: Settings
    variables: Mapping[str, str]
    provider: Provider
    service: str

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the demo page: two names for one server, so that one browser can hold two people's cookies."""
        return (self.service, self.service.replace(_HOST, "localhost"))


async def run(options: Options, host: Host, console: Console) -> bool:
    """Start everything, play the scenario, and stay until a signal unless `once`; whether the scenario went as it must.

    Secrets that are missing are made. Raises `SetupFault` for what must be changed first.
    """
    async with AsyncExitStack() as stack:
        chosen = await asyncio.to_thread(_chosen, options)
        sockets = host.listen(chosen.host if options.attach else _HOST, chosen.port if options.port is None else options.port)
        for each in sockets:
            stack.callback(each.close)
        ground = _ground(options, chosen, f"http://{_HOST}:{sockets[0].getsockname()[1]}")
        centrifugo = await _centrifugo(options, ground, console)
        await stack.enter_async_context(centrifugo)
        return await Show(options, ground, centrifugo, console).go(host, sockets)


async def _centrifugo(options: Options, ground: Ground, console: Console) -> Supervisor | Neighbour:
    if options.attach:
        return Neighbour(ground.settings.centrifugo_url)
    wanted = settings.variables(options.env).get("CENTRIFUGO", "")
    program = await asyncio.to_thread(provide, PINNED, wanted, tell=console.print)
    return Supervisor(program, CONFIG.absolute(), _told(ground), host=_HOST, port=options.centrifugo_port)


class Show:
    """Everything that runs while Centrifugo does."""

    def __init__(self, options: Options, ground: Ground, centrifugo: Supervisor | Neighbour, console: Console) -> None:
        self._options = options
        self._ground = ground
        self._centrifugo = centrifugo
        self._console = console

    async def go(self, host: Host, sockets: Sequence[socket.socket]) -> bool:
        """Serve and play; ends with the first that ends."""
        started, notes = asyncio.Event(), Notes()
        orders, application = self._backend("ORDERS_KEY"), Application(self._backend("APPLICATION_KEY"), self._options.database)
        serving = asyncio.create_task(host.run(self._app(notes, orders, application), sockets, started.set))
        playing = asyncio.create_task(self._play(notes, started))
        tasks = (playing, serving, asyncio.create_task(self._centrifugo.watch()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
            if playing in done and await playing and not self._options.once:
                self._invite()
                done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
                await done.pop()
            return playing.done() and await playing
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await orders.close()
            await application.close()

    def _backend(self, key: str) -> Backend:
        return Backend(self._ground.service, self._ground.variables[key])

    def _app(self, notes: Notes, orders: Backend, application: Application) -> ASGIApp:
        ground = self._ground
        page = Page(provider=ground.provider, orders=orders, application=application, centrifugo=self._centrifugo.port)
        chosen = ground.settings.model_copy(
            update={"centrifugo_url": self._centrifugo.url, "centrifugo_grpc": None, "origins": ground.origins}
        )
        return create(chosen, usable(chosen.policies), ground.variables, page.routes(), notes)

    async def _play(self, notes: Notes, started: asyncio.Event) -> bool:
        await started.wait()
        await self._centrifugo.healthy()
        variables = self._ground.variables
        places = Places(
            service=self._ground.service,
            centrifugo=self._centrifugo.url,
            orders_key=variables["ORDERS_KEY"],
            application_key=variables["APPLICATION_KEY"],
            database=self._options.database,
            policies=self._options.policies,
        )
        return await Player(places, notes, self._console).play(self._options.steps)

    def _invite(self) -> None:
        ann, ben = (f"{origin}/demo#{person.id}" for origin, person in zip(self._ground.origins, (data.ANN, data.BEN), strict=True))
        lines = [
            f"The demo page, as Ann:  {ann}",
            f"           and as Ben:  {ben}",
            f"Centrifugo:             {self._centrifugo.url}",
            f"The policy in force:    {self._options.policies.absolute()} (edit it and watch)",
            *([] if LIBRARY.is_file() else ["The page needs Centrifugo's JavaScript client: run `make install`."]),
            "Ctrl-C stops everything.",
        ]
        self._console.print("\n" + "\n".join(lines), soft_wrap=True, highlight=False)


def _chosen(options: Options) -> Settings:
    if not options.attach:
        secrets.complete(options.env)
    data.write(options.database)
    chosen = settings.read(options.env)
    reviewer.copy(chosen.policies, options.policies)
    # Nobody signs what anybody here may edit.
    return chosen.model_copy(update={"policies": options.policies, "policy_key": None})


def _ground(options: Options, chosen: Settings, service: str) -> Ground:
    provider = Provider()
    own = {"DATABASE_URL": f"sqlite:///{options.database.absolute()}", "DEMO_IDENTITY_KEY": provider.key}
    return Ground(settings=chosen, variables={**settings.variables(options.env), **own}, provider=provider, service=service)


def _told(ground: Ground) -> Mapping[str, str]:
    chosen = ground.settings
    shared = environment(
        hook_secret=chosen.hook_secret.get_secret_value(),
        api_key=chosen.centrifugo_api_key.get_secret_value(),
        token_key=chosen.token_key.get_secret_value(),
    )
    return {**shared, **endpoints(ground.service), "CENTRIFUGO_CLIENT_ALLOWED_ORIGINS": " ".join(ground.origins)}
