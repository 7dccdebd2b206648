"""Where the scenario is played, and by whom."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from centrifuge import Subscription, UnauthorizedError

from proxy.demo import data
from proxy.demo.application import Application
from proxy.demo.backend import Backend
from proxy.demo.clients import PATIENCE, App, Ear, soon
from proxy.demo.data import ANN, BEN, CLEO, DEE, DOCUMENT, SAM
from proxy.demo.reviewer import Reviewer
from proxy.errors import Fault

CHAT: Final = f"chat:doc-{DOCUMENT}"

_PAUSE_S: Final = 0.02


class Unexpected(Fault):
    """A step went otherwise than it must; the text says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to play: addresses of the service and of Centrifugo, keys of the services `orders` and `application`, and what changes.

    That is the `database` and the folder of the `policies` that are in force.
    """

    service: str
    centrifugo: str
    orders_key: str
    application_key: str
    database: Path
    policies: Path


class Stage:
    """Everybody who takes part, and what they hear; `revision` is that of the policy before anybody changed it."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.people = tuple(App(person, places.service, places.centrifugo) for person in (ANN, BEN, CLEO, DEE, SAM))
        self.ann, self.ben, self.cleo, self.dee, self.sam = self.people
        self.orders = Backend(places.service, places.orders_key)
        self.application = Application(Backend(places.service, places.application_key), places.database)
        self.reviewer = Reviewer(places.policies)
        self.revision = ""
        self.subscriptions: dict[tuple[str, str], Subscription] = {}
        self.ears: dict[tuple[str, str], Ear] = {}

    def ear(self, app: App, channel: str) -> Ear:
        """Give what somebody hears on a channel that they subscribed to."""
        return self.ears[app.person.id, channel]

    async def listen(self, app: App, channel: str, *, with_token: bool = False) -> Ear:
        """Begin to subscribe."""
        subscription, ear = await app.listen(channel, with_token=with_token)
        self.subscriptions[app.person.id, channel], self.ears[app.person.id, channel] = subscription, ear
        return ear

    async def listen_again(self, app: App, channel: str) -> None:
        """Subscribe once more to what ended."""
        await self.subscriptions[app.person.id, channel].subscribe()
        await soon(self.ear(app, channel).subscribed)

    async def hears(self, app: App, order: str) -> str:
        """Wait until somebody hears that an order is on its way, and say so."""
        publication = await soon(self.ear(app, f"notifications#{app.person.id}").publications)
        must(publication.data.get("type") == "order_shipped" and publication.data.get("orderId") == order, publication)
        return f"{app.person.name} hears \u201c{publication.data['message']}\u201d"

    async def reads(self, app: App, text: str) -> None:
        """Wait until somebody reads this in the chat."""
        while (await soon(self.ear(app, CHAT).publications)).data["text"] != text:
            pass

    async def tokenless(self, app: App) -> str:
        """Ask for a connection token that must be refused, and say that it is."""
        try:
            await app.token()
        except UnauthorizedError:
            return "no token"
        message = f"{app.person.name} got a token"
        raise Unexpected(message)

    async def ready(self, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait until this holds of what `/ready` tells, and give that."""
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=self.places.service, trust_env=False) as http:
            while True:
                told: Mapping[str, Any] = (await http.get("/ready")).json()
                if holds(told):
                    return told
                await asyncio.sleep(_PAUSE_S)

    async def close(self) -> None:
        """Let everybody go, and put the database back where it belongs."""
        await asyncio.to_thread(data.bring_back, self.places.database)
        for close in (*(app.close for app in self.people), self.orders.close, self.application.close):
            with contextlib.suppress(httpx.HTTPError):
                await close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: `play` gives what was seen or raises; `op` and `reason` are those of the decision it rests on, if there is one."""

    title: str
    play: Callable[[Stage], Awaitable[str]]
    op: str | None = None
    reason: str = "allowed"


def must(holds: object, seen: object) -> None:
    """Raise `Unexpected` with what was seen, unless this holds."""
    if not holds:
        message = f"saw {seen}"
        raise Unexpected(message)
