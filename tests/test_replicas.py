"""Two instances of the service that act as one through a real Redis."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from proxy import replicas as module
from proxy.app import epoch_ms
from proxy.errors import SetupFault
from proxy.grants import mirror
from proxy.stores.redis import Shared
from tests.delivery.outbox_world import Program
from tests.live.redis import Redis, redis
from tests.live.servers import ROOT
from tests.test_app import API, HEAD, HOOK, TOKEN
from tests.test_reload import POLICY, World, leave, path, service, variables, world

__all__ = ["path"]

LIMITED = POLICY.replace('channel "news:{x}" { allow subscribe; }', 'channel "news:{x}" { allow subscribe limit 2/1h; }')
PEOPLE = POLICY.replace("block_user, connections", "block_user, unblock_user, revoke_token, invalidate_user_tokens, connections")


@pytest.fixture
def server() -> Iterator[Redis]:
    with redis() as server:
        yield server


@asynccontextmanager
async def both(path: Path, server: Redis) -> AsyncIterator[tuple[World, World]]:
    """Two instances; each hears the other."""
    async with world(path, redis_url=server.url) as one, world(path, redis_url=server.url) as other:
        shared = Shared(server.url)
        async with asyncio.timeout(20):
            while dict(await shared.client.pubsub_numsub("centrigate:news")).get(b"centrigate:news") != 2:  # noqa: ASYNC110 - it begins by itself
                await asyncio.sleep(0.01)
        await shared.close()
        yield one, other


async def test_what_one_is_told_of_data_ends_what_the_other_allowed(path: Path, server: Redis) -> None:
    async with both(path, server) as (one, other):
        assert await other.may("chat:7")
        leave(path, "42")
        await one.call("invalidate", topics=["doc:7"])
        assert await other.sent(1) == [{"unsubscribe": {"user": "42", "client": "c1", "channel": "chat:7"}}]


async def test_who_is_kept_out_by_one_is_kept_out_by_the_other_until_either_lets_them_in(path: Path, server: Redis) -> None:
    (path / "policies" / "a.policy").write_text(PEOPLE)
    async with both(path, server) as (one, other):
        await other.caller.asked("connect", client="c9")
        await one.call("block_user", user="42")
        assert (await other.sent(1))[0]["disconnect"]["user"] == "42"
        assert not await other.may("news:1")
        await other.call("unblock_user", user="42")
        async with asyncio.timeout(10):
            while not await one.may("news:1"):  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.01)
        assert await one.call("revoke_token", uid="unknown") == {"result": {}}
        assert await one.call("invalidate_user_tokens", user="42") == {"result": {}}


async def test_both_count_the_same_limits(path: Path, server: Redis) -> None:
    (path / "policies" / "a.policy").write_text(LIMITED)
    async with both(path, server) as (one, other):
        assert [await each.may("news:1") for each in (one, other, one, other)] == [True, True, False, False]


async def test_what_a_killed_process_had_allowed_is_decided_again_by_another_which_ends_what_lost_its_right_meanwhile(
    path: Path, server: Redis
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CENTRIGATE_", "COV"))}
    secrets = {"HOOK_SECRET": HOOK, "TOKEN_KEY": TOKEN, "CENTRIFUGO_API_KEY": API, "CENTRIFUGO_URL": "http://127.0.0.1:1"}
    chosen = {**secrets, "REDIS_URL": server.url, "STORE_URL": f"sqlite:///{path}/own.db", "PORT": "{port}"}
    environment = kept | variables(path) | {f"CENTRIGATE_{name}": value for name, value in chosen.items()} | {"PYTHONPATH": str(ROOT)}
    program, shared = Program([sys.executable, "-m", "proxy", "serve"], environment, path, path / "log"), Shared(server.url)
    program.start()
    try:
        await program.ready()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{program.port}") as client:
            for channel in ("chat:7", "news:1"):
                asked = HEAD | {"user": "42", "client": "c1", "channel": channel}
                answer = await client.post("/centrifugo/subscribe", json=asked, headers={"x-centrigate-hook-secret": HOOK})
                assert "result" in answer.json()
        async with asyncio.timeout(20):
            while [await shared.client.hlen(key) for key in await shared.client.keys("centrigate:grants:*")] != [2]:  # noqa: ASYNC110 - by itself
                await asyncio.sleep(0.01)
    finally:
        program.kill()
    leave(path, "42")
    await shared.client.delete(*await shared.client.keys("centrigate:alive:*"))  # as if its time were over
    await shared.close()
    async with world(path, redis_url=server.url) as other:
        assert (await other.sent(1))[0] == {"unsubscribe": {"user": "42", "client": "c1", "channel": "chat:7"}}
        assert (await other.metrics())["centrigate_grants_adopted_total"] == 2


@pytest.mark.parametrize("order", [("revoke_token", {"uid": "j"}), ("invalidate_user_tokens", {"user": "42"})])
async def test_a_token_that_was_withdrawn_before_the_loss_of_its_instance_was_noticed_is_ended(
    path: Path, server: Redis, monkeypatch: pytest.MonkeyPatch, order: tuple[str, dict[str, str]]
) -> None:
    monkeypatch.setattr(mirror, "BEAT_S", 0.02)
    (path / "policies" / "a.policy").write_text(PEOPLE)
    shared, lost, now_ms = Shared(server.url), "0123456789abcdef", epoch_ms()
    times = {"end_s": now_ms // 1000 + 600, "since_ms": now_ms, "decided_ms": now_ms, "usable_s": now_ms // 1000 + 600}
    grant = {"holder": "token:j", "user": "42", "channel": "", "rule": "connect/1", "revision": "1", "topics": [], **times}
    async with world(path, redis_url=server.url) as here:
        await shared.client.zadd("centrigate:withdrawn", {b"{": now_ms / 1000, b"[]": now_ms / 1000})
        method, params = order
        assert await here.call(method, **params) == {"result": {}}
        await shared.client.hset(f"centrigate:grants:{lost}", mapping={b"j": orjson.dumps(grant)})
        await shared.client.sadd("centrigate:replicas", lost)
        (command,) = {each["disconnect"]["user"] for each in await here.sent(1)}
        assert command == "42"
    await shared.close()


async def test_while_redis_is_away_nothing_is_allowed_that_has_to_be_counted_and_orders_fail(
    path: Path, server: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    (path / "policies" / "a.policy").write_text(LIMITED)
    async with both(path, server) as (one, _):
        server.kill()
        assert (await one.caller.asked("subscribe", channel="news:1"))["error"] == {
            "code": 100,
            "message": "internal server error",
            "temporary": True,
        }
        assert await one.may("chat:7")
        assert (await one.call("invalidate", topics=["doc:7"]))["error"]["code"] == 100
        assert (await one.call("block_user", user="42"))["error"]["code"] == 100
        assert "redis" in (await one.ready())["reasons"]
        server.start()
        leave(path, "42")
        assert (await one.sent(1))[0]  # after the gap everything is asked again
    assert "news of other replicas cannot be heard" in caplog.text


async def test_without_redis_it_does_not_start_since_nobody_knows_who_is_blocked(path: Path, server: Redis) -> None:
    server.kill()
    with pytest.raises(SetupFault, match=r"^who is blocked cannot be read \(Redis: \w+\): start the store of CENTRIGATE_REDIS_URL"):
        await service(path, redis_url=server.url).prepare()


async def test_blocks_are_read_again_until_they_can_be(
    path: Path, server: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    async with both(path, server) as (one, _):
        shared = Shared(server.url)
        await shared.client.set("centrigate:blocks", b"no table")
        await shared.client.publish("centrigate:news", orjson.dumps({"from": "another", "blocks": True}))
        async with asyncio.timeout(20):
            while "blocked users cannot be read" not in caplog.text:  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.01)
        await shared.client.hset("mended", "42", orjson.dumps([1, None]))
        await shared.client.rename("mended", "centrigate:blocks")
        async with asyncio.timeout(20):
            while await one.may("news:1"):  # noqa: ASYNC110 - it happens by itself
                await asyncio.sleep(0.01)
        await shared.close()


async def test_what_another_version_says_is_passed_over(path: Path, server: Redis, caplog: pytest.LogCaptureFixture) -> None:
    async with both(path, server) as (one, _):
        shared = Shared(server.url)
        with caplog.at_level(logging.WARNING):
            for said in ({"topics": 5}, {"outdate": ["42"]}, {"future": 1}, {"revoke": "j"}, {"outdate": ["42", None, None]}):
                await shared.client.publish("centrigate:news", orjson.dumps({"from": "another", **said}))
            async with asyncio.timeout(20):
                while caplog.text.count("does not understand") < 4:  # noqa: ASYNC110 - two are told to both
                    await asyncio.sleep(0.01)
        assert await one.may("news:1")
        await shared.close()
