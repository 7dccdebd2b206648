import asyncio
from collections.abc import Callable, Iterable

import pytest

from proxy.errors import Fault
from proxy.grants import ledger as module
from proxy.grants.grant import TOKEN, Grant, Key
from proxy.grants.grant import topics as rests
from proxy.grants.ledger import TOGETHER, Ledger
from proxy.grants.registry import Registry
from proxy.policy.decision import Allow, FactKey, Known, Request
from tests.grants.scene import Scene, topics

NOW = 1_700_000_000_000
ACCOUNT: FactKey = ("account", "42")
MEMBER: FactKey = ("member", "7", "42")


def allow(*facts: FactKey, channels: dict[str, Allow] | None = None) -> Allow:
    known = {key: Known(value=True, topics=topics(key)) for key in facts}
    return Allow(rule="a/b/c", at="x.policy:1", revision="r", facts=known, channels=channels)


def connect(**more: object) -> Request:
    asked = {"op": "connect", "user": "42", "client": "c1", "headers": {"origin": "o"}, "timestamp_ms": NOW, **more}
    return Request(**asked)  # type: ignore[arg-type]  # as the tests give it


class Desk(Scene):
    """A ledger; `read` are the names that the policy looks at."""

    def __init__(self, *read: str) -> None:
        super().__init__()
        self.ledger = Ledger(self.redecision, lambda _: frozenset(read))
        self.registry.catch_up = self.ledger.write

    def subscribed(self, channel: str) -> None:
        """A hook allowed a subscription."""
        self.ledger.subscribed(Request(op="subscribe", user="42", client="c1", channel=channel, timestamp_ms=NOW), allow(), None)


class Held:
    """Keeps nothing but the channels of grants."""

    def __init__(self) -> None:
        self.channels: list[str] = []

    def hold(self, grants: Iterable[Grant]) -> None:
        self.channels += [grant.channel for grant in grants]

    def release(self, key: Key) -> None:
        """Nothing ends here."""


async def test_a_connection_is_held_with_what_it_rests_on_and_with_its_subscriptions() -> None:
    desk = Desk()
    desk.ledger.connected(connect(meta={"a": 1}), allow(ACCOUNT, channels={"doc:7": allow(MEMBER)}), 1_700_000_060)
    connection, subscription = desk.registry.get(("42", "c1", "")), desk.registry.get(("42", "c1", "doc:7"))
    assert connection
    assert subscription
    assert (connection.rule, connection.revision, connection.topics, connection.end_s) == ("a/b/c", "r", ("account:42",), 1_700_000_060)
    assert (connection.since_ms, connection.decided_ms) == (NOW, NOW)
    assert (subscription.topics, subscription.end_s) == (("doc:7",), None)
    expected = Request(op="sub_refresh", user="42", client="c1", channel="doc:7", meta={"a": 1}, timestamp_ms=NOW + 5)
    assert subscription.request(NOW + 5) == expected


async def test_headers_and_payload_are_kept_only_if_rules_look_at_them() -> None:
    asked = connect(data={"token": "secret"})
    for read, headers, data in (((), None, None), (("headers",), {"origin": "o"}, None), (("data",), None, {"token": "secret"})):
        desk = Desk(*read)
        desk.ledger.connected(asked, allow(), None)
        grant = desk.registry.get(("42", "c1", ""))
        assert grant
        again = grant.request(NOW)
        assert (again.op, again.headers, again.data) == ("refresh", headers, data)
    assert asked.data == {"token": "secret"}


async def test_a_long_payload_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 8)
    desk = Desk("data")
    for channel, data in (("doc:7", "x" * 8), ("doc:8", "x" * 9)):
        desk.ledger.subscribed(Request(op="subscribe", user="42", client="c1", channel=channel, data=data, timestamp_ms=NOW), allow(), None)
    kept, dropped = desk.registry.get(("42", "c1", "doc:7")), desk.registry.get(("42", "c1", "doc:8"))
    assert kept
    assert dropped
    assert (kept.request(NOW).data, dropped.request(NOW).data) == ("x" * 8, None)


async def test_a_token_is_held_by_its_name_with_the_subscriptions_of_its_connection() -> None:
    desk = Desk()
    desk.ledger.minted(connect(client=None), allow(ACCOUNT, channels={"doc:7": allow(MEMBER)}), "j1", 1_700_000_600, 1_700_003_600)
    desk.ledger.minted(Request(op="subscribe", user="42", channel="doc:8", timestamp_ms=NOW), allow(), "j2", 1_700_000_060, None)
    first, second = desk.registry.of_token("j1"), desk.registry.of_token("j2")
    assert first
    assert second
    assert (first.key, first.usable_s, first.end_s) == (("42", TOKEN + "j1", ""), 1_700_000_600, 1_700_003_600)
    assert (second.key, second.usable_s, second.end_s) == (("42", TOKEN + "j2", "doc:8"), 1_700_000_060, None)
    beside = desk.registry.get(("42", TOKEN + "j1", "doc:7"))
    assert beside
    assert (beside.minted, beside.topics) == (True, ("doc:7",))
    desk.registry.release(first.key)
    assert (desk.registry.of_token("j1"), desk.registry.get(beside.key)) == (None, None)


