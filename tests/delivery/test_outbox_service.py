"""The service with a durable service in its policy."""

import asyncio
from pathlib import Path
from typing import NoReturn

import pytest

from proxy.app import Service, create
from proxy.errors import SetupFault, StoreFault
from proxy.policy.load import load
from proxy.settings import Settings
from proxy.stores.blocks import BlockTable
from proxy.stores.outbox_sqlite import SqliteOutbox
from tests.test_app import Caller, Centrifugo, living

KEY = "orders-key-0123456789"
RULES = 'allow publish on "a:{x}";'


def service(store: Path, delivery: str = "delivery durable;", upstream: str = "http://127.0.0.1:1") -> Service:
    loaded = load({"a.policy": f"language 1;\nservice orders {{ key env ORDERS_KEY; {delivery} {RULES} }}\n".encode()})
    assert loaded.policy is not None
    secrets = dict.fromkeys(("hook_secret", "centrifugo_api_key", "token_key"), "s" * 32)
    settings = Settings.model_validate(secrets | {"store_url": f"sqlite:///{store}", "centrifugo_url": upstream})
    return create(settings, loaded.policy, {"ORDERS_KEY": KEY})


async def published(caller: Caller, n: int) -> object:
    got = await caller.client.post("/api/publish", json={"channel": "a:1", "data": n}, headers={"x-api-key": KEY})
    return got.json()


async def test_a_publication_is_accepted_while_centrifugo_is_away_and_goes_out_later(tmp_path: Path) -> None:
    async with living(service(tmp_path / "outbox.db")) as caller:
        assert await published(caller, 1) == {"result": {}}
        metrics = (await caller.client.get("/metrics")).text
        assert {
            "centrigate_outbox_length",
            "centrigate_outbox_age_seconds",
            "centrigate_outbox_dead",
            "centrigate_outbox_attempts_total",
        } <= {line.split()[0] for line in metrics.splitlines()}
    async with Centrifugo().running() as upstream, living(service(tmp_path / "outbox.db", upstream=upstream.url)):
        async with asyncio.timeout(10):
            while "/api/batch" not in upstream.got:  # noqa: ASYNC110 - it is asked by another
                await asyncio.sleep(0.01)


async def test_what_was_accepted_goes_out_before_the_service_ends(tmp_path: Path) -> None:
    async with Centrifugo().running() as upstream:
        async with living(service(tmp_path / "outbox.db", upstream=upstream.url)) as caller:
            assert await published(caller, 1) == {"result": {}}
        assert upstream.got == ["/api/batch"]
    store = SqliteOutbox(tmp_path / "outbox.db")
    await store.open()
    assert (await store.numbers()).waiting == 0
    await store.close()


async def test_a_store_that_cannot_be_written_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Centrifugo().running() as upstream, living(service(tmp_path / "outbox.db", upstream=upstream.url)) as caller:
        assert (await caller.client.get("/ready")).json()["ready"]
        monkeypatch.setattr(SqliteOutbox, "_transaction", lambda self: self._db.execute("no statement"))
        reasons = (await caller.client.get("/ready")).json()["reasons"]
        assert [*reasons] == ["outbox"]
        assert "the outbox cannot be used" in reasons["outbox"]


async def test_without_a_durable_service_no_store_is_opened(tmp_path: Path) -> None:
    async with Centrifugo().running() as upstream, living(service(tmp_path / "outbox.db", "", upstream.url)) as caller:
        assert (await caller.client.get("/ready")).json()["ready"]
        assert "outbox" not in (await caller.client.get("/metrics")).text
    assert not (tmp_path / "outbox.db").exists()


async def test_a_store_that_cannot_be_opened_stops_the_start_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupFault, match="the store of CENTRIGATE_STORE_URL cannot be opened"):
        await service(tmp_path / "file" / "outbox.db").prepare()

    async def unreadable(_: BlockTable) -> NoReturn:
        raise StoreFault("the store of blocked users: OperationalError")

    monkeypatch.setattr(BlockTable, "blocks", unreadable)
    with pytest.raises(SetupFault, match=r"\(the store of blocked users: OperationalError\): start the store of CENTRIGATE_STORE_URL"):
        await service(tmp_path / "outbox.db").prepare()
