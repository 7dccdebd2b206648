"""The composition root: settings and a policy go in, an ASGI application comes out.

Everything is built once and handed down; nothing below looks anything up.

1. What decides: facts, gate, chain of identities.
2. Who asks: the hooks of Centrifugo, token endpoints for browsers, the gateway for backends, operators.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.delivery.batcher import Api, Batcher
from proxy.delivery.http import Server
from proxy.delivery.outbox import Outbox
from proxy.edge import explain, gateway, jwks, ops, tokens
from proxy.edge.backlog import Backlog
from proxy.edge.flight import Flight
from proxy.edge.headers import folded
from proxy.edge.hooks import Door, Endpoint, Event
from proxy.edge.intake import Intake
from proxy.edge.metrics import Metrics
from proxy.edge.standing import Lags, Standing
from proxy.engine import Engine
from proxy.errors import SetupFault, StoreFault
from proxy.gate import Watch
from proxy.gateway.api import Gateway
from proxy.gateway.own import Own
from proxy.gateway.post import Post
from proxy.grants.blocks import Blocks
from proxy.grants.grace import Grace
from proxy.grants.orders import Orders
from proxy.grants.revocation import Revocation
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
from proxy.policy.policy import Policy
from proxy.records import Records
from proxy.reload import Reload
from proxy.replicas import Alone, Replicas, SharedBlocks
from proxy.review.explain import Explainer
from proxy.settings import Settings
from proxy.stores import outboxes
from proxy.stores.blocks import BlockTable
from proxy.stores.memory import Buckets
from proxy.stores.redis import Shared
from proxy.stores.seal import Seal, public
from proxy.succession import Succession
from proxy.tokens.issue import Issuer
from proxy.tokens.jwks import document
from proxy.tokens.keys import keyring
from proxy.tokens.mint import Minter
from proxy.wire import requests
from proxy.workers import Workers

_Asked = TypeVar("_Asked")

Act: TypeAlias = Callable[[], Awaitable[None]]
"""Something that begins or ends with the service."""


class Service:
    """The ASGI application: hooks and the server API are found by their path at once, all else by Starlette's router."""

    def __init__(
        self,
        hooks: Mapping[str, Endpoint[Any]],
        calls: Mapping[str, ASGIApp],
        rest: ASGIApp,
        opening: Sequence[Act],
        reload: Callable[[], None],
    ) -> None:
        """`opening` are called before it serves, if not already by `prepare`; `reload` has the policies looked at soon."""
        self.targets = {path.encode(): endpoint for path, endpoint in hooks.items()}
        """The hooks, by what stands in the first line of a request."""
        self.reload = reload
        self._paths: Mapping[str, ASGIApp] = {**calls, **hooks}
        self._rest = rest
        self._opening = opening

    async def prepare(self) -> None:
        """Open what may turn out not to be usable; raises `SetupFault`, which is lost if it happens while the server starts."""
        for open_ in self._opening:
            await open_()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of any kind."""
        found = self._paths.get(scope["path"]) if scope["type"] == "http" else None
        await (found or self._rest)(scope, receive, send)


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
    flight, lags = Flight(settings.max_in_flight, settings.max_wait), Lags()
    metrics, intake = Metrics(flight), Intake(flight, settings.max_body)
    records = Records(settings, metrics, epoch_ms, watch)
    shared = Shared(settings.redis_url.get_secret_value()) if settings.redis_url else None
    blocks, table = Blocks(epoch_ms), SharedBlocks(shared) if shared else BlockTable(settings.store_url.get_secret_value())
    engine = Engine(policy, variables, Buckets(time.monotonic_ns), shared, records.watch, blocks)
    records.beside(engine)
    server = centrifugo(settings)
    batcher, urgent = Batcher(server), Batcher(server, ordered=False)
    engine.listener = revocation = Revocation(engine, urgent, epoch_ms, settings.refresh_grace, lags)
    orders = Orders(revocation.registry, revocation.endings, blocks, table, epoch_ms, settings.token_ttl)
    outbox = Outbox(outboxes.outbox((settings.hand_over or settings.store_url).get_secret_value()), batcher, epoch_ms)
    succession = Succession(engine, outbox, records)
    reload = Reload(settings.policies, policy, succession.take, _seal(settings))
    replicas = Replicas(shared, engine, orders, revocation, epoch_ms) if shared else Alone(engine, orders, epoch_ms)
    post = Post(batcher, outbox, Own(replicas, replicas.forget, reload))
    for numbers in (Standing(revocation, lags, reload, records.journal, records.shadow, replicas.mirror), Backlog(outbox)):
        metrics.registry.register(numbers)
    asked, calls = _backends(engine, post, intake)
    rest = [
        *ops.routes(metrics, lambda: (engine.edition.policy.revision, reload.refused), _probes(server, engine, outbox, shared)),
        *(*_tokens(settings, engine, revocation, intake), asked, *calls, *more),
    ]
    opening = (reload.admit, records.prepare, _blocks(orders, settings), partial(succession.prepare, policy))
    workers = Workers([revocation.redecision.run, revocation.endings.run, reload.run, *records.works, *replicas.works])
    closing = [*(each.close for each in (server, urgent, batcher, outbox, table, replicas, engine, workers)), revocation.drain]
    starlette = _starlette(rest, (*opening, engine.start, workers.start), closing)
    hooks = _hooks(settings, engine, revocation, metrics, records, batcher)
    return Service(hooks, gateway.paths(calls), starlette, opening, reload.ask)


def _blocks(orders: Orders, settings: Settings) -> Act:
    async def load() -> None:
        try:
            await orders.load()
        except StoreFault as fault:
            name = "CENTRIGATE_REDIS_URL" if settings.redis_url else "CENTRIGATE_STORE_URL"
            raise SetupFault(f"who is blocked cannot be read ({fault}): start the store of {name}, or correct its address") from None

    return load


def _tokens(settings: Settings, engine: Engine, revocation: Revocation, intake: Intake) -> Sequence[BaseRoute]:
    keys = keyring(settings)
    minter = Minter(keys[0], settings.token_ttl, settings.subscription_token_ttl, epoch_ms)
    issuer = Issuer(engine.gate, engine, minter, epoch_ms, revocation.ledger)
    return [tokens.routes(issuer, intake, settings.origins), jwks.route(document(key.jwk for key in keys))]


def _backends(engine: Engine, post: Post, intake: Intake) -> tuple[Route, Sequence[Route]]:
    asked = explain.route(engine.gate, engine, Explainer(engine.gate, epoch_ms).explain, intake, epoch_ms)
    return asked, gateway.routes(Gateway(engine.gate, engine, post, epoch_ms), intake)


def _probes(server: Api, engine: Engine, outbox: Outbox, shared: Shared | None) -> Mapping[str, ops.Probe]:
    async def kept() -> None:
        if outbox.open:
            await outbox.probe()

    probes = {"centrifugo": server.health, "databases": engine.ping, "outbox": kept}
    return {**probes, "redis": shared.ping} if shared else probes


def _seal(settings: Settings) -> Seal | None:
    key = settings.policy_key
    return None if key is None else Seal(public(key.get_secret_value()), settings.policy_edition)


def centrifugo(settings: Settings) -> Api:
    """The server API of the Centrifugo that the settings name; connects to nothing yet."""
    key = settings.centrifugo_api_key.get_secret_value()
    if settings.centrifugo_grpc is None:
        return Server(settings.centrifugo_url, key)
    from proxy.delivery.grpc import Server as Grpc  # noqa: PLC0415 - 25 MB of memory, only for those who choose it

    return Grpc(settings.centrifugo_grpc, key)


def epoch_ms() -> int:
    """Give the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _hooks(
    settings: Settings, engine: Engine, revocation: Revocation, metrics: Metrics, records: Records, batcher: Batcher
) -> Mapping[str, Endpoint[Any]]:
    door, answers = _door(settings), Answers(explain=settings.explain_to_clients)
    gate, flight, ledger, seen = engine.gate, metrics.flight, revocation.ledger, records.watch
    renewals = Renewals(gate, Grace(settings.refresh_grace, epoch_ms), epoch_ms, ledger)
    connect = Connect(gate, engine, answers, epoch_ms, seen, ledger)
    rpc = Rpc(gate, answers, epoch_ms, engine, batcher)
    refresh, sub_refresh, polled = Refresh(renewals, engine, seen), SubRefresh(renewals), SharedPollRefresh()

    events: Sequence[Event[Any]] = (
        Event(
            name="connect",
            decode=requests.decode_connect,
            reply=lambda asked, raw: connect(asked, folded(raw)),
            now=lambda asked, raw: connect.now(asked, folded(raw)),
        ),
        Event(
            name="refresh",
            decode=requests.decode_refresh,
            reply=lambda asked, raw: refresh(asked, folded(raw)),
            undecided=refresh.undecided,
        ),
        Event(
            name="sub_refresh",
            decode=requests.decode_sub_refresh,
            reply=lambda asked, _: sub_refresh(asked),
            undecided=sub_refresh.undecided,
        ),
        _command("subscribe", requests.decode_subscribe, Subscribe(gate, answers, epoch_ms, ledger)),
        _command("publish", requests.decode_publish, Publish(gate, answers, epoch_ms)),
        Event(name="rpc", decode=requests.decode_rpc, reply=lambda asked, _: rpc(asked), lasts=True),
        _command("map_publish", requests.decode_map_publish, MapPublish(gate, answers, epoch_ms)),
        _command("map_remove", requests.decode_map_remove, MapRemove(gate, answers, epoch_ms)),
        Event(name="shared_poll_refresh", decode=requests.decode_shared_poll_refresh, reply=lambda asked, _: polled(asked)),
    )
    return {f"/centrifugo/{event.name}": Endpoint(event, door, flight, metrics.meter(event.name)) for event in events}


def _command(name: str, decode: Callable[[bytes], _Asked], hook: Command[_Asked, Any]) -> Event[_Asked]:
    return Event(name=name, decode=decode, reply=lambda asked, _: hook(asked), now=lambda asked, _: hook.now(asked))


def _door(settings: Settings) -> Door:
    secrets = (settings.hook_secret, settings.hook_secret_previous)
    return Door([secret.get_secret_value().encode() for secret in secrets if secret], settings.max_body)


def _starlette(routes: Sequence[BaseRoute], starting: Sequence[Act], closing: Sequence[Act]) -> Starlette:
    """Make the application of these routes; before it serves `starting` are called, at its end `closing`, from the last."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for close in closing:
                stack.push_async_callback(close)
            for start in starting:
                await start()
            yield

    starlette = Starlette(routes=routes, lifespan=lifespan)
    # A redirect would make callers send their secrets a second time, to an address that nobody configured.
    starlette.router.redirect_slashes = False
    return starlette