def test_what_was_not_prolonged_is_forgotten_a_connection_with_its_subscriptions() -> None:
    desk = Desk()
    desk.connection("c1", "42")
    desk.connection("c2", "42")
    for channel in ("doc:7", "doc:8"):
        desk.subscription("c1", "42", channel)
    desk.ledger.ended("42", "c1", "doc:7")
    assert {grant.key for grant in desk.registry} == {("42", "c1", ""), ("42", "c2", ""), ("42", "c1", "doc:8")}
    desk.ledger.ended("42", "c1", "")
    desk.ledger.ended("42", "unknown", "")
    assert {grant.key for grant in desk.registry} == {("42", "c2", "")}


async def test_what_a_grant_is_decided_by_again_is_what_it_was_decided_by() -> None:
    desk = Desk("headers", "data")
    asked = connect(op="refresh", transport="sse", data={"a": 1}, ambiguous=True, meta={"m": 1}, name="js", version="5")
    desk.ledger.connected(asked, allow(), None)
    asked.op, asked.channel, asked.headers = "sub_refresh", "doc:7", None
    desk.ledger.subscribed(asked, allow(), None)
    connection, subscription = desk.registry.get(("42", "c1", "")), desk.registry.get(("42", "c1", "doc:7"))
    assert connection
    assert subscription
    assert connection.request(NOW) == connect(
        op="refresh", transport="sse", data={"a": 1}, ambiguous=True, meta={"m": 1}, name="js", version="5"
    )
    assert subscription.request(NOW) == asked


async def test_subscriptions_are_held_as_soon_as_there_are_enough_or_some_time_has_passed() -> None:
    held = Held()
    ledger = Ledger(held, lambda _: frozenset())
    asked = [Request(op="subscribe", user="42", client="c1", channel=f"doc:{number}", timestamp_ms=NOW) for number in range(TOGETHER + 1)]
    for each in asked[:-2]:
        ledger.subscribed(each, allow(), None)
    assert held.channels == []
    ledger.subscribed(asked[-2], allow(), None)
    assert held.channels == [each.channel for each in asked[:-1]]
    ledger.subscribed(asked[-1], allow(), None)
    async with asyncio.timeout(10):
        while len(held.channels) < len(asked):  # noqa: ASYNC110 - it happens by itself
            await asyncio.sleep(0)


async def test_what_cannot_be_written_as_json_takes_nothing_with_it() -> None:
    desk = Desk()
    desk.subscribed("doc:7")
    with pytest.raises(Fault, match="cannot be written as JSON"):
        desk.ledger.connected(connect(meta={"a": 1 << 70}), allow(), None)
    assert [grant.channel for grant in desk.registry] == ["doc:7"]


@pytest.mark.parametrize("what", ["connected", "minted", "ended"])
async def test_what_was_noted_before_is_held_before(what: str) -> None:
    desk = Desk()
    for channel in ("doc:7", "doc:8"):
        desk.subscribed(channel)
    if what == "connected":
        desk.ledger.connected(connect(), allow(), None)
    elif what == "minted":
        desk.ledger.minted(Request(op="subscribe", user="42", channel="doc:9", timestamp_ms=NOW), allow(), "j", 1_700_000_060, None)
    else:
        desk.ledger.ended("42", "c1", "doc:8")
    expected = {"connected": ["doc:7", "doc:8", ""], "minted": ["doc:7", "doc:8", "doc:9"], "ended": ["doc:7"]}
    assert [grant.channel for grant in desk.registry] == expected[what]


async def test_whoever_looks_for_grants_sees_those_that_were_only_noted() -> None:
    key = ("42", "c1", "doc:7")
    looks: list[Callable[[Registry], object]] = [
        len,
        lambda registry: registry.get(key),
        list,
        lambda registry: registry.of_user("42"),
        lambda registry: registry.by_rules(lambda rule: rule == "a/b/c"),
        lambda registry: registry.resting_on(["doc:7"]),
    ]
    for look in looks:
        desk = Desk()
        desk.ledger.subscribed(Request(op="subscribe", user="42", client="c1", channel="doc:7", timestamp_ms=NOW), allow(MEMBER), None)
        assert look(desk.registry)
    desk = Desk()
    desk.subscribed("doc:7")
    desk.registry.drop(key)
    desk.subscribed("doc:8")
    desk.registry.release(("42", "c1", "doc:8"))
    assert len(desk.registry) == 0


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([("doc:7", "account:42"), ("account:42",)], ("doc:7", "account:42")),
        ([("account:42",), ("doc:7", "account:42")], ("doc:7", "account:42")),
        ([("doc:7",), (), ("account:42", "doc:7"), ("doc:8",)], ("account:42", "doc:7", "doc:8")),
    ],
)
def test_what_invalidates_two_facts_is_kept_once(facts: list[tuple[str, ...]], expected: tuple[str, ...]) -> None:
    assert rests([Known(value=1, topics=each) for each in facts]) == expected
