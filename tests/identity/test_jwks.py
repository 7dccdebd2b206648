import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.errors import FactFault, SetupFault
from proxy.identity.jwks import FRESH_S, INTERVAL_S, KEPT_S, RETRY_S, KeySet
from proxy.identity.jwt import Tokens

from .forge import NOW, SECRET, identity, jwk, oct_jwk, private, sign
from .site import Site, says, site

ONE, TWO = jwk("P-256", kid="one"), jwk("P-256 too", kid="two")


class Issuer:
    """A site that publishes keys, and the set that is fetched from it, with a clock of its own."""

    def __init__(self, at: Site) -> None:
        self.site = at
        self.now = 0.0
        self.publish(ONE)
        self.set = KeySet("idp", f"{at.url}/keys?p=1", ("ES256", "RS256"), now=lambda: self.now, spread=lambda: 0.0)

    def publish(self, *keys: object) -> None:
        self.site.answer = says({"keys": keys})

    async def names(self, kid: str | None = None) -> list[str | None]:
        return [key.kid for key in (await self.set.ring(kid)).keys]

    async def settle(self) -> None:
        """Wait for a fetch beside the answers."""
        if self.set._flight:
            await asyncio.wait({self.set._flight})


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    async with site() as at:
        made = Issuer(at)
        try:
            yield made
        finally:
            await made.set.close()


async def test_the_first_token_fetches_the_keys_once_for_all_who_wait() -> None:
    async with issuing() as made:
        assert made.set.fresh() is None
        assert await asyncio.gather(*(made.names() for _ in range(20))) == [["one"]] * 20
        assert made.site.count == 1
        assert made.site.asked.get_nowait()[0] == "/keys?p=1"
        assert made.set.fresh() is await made.set.ring()


async def test_old_keys_are_fetched_again_beside_the_answers() -> None:
    async with issuing() as made:
        await made.names()
        made.publish(TWO)
        made.now = FRESH_S
        assert made.set.fresh() is None
        assert await made.names() == ["one"]
        await made.settle()
        assert await made.names() == ["two"]
        assert made.set.fresh()
        assert made.site.count == 2


async def test_very_old_keys_are_waited_for() -> None:
    async with issuing() as made:
        await made.names()
        made.publish(TWO)
        made.now = 2 * FRESH_S
        assert await made.names() == ["two"]


async def test_the_same_reply_leaves_the_same_keys() -> None:
    async with issuing() as made:
        first = await made.set.ring()
        made.now = 2 * FRESH_S
        assert await made.set.ring() is first
        assert made.site.count == 2


async def test_an_unknown_name_fetches_once_per_interval() -> None:
    async with issuing() as made:
        await made.names()
        made.publish(ONE, TWO)
        assert await made.names("two") == ["one"]
        made.now = INTERVAL_S
        assert await asyncio.gather(*(made.names("two") for _ in range(5))) == [["one", "two"]] * 5
        for number in range(50):
            await made.names(f"three{number}")
        assert made.site.count == 2
        made.now = 2 * INTERVAL_S
        await made.names("three")
        assert made.site.count == 3


BAD = {
    "garbage": says(body=b"<html>"),
    "a list": says([ONE]),
    "no keys": says({"keys": []}),
    "keys for something else": says({"keys": [jwk("P-384"), oct_jwk(SECRET, kid="one"), jwk("P-256", use="enc")]}),
    "two readings": says(body=json.dumps({"keys": [TWO]}).encode()[:-1] + b',"keys":[]}'),
    "too long": says({"keys": [TWO], "x": "x" * (256 << 10)}),
    "ten thousand keys": says({"keys": [TWO] * 10_000}),
    "not found": says({"keys": [TWO]}, 404),
    "created": says({"keys": [TWO]}, 201),
    "a redirect": says({"keys": [TWO]}, 302, head="Location: /other\r\n"),
    "an error": says({"keys": [TWO]}, 503),
    "cut off": says({"keys": [TWO]})[:-5],
}


