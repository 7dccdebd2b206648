"""The composition root: settings and a policy go in, an ASGI application comes out.

Everything is built once and handed down; nothing below looks anything up.

1. What decides: facts, gate, chain of identities.
2. Who asks: the hooks of Centrifugo, token endpoints for browsers, the gateway for backends, operators.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.delivery.http import Server
from proxy.edge import gateway, ops, tokens
from proxy.edge.headers import folded
from proxy.edge.hooks import Door, Endpoint, Event
from proxy.edge.intake import Intake
from proxy.edge.metrics import Flight, Metrics
from proxy.errors import SetupFault
from proxy.facts import sources
from proxy.facts.cache import Facts
from proxy.gate import Gate, Watch
from proxy.gateway.api import Gateway
from proxy.gateway.keys import Keys
from proxy.grants.grace import Grace
from proxy.hooks.answers import Answers
from proxy.hooks.command import Command
from proxy.hooks.connect import Connect
from proxy.hooks.map_publish import MapPublish
from proxy.hooks.map_remove import MapRemove
from proxy.hooks.publish import Publish
from proxy.hooks.refresh import Refresh
from proxy.hooks.renewals import Renewals
from proxy.hooks.rpc import Rpc
from proxy.hooks.shared_poll_refresh import SharedPollRefresh
from proxy.hooks.sub_refresh import SubRefresh
from proxy.hooks.subscribe import Subscribe
from proxy.identity.chain import Chain
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Policy
from proxy.settings import Settings
from proxy.stores.memory import Buckets
from proxy.tokens.issue import Issuer
from proxy.tokens.mint import Minter
from proxy.wire import requests

_Asked = TypeVar("_Asked")


class Service:
    """The ASGI application: hooks are found by their path at once, all else goes through Starlette's router."""

    def __init__(self, hooks: Mapping[str, Endpoint[Any]], rest: ASGIApp) -> None:
        self.hooks = hooks
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind."""
        hook = self.hooks.get(scope["path"]) if scope["type"] == "http" else None
        await (hook or self._rest)(scope, receive, send)


def create(
    settings: Settings,
    policy: Policy,
    variables: Mapping[str, str],
    more: Sequence[BaseRoute] = (),
    watch: Watch | None = None,
) -> Service:
    """Build the service; `variables` hold what the policy names, `more` are routes of the demo, `watch` sees every decision too.

    Connects to nothing yet. Raises `SetupFault` for what cannot be used.
    """
    _demand_supported(policy)
    flight = Flight(settings.max_in_flight)
    metrics = Metrics(flight)
    seen = metrics.watch if watch is None else _both(metrics.watch, watch)
    facts = sources.build(policy, variables)
    gate = Gate(policy=policy, source=facts, limits=Buckets(time.monotonic_ns), watch=seen)
    chain = Chain(policy, variables)
    server = Server(settings.centrifugo_url, settings.centrifugo_api_key.get_secret_value())
    minter = Minter(settings.token_key.get_secret_value(), settings.token_ttl, settings.subscription_token_ttl, epoch_ms)
    intake = Intake(flight, settings.max_body)
    rest = [
        *ops.routes(metrics, lambda: gate.policy.revision, {"centrifugo": server.health, "databases": facts.ping}),
        tokens.routes(Issuer(gate, chain, minter, epoch_ms), intake, settings.origins),
        *gateway.routes(Gateway(gate, Keys(policy.services.values(), variables), server, epoch_ms), intake),
        *more,
    ]
    return Service(_hooks(settings, gate, chain, metrics, flight, seen), _starlette(rest, facts, server))


def _demand_supported(policy: Policy) -> None:
    """Refuse a policy that relies on what this version does not do; facts, identities and keys refuse their own."""
    for method, kind in policy.answers.items():
        if kind != "value":
            raise SetupFault(f'the rpc "{method}" of the policy is answered by {kind}, which is not supported yet: write answer = …')
    for service in policy.services.values():
        if service.delivery != "direct":
            raise SetupFault(f"the service {service.name} of the policy wants durable delivery, which is not supported yet: leave it out")


def epoch_ms() -> int:
    """Give the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _both(first: Watch, second: Watch) -> Watch:
    def watch(request: Request, decision: Allow | Deny) -> None:
        first(request, decision)
        second(request, decision)

    return watch


def _hooks(settings: Settings, gate: Gate, chain: Chain, metrics: Metrics, flight: Flight, seen: Watch) -> Mapping[str, Endpoint[Any]]:
    secrets = (settings.hook_secret, settings.hook_secret_previous or settings.hook_secret)
    door = Door([_bytes(secret) for secret in secrets], settings.max_body)
    answers = Answers(explain=settings.explain_to_clients)
    renewals = Renewals(gate, Grace(settings.refresh_grace, epoch_ms), epoch_ms)
    connect = Connect(gate, chain, answers, epoch_ms, seen)
    refresh, sub_refresh, polled = Refresh(renewals), SubRefresh(renewals), SharedPollRefresh()

    def at(event: Event[_Asked]) -> tuple[str, Endpoint[Any]]:
        return f"/centrifugo/{event.name}", Endpoint(event, door, flight, metrics.meter(event.name))

    return dict(
        (
            at(Event(name="connect", decode=requests.decode_connect, reply=lambda asked, raw: connect(asked, folded(raw)))),
            at(
                Event(
                    name="refresh",
                    decode=requests.decode_refresh,
                    reply=lambda asked, raw: refresh(asked, folded(raw)),
                    undecided=refresh.undecided,
                )
            ),
            at(
                Event(
                    name="sub_refresh",
                    decode=requests.decode_sub_refresh,
                    reply=lambda asked, _: sub_refresh(asked),
                    undecided=sub_refresh.undecided,
                )
            ),
            at(_command("subscribe", requests.decode_subscribe, Subscribe(gate, answers, epoch_ms))),
            at(_command("publish", requests.decode_publish, Publish(gate, answers, epoch_ms))),
            at(_command("rpc", requests.decode_rpc, Rpc(gate, answers, epoch_ms))),
            at(_command("map_publish", requests.decode_map_publish, MapPublish(gate, answers, epoch_ms))),
            at(_command("map_remove", requests.decode_map_remove, MapRemove(gate, answers, epoch_ms))),
            at(Event(name="shared_poll_refresh", decode=requests.decode_shared_poll_refresh, reply=lambda asked, _: polled(asked))),
        )
    )


def _command(name: str, decode: Callable[[bytes], _Asked], hook: Command[_Asked, Any]) -> Event[_Asked]:
    return Event(name=name, decode=decode, reply=lambda asked, _: hook(asked), now=hook.now)


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()


def _starlette(routes: Sequence[BaseRoute], facts: Facts, server: Server) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(server.close)
            stack.push_async_callback(facts.close)
            yield

    starlette = Starlette(routes=routes, lifespan=lifespan)
    # A redirect would make callers send their secrets a second time, to an address that nobody configured.
    starlette.router.redirect_slashes = False
    return starlette
