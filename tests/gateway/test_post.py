"""How parcels get out: what fails alone, what fails the call, what is kept in the outbox."""

import logging
from typing import Any

import pytest

from proxy.errors import DeliveryFault, Malformed, Overload
from proxy.gateway.api import Caller
from tests.gateway.scene import KEEPING, ORDERS, Centrifugo, allow, ask, by_channel, deny, error, everything, orders

AWAY = DeliveryFault("Centrifugo is away")
BUSY = Overload("too much waits")


def publications(*channels: str) -> dict[str, Any]:
    return {"commands": [{"publish": {"channel": channel, "data": n}} for n, channel in enumerate(channels)]}


async def test_what_fails_fails_alone_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        answer, _, _ = await ask("batch", publications("a", "b", "c", "d"), everything, Centrifugo(b=AWAY, c=BUSY, d=AWAY))
    assert answer == {"replies": [{"publish": {"epoch": "a"}}, error(100), error(111), error(100)]}
    assert sorted(caplog.messages) == ["Centrifugo is away", "too much waits"]


@pytest.mark.parametrize("channels", ["a", "ab"])
async def test_when_too_much_waits_for_everything_the_call_can_be_repeated(channels: str) -> None:
    with pytest.raises(Overload, match="too much waits"):
        await ask("batch", publications(*channels), everything, Centrifugo(BUSY))


async def test_what_was_refused_does_not_keep_a_call_from_being_repeated() -> None:
    with pytest.raises(Overload):
        await ask("batch", publications("a", "b"), by_channel(a=deny("no_rule"), b=allow()), Centrifugo(BUSY))


async def test_an_unknown_fate_keeps_a_call_from_being_repeated() -> None:
    answer, _, _ = await ask("batch", publications("a", "b"), everything, Centrifugo(a=AWAY, b=BUSY))
    assert answer == {"replies": [error(100), error(111)]}


async def test_a_broadcast_for_which_too_much_waits_is_told_for_each_of_its_channels() -> None:
    rule = by_channel(a=allow(data=1), b=allow(data=2), c=allow(data=2))
    answer, _, _ = await ask("broadcast", {"channels": ["a", "b", "c"], "data": 0}, rule, Centrifugo(b=BUSY))
    assert answer == {"result": {"responses": [{"result": {"epoch": "a"}}, error(111), error(111)]}}


@pytest.mark.parametrize("channels", ["a", "ab", "bca"])
async def test_an_unforeseen_failure_fails_the_call_after_everything_has_ended(channels: str) -> None:
    server = Centrifugo(a=LookupError("unforeseen"))
    with pytest.raises(LookupError, match="unforeseen"):
        await ask("batch", publications(*channels), everything, server)
    assert len(server.log) == 2 * len(channels)


async def test_a_durable_publication_is_kept_and_not_sent() -> None:
    told = await ask("publish", {"channel": "a", "data": {"n": 1}}, lambda _: allow(data={"n": 2}), caller=KEEPING)
    assert (told.answer, told.sent) == ({"result": {}}, [])
    assert [[command.params for command in kept] for kept in told.box.kept] == [[{"channel": "a", "data": {"n": 2}}]]


async def test_a_durable_broadcast_is_kept_for_what_is_allowed() -> None:
    rule = by_channel(a=allow(data=1), b=deny("no_rule"), c=allow(data=1), d=allow(data=2))
    told = await ask("broadcast", {"channels": ["a", "b", "c", "d"], "data": 0}, rule, caller=KEEPING)
    assert told.answer == {"result": {"responses": [{"result": {}}, error(103), {"result": {}}, {"result": {}}]}}
    assert [[command.params for command in kept] for kept in told.box.kept] == [
        [{"channels": ["a", "c"], "data": 1}, {"channels": ["d"], "data": 2}]
    ]


@pytest.mark.parametrize("parallel", [False, True])
async def test_the_durable_publications_of_a_batch_are_kept_together_before_the_rest_is_sent(*, parallel: bool) -> None:
    commands = [
        {"publish": {"channel": "a", "data": 1}},
        {"history": {"channel": "a"}},
        {"publish": {"channel": "b", "data": 2}},
        {"map_publish": {"channel": "c", "key": "k", "data": 3}},
    ]
    told = await ask("batch", {"commands": commands, "parallel": parallel}, everything, caller=KEEPING)
    assert told.answer == {"replies": [{"publish": {}}, {"history": {"epoch": "a"}}, {"publish": {}}, {"map_publish": {"epoch": "c"}}]}
    assert [[command.channels for command in kept] for kept in told.box.kept] == [[("a",), ("b",)]]
    assert told.centrifugo.log[0] == "kept"
    assert [method for method, _ in told.sent] == ["history", "map_publish"]


async def test_lines_are_kept_too() -> None:
    told = await ask("", b'{"method":"publish","params":{"channel":"a","data":1}}', everything, caller=KEEPING)
    assert (told.answer, len(told.box.kept)) == ([{"result": {}}], 1)


async def test_what_cannot_be_kept_is_an_internal_error() -> None:
    answer, sent, _ = await ask("batch", publications("a", "b"), everything, None, KEEPING, AWAY)
    assert (answer, sent) == ({"replies": [error(100), error(100)]}, [])


async def test_a_full_outbox_can_be_asked_again() -> None:
    with pytest.raises(Overload):
        await ask("batch", publications("a", "b"), everything, None, KEEPING, BUSY)
    commands = [*publications("a")["commands"], {"info": {}}]
    answer, _, _ = await ask("batch", {"commands": commands}, everything, None, KEEPING, BUSY)
    assert answer == {"replies": [error(111), {"info": {"epoch": "info"}}]}


async def test_nothing_is_kept_when_everything_is_refused() -> None:
    told = await ask("batch", publications("a"), by_channel(a=deny("no_rule")), caller=KEEPING)
    assert (told.answer, told.box.kept) == ({"replies": [error(103)]}, [])


async def test_a_durable_service_may_choose_direct_delivery() -> None:
    told = await ask("publish", {"channel": "a", "data": 1}, everything, caller=Caller(service=orders("durable"), delivery="direct"))
    assert (told.answer, told.box.kept) == ({"result": {"epoch": "a"}}, [])


def test_what_is_chosen_is_within_what_the_service_is_declared_as() -> None:
    assert not ORDERS.durable
    assert KEEPING.durable
    assert Caller(service=orders("durable"), delivery="durable").durable
    assert not Caller(service=orders(), delivery="direct").durable
    with pytest.raises(Malformed, match="orders may not choose durable delivery"):
        Caller(service=orders(), delivery="durable")