@pytest.mark.parametrize("reply", BAD)
async def test_a_bad_reply_changes_nothing(reply: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.identity.jwks.TIMEOUT_S", 0.3)
    async with issuing() as made:
        await made.names()
        made.site.answer = BAD[reply]
        made.now = 2 * FRESH_S
        assert await made.names() == ["one"]
        assert made.site.count == 2
        assert await made.names() == ["one"]
        assert made.site.count == 2
        made.publish(TWO)
        made.now += INTERVAL_S
        assert await made.names() == ["two"]


async def test_a_slow_reply_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.identity.jwks.TIMEOUT_S", 0.05)
    async with issuing() as made:
        await made.names()
        made.site.open.clear()
        made.now = 2 * FRESH_S
        assert await made.names() == ["one"]


async def test_the_content_type_is_not_looked_at() -> None:
    async with issuing() as made:
        made.site.answer = says({"keys": [ONE]}, head="Content-Type: text/html\r\n")
        assert await made.names() == ["one"]


async def test_the_last_good_keys_survive_an_outage_for_a_bounded_time() -> None:
    async with issuing() as made:
        await made.names()
        made.site.answer = says(None, 500)
        made.now = KEPT_S
        assert await made.names() == ["one"]
        made.now = KEPT_S + 1
        with pytest.raises(FactFault, match=r"^keys of identity idp: the reply has status 500$"):
            await made.names()
        made.publish(TWO)
        made.now += INTERVAL_S
        assert await made.names() == ["two"]


async def test_an_issuer_that_starts_later_is_asked_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    async with issuing() as made:
        made.site.answer = says(None, 500)
        for _ in range(3):
            with pytest.raises(FactFault, match="status 500"):
                await made.names()
        assert made.site.count == 1
        assert [record.getMessage() for record in caplog.records] == ["keys of identity idp: the reply has status 500"]
        made.publish(ONE)
        made.now = RETRY_S
        assert await made.names() == ["one"]


async def test_replicas_do_not_ask_at_the_same_moment() -> None:
    async with issuing() as made:
        made.set._spread = lambda: 1.0
        await made.names()
        made.now = FRESH_S * 0.9 - 1
        assert made.set.fresh()
        made.now = FRESH_S * 0.9
        assert made.set.fresh() is None


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async with issuing() as made:
        made.site.open.clear()
        first, second = asyncio.create_task(made.names()), asyncio.create_task(made.names())
        await made.site.asked.get()
        first.cancel()
        made.site.open.set()
        assert await second == ["one"]
        assert first.cancelled()


async def test_closing_ends_a_fetch() -> None:
    async with issuing() as made:
        made.site.open.clear()
        waiting = asyncio.create_task(made.names())
        await made.site.asked.get()
        await made.set.close()
        with pytest.raises(FactFault, match="not fetched"):
            await waiting
        assert made.set._flight is None


async def test_a_probe_says_whether_the_keys_can_be_had_now() -> None:
    async with issuing() as made:
        await made.set.probe()
        assert made.set.fresh()
        made.site.answer = says(None, 500)
        with pytest.raises(FactFault, match="status 500"):
            await made.set.probe()
        assert made.set.fresh()


async def test_a_rotation_reaches_the_tokens() -> None:
    async with issuing() as made:
        known = Tokens(identity("ES256"), made.set, lambda: NOW)
        old, new = (sign({}, private(kind), "ES256", kid=kid) for kind, kid in (("P-256", "one"), ("P-256 too", "two")))
        assert await known.claims(old) == known.recalled(old)
        assert known.recalled(old)
        assert await known.claims(new) is None
        made.publish(TWO)
        made.now = INTERVAL_S
        assert await known.claims(new)
        assert known.recalled(old) is None
        assert await known.claims(old) is None


@pytest.mark.parametrize("address", [
    "http://id.example.org/keys", "http://127.0.0.1.evil.example/keys", "http://localhost.evil.example/keys", "http://127.0.0.1@evil.example/",
    "https://u:p@id.example.org/keys", "ftp://id.example.org/keys", "file:///etc/passwd", "https://", "https:///keys", "keys", "", "https://[",
])  # fmt: skip
def test_an_address_that_is_not_safe_stops_the_start(address: str) -> None:
    with pytest.raises(SetupFault, match="the policy's identity idp must fetch its keys over https"):
        KeySet("idp", address, ("ES256",))


@pytest.mark.parametrize("address", ["https://id.example.org/keys", "http://127.0.0.1:1/", "http://localhost/keys", "http://[::1]:8/keys"])
async def test_https_and_this_machine_are_safe(address: str) -> None:
    await KeySet("idp", address, ("ES256",)).close()
