"""Centrifugo's own Python client, pointed at the gateway, with a real Centrifugo behind it and real clients connected."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import jwt
import pytest
from cent import (
    AsyncClient,
    BatchRequest,
    BlockUserRequest,
    BoolValue,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    ChannelOptionsOverride,
    ChannelsRequest,
    Client,
    ConnectionsRequest,
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    InvalidateUserTokensRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    RevokeTokenRequest,
    StreamPosition,
    SubscribeRequest,
    UnblockUserRequest,
    UnsubscribeRequest,
)
from centrifuge import Client as Connection
from centrifuge import (
    ClientEventHandler,
    ConnectedContext,
    DisconnectedContext,
    ServerPublicationContext,
    ServerSubscribedContext,
    ServerUnsubscribedContext,
)

from tests.docs import pages
from tests.gateway.pair import ALL_KEY, ORDERS_KEY, TOKEN_KEY, Pair

pytestmark = pytest.mark.live

Send: TypeAlias = Callable[[Any], Any]
"""Sends a request of either client and gives its result."""


@pytest.fixture(params=["sync", "async"])
async def send(request: pytest.FixtureRequest, pair: Pair) -> AsyncIterator[Send]:
    address = f"{pair.gateway}/api"
    if request.param == "async":
        client = AsyncClient(address, ALL_KEY)
        yield lambda asked: getattr(client, asked.api_method)(asked)
        await client.close()
        return
    ordinary = Client(address, ALL_KEY)
    yield lambda asked: asyncio.to_thread(getattr(ordinary, asked.api_method), asked)
    ordinary.close()


class Person(ClientEventHandler):
    """A user who is connected, and what happens to her."""

    def __init__(self, address: str, user: str) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()
        token = jwt.encode({"sub": user, "exp": 4_000_000_000}, TOKEN_KEY)
        url = address.replace("http", "ws") + "/connection/websocket"
        self.client = Connection(url, events=self, token=token, proxy=None)

    async def next(self) -> Any:  # noqa: ANN401 - any context
        async with asyncio.timeout(10):
            return await self.heard.get()

    async def on_connected(self, ctx: ConnectedContext) -> None:
        self.heard.put_nowait(ctx)

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        self.heard.put_nowait(ctx)

    async def on_unsubscribed(self, ctx: ServerUnsubscribedContext) -> None:
        self.heard.put_nowait(ctx)

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.heard.put_nowait(ctx)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self.heard.put_nowait(ctx)


async def test_publications_are_sent_kept_and_forgotten(send: Send) -> None:
    channel = f"chat:cent-{uuid4().hex}"
    request = PublishRequest(channel=channel, data={"n": 1}, tags={"k": "v"}, idempotency_key="i", skip_history=False)
    first, again = await send(request), await send(request)
    assert (first.offset, first.epoch) == (again.offset, again.epoch) == (1, first.epoch)
    assert (await send(PublishRequest(channel=channel, data={"n": 2}))).offset == 2
    history = await send(HistoryRequest(channel=channel, limit=10, since=StreamPosition(offset=0, epoch=first.epoch)))
    assert [each.data for each in history.publications] == [{"n": 1}, {"n": 2}]
    assert history.publications[0].tags == {"k": "v"}
    await send(HistoryRemoveRequest(channel=channel))
    assert (await send(HistoryRequest(channel=channel, limit=10, reverse=True))).publications == []


async def test_a_broadcast_tells_of_each_channel(send: Send) -> None:
    channel = f"chat:cast-{uuid4().hex}"
    result = await send(BroadcastRequest(channels=[channel, "nowhere:x"], data=[1]))
    first, second = result.responses
    assert (first.result.offset, second.error.code) == (1, 102)


async def test_a_batch_gives_the_results_in_order(send: Send) -> None:
    channel = f"chat:batch-{uuid4().hex}"
    commands = [
        PublishRequest(channel=channel, data=1),
        BroadcastRequest(channels=[channel], data=2),
        PresenceRequest(channel=channel),
        HistoryRequest(channel=channel, limit=5),
    ]
    published, broadcast, presence, history = (await send(BatchRequest(requests=commands))).replies
    assert (published.offset, broadcast.responses[0].result.offset, presence.presence) == (1, 2, {})
    assert [each.data for each in history.publications] == [1, 2]
    assert (await send(BatchRequest(requests=[PublishRequest(channel=channel, data=3)], parallel=True))).replies[0].offset == 3


async def test_a_connected_user_is_subscribed_told_seen_and_sent_away(send: Send, pair: Pair) -> None:
    channel, user = f"chat:room-{uuid4().hex}", f"user-{uuid4().hex}"
    ann = Person(pair.direct, user)
    await ann.client.connect()
    assert isinstance(await ann.next(), ConnectedContext)
    await send(SubscribeRequest(user=user, channel=channel, info={"role": "guest"}))
    assert (await ann.next()).channel == channel
    await send(PublishRequest(channel=channel, data={"n": 1}))
    assert (await ann.next()).pub.data == {"n": 1}
    (present,) = (await send(PresenceRequest(channel=channel))).presence.values()
    assert (present.user, present.chan_info) == (user, {"role": "guest"})
    stats = await send(PresenceStatsRequest(channel=channel))
    assert (stats.num_clients, stats.num_users) == (1, 1)
    assert (await send(ChannelsRequest(pattern=channel))).channels[channel].num_clients == 1
    await send(RefreshRequest(user=user, expire_at=4_000_000_000))
    await send(UnsubscribeRequest(user=user, channel=channel))
    assert isinstance(await ann.next(), ServerUnsubscribedContext)
    await send(DisconnectRequest(user=user, disconnect=Disconnect(code=4500, reason="bye")))
    ended = await ann.next()
    assert (ended.code, ended.reason) == (4500, "bye")


async def test_commands_for_a_user_are_taken(send: Send) -> None:
    override = ChannelOptionsOverride(presence=BoolValue(value=True), join_leave=BoolValue(value=True))
    subscribe = SubscribeRequest(
        user="42",
        channel="chat:u",
        info={"i": 1},
        data={"d": 1},
        client="c",
        session="s",
        override=override,
        recover_since=StreamPosition(offset=0, epoch=""),
    )
    for request in (
        subscribe,
        UnsubscribeRequest(user="42", channel="chat:u", client="c", session="s"),
        RefreshRequest(user="42", client="c", session="s", expired=False, expire_at=2_000_000_000),
        DisconnectRequest(user="42", client="c", session="s", whitelist=["d"], disconnect=Disconnect(code=4000, reason="bye")),
    ):
        await send(request)


async def test_readings_are_given(send: Send) -> None:
    stats = await send(PresenceStatsRequest(channel="chat:r"))
    assert (stats.num_clients, stats.num_users) == (0, 0)
    assert (await send(ChannelsRequest(pattern="chat:*"))).channels == {}
    (node,) = (await send(InfoRequest())).nodes
    assert node.num_clients == 0


@pytest.mark.parametrize(
    "request_",
    [
        BlockUserRequest(user="nobody-42"),
        UnblockUserRequest(user="nobody-42"),
        InvalidateUserTokensRequest(user="nobody-42"),
        ConnectionsRequest(user="nobody-42", expression=""),
    ],
    ids=lambda request: request.api_method,
)
async def test_what_the_open_source_server_does_not_have_is_carried_out(send: Send, request_: Any) -> None:  # noqa: ANN401 - cent's requests
    assert await send(request_)


async def test_a_token_that_nobody_knows_cannot_be_revoked(send: Send) -> None:
    with pytest.raises(CentApiResponseError, match="not known") as refused:
        await send(RevokeTokenRequest(uid="j"))
    assert refused.value.code == 108


async def test_refusals_are_errors_of_the_api(pair: Pair) -> None:
    client = AsyncClient(f"{pair.gateway}/api", ORDERS_KEY)
    with pytest.raises(CentApiResponseError, match="permission denied") as refused:
        await client.presence(PresenceRequest(channel="elsewhere"))
    assert refused.value.code == 103
    assert (await client.publish(PublishRequest(channel="chat:cent-stamped", data={"n": 1}))).offset == 1
    await client.close()


async def test_a_wrong_key_is_an_error_of_its_own(pair: Pair) -> None:
    client = AsyncClient(f"{pair.gateway}/api", "wrong")
    with pytest.raises(CentUnauthorizedError):
        await client.info(InfoRequest())
    await client.close()


async def test_the_example_of_the_page_publishes(pair: Pair) -> None:
    function, made = (block.text for block in pages.blocks(pages.page("publishing"), "python")[:2])
    names: dict[str, Any] = {"ORDERS_KEY": ALL_KEY}
    exec(function + made.replace("http://127.0.0.1:8010", pair.gateway), names)  # noqa: S102 - ours
    assert await names["shipped"](names["client"], "42", "12345") == 0
    await names["client"].close()


async def test_the_example_of_the_page_raises_what_is_refused(pair: Pair) -> None:
    function, made = (block.text for block in pages.blocks(pages.page("publishing"), "python")[:2])
    names: dict[str, Any] = {"ORDERS_KEY": ORDERS_KEY}
    exec(function + made.replace("http://127.0.0.1:8010", pair.gateway), names)  # noqa: S102 - ours
    with pytest.raises(CentApiResponseError, match="permission denied"):
        await names["shipped"](names["client"], "42", "12345")
    await names["client"].close()
