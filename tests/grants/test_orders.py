from collections.abc import Iterable
from dataclasses import replace

import pytest

from proxy.errors import Fault
from proxy.grants import endings as module
from proxy.grants import orders as orders_module
from proxy.grants.blocks import Blocks
from proxy.grants.grant import TOKEN
from proxy.grants.orders import Orders
from proxy.stores.blocks import Block
from proxy.wire.connections import Connection
from tests.grants.scene import Scene


class Kept:
    """A store that is a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, Block] = {}
        self.away = False

    async def blocks(self) -> Iterable[Block]:
        return self.kept.values()

    async def block(self, block: Block) -> None:
        if self.away:
            raise Fault("away")
        self.kept[block.user] = block

    async def unblock(self, user: str) -> None:
        if self.away:
            raise Fault("away")
        self.kept.pop(user, None)


class Desk(Scene):
    def __init__(self, store: Kept | None = None) -> None:
        super().__init__()
        self.store, self.blocks = store or Kept(), Blocks(self.clock)
        self.orders = Orders(self.registry, self.endings, self.blocks, self.store, self.clock, token_ttl_s=600)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)


async def test_a_blocked_user_loses_every_connection_known_or_not_until_no_token_can_be_used() -> None:
    desk = Desk()
    desk.connection("c1", "42")
    desk.connection("c2", "43")
    desk.subscription("c1", "42", "doc:7")
    async with desk.running():
        await desk.orders.block("42", None)
        assert "42" in desk.blocks
        await desk.centrifugo.heard(4)
        desk.clock.now += 600_000
        await desk.until(lambda: not len(desk.endings))
    assert {(each["method"], each["user"], each.get("client")) for each in desk.centrifugo.sent} == {
        ("disconnect", "42", "c1"),
        ("disconnect", "42", None),
    }
    assert all(each.get("whitelist", []) == [] for each in desk.centrifugo.sent)
    assert desk.registry.of_user("42") == ()
    assert desk.store.kept["42"] == Block(user="42", since_s=desk.clock.now // 1000 - 600, until_s=None)


async def test_a_block_that_is_over_already_ends_nothing() -> None:
    desk = Desk()
    desk.connection("c1", "42")
    await desk.orders.block("42", desk.clock.now // 1000)
    assert len(desk.endings) == 0


async def test_who_is_let_in_again_is_ended_no_more() -> None:
    desk = Desk()
    await desk.orders.block("42", None)
    assert len(desk.endings) == 1
    await desk.orders.unblock("42")
    assert ("42" in desk.blocks, len(desk.endings), desk.store.kept) == (False, 0, {})


async def test_a_block_holds_though_it_cannot_be_kept_and_stays_when_it_cannot_be_forgotten() -> None:
    desk = Desk()
    desk.store.away = True
    with pytest.raises(Fault, match="away"):
        await desk.orders.block("42", None)
    assert "42" in desk.blocks
    with pytest.raises(Fault, match="away"):
        await desk.orders.unblock("42")
    assert "42" in desk.blocks


async def test_blocks_outlive_the_process() -> None:
    store = Kept()
    first = Desk(store)
    await first.orders.block("42", None)
    await first.orders.block("43", None)
    store.kept["43"] = Block(user="43", since_s=first.clock.now // 1000 - 600, until_s=None)
    second = Desk(store)
    await second.orders.load()
    assert ("42" in second.blocks, "43" in second.blocks) == (True, True)
    assert len(second.endings) == 1  # only the first may have a token from before that is still usable


async def test_blocks_that_are_kept_no_more_are_forgotten_when_they_are_read_again() -> None:
    desk = Desk()
    await desk.orders.block("42", None)
    await desk.orders.block("43", None)
    del desk.store.kept["42"]
    before = len(desk.endings)
    await desk.orders.load()
    assert ("42" in desk.blocks, "43" in desk.blocks, len(desk.endings)) == (False, True, before - 1)


async def test_a_revoked_token_is_ended_even_if_its_user_gets_another() -> None:
    desk = Desk()
    token = desk.token("42", usable_s=60)
    assert desk.orders.revoke(token.holder.removeprefix(TOKEN))
    assert not desk.orders.revoke("unknown")
    assert len(desk.endings) == 1
    desk.redecision.hold([replace(token)])
    desk.connection("c1", "42")
    assert len(desk.endings) == 1
    async with desk.running():
        desk.clock.now += 60_000
        await desk.until(lambda: not len(desk.endings))
    assert desk.centrifugo.sent[0]["whitelist"] == ["c1"]
    assert desk.registry.of_token(token.holder.removeprefix(TOKEN)) is None


@pytest.mark.parametrize(
    ("before_s", "channel", "ended"),
    [(0, None, 2), (0, "doc:7", 1), (0, "doc:8", 0), (-11, None, 0), (-10, None, 2)],
)
async def test_outdated_are_the_users_tokens_of_before(before_s: int, channel: str | None, ended: int) -> None:
    desk = Desk()
    desk.token("42")
    desk.token("42", "doc:7")
    desk.token("43")
    desk.connection("c1", "42")
    desk.orders.outdate("42", desk.clock.now + before_s * 1000, channel)
    assert len(desk.endings) == ended


async def test_connections_are_those_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.connection("c1", "42")
    desk.connection("c2", "43")
    desk.subscription("c1", "42", "doc:7")
    desk.subscription("c1", "42", "doc:6")
    desk.token("42")
    first = Connection(client="c1", user="42", transport="", name="", version="", channels=("doc:6", "doc:7"))
    other = Connection(client="c2", user="43", transport="", name="", version="", channels=())
    assert desk.orders.connections("42") == [first]
    assert desk.orders.connections(None) == [first, other]
    monkeypatch.setattr(orders_module, "LISTED", 1)
    assert desk.orders.connections(None) == [first]
