"""Blocked users in real databases."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from proxy.errors import StoreFault
from proxy.stores import blocks as module
from proxy.stores.blocks import Block, BlockTable
from tests.live.postgres import postgres

FOREVER = Block(user="42", since_s=1_700_000_000, until_s=None)
SOON_OVER = Block(user="43", since_s=1_700_000_000, until_s=1_700_000_060)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/folder/store.db"
    else:
        yield request.getfixturevalue("database")


async def test_blocks_are_there_for_the_next_process(address: str) -> None:
    first, second = BlockTable(address), BlockTable(address)
    await first.block(SOON_OVER)
    await first.block(Block(user="42", since_s=1, until_s=2))
    await first.block(FOREVER)
    await first.unblock("unknown")
    assert {*await second.blocks()} == {FOREVER, SOON_OVER}
    await second.unblock("42")
    await second.unblock("43")
    assert [*await first.blocks()] == []
    await first.close()
    await second.close()


async def test_several_that_begin_at_once_make_one_table(database: str) -> None:
    many = [BlockTable(database) for _ in range(8)]
    async with many[0]._engine.begin() as connection:
        await connection.execute(text("drop table if exists centrigate_blocks"))
    assert [*await asyncio.gather(*(each.blocks() for each in many))] == [[]] * len(many)
    for each in many:
        await each.close()


async def test_reading_makes_no_file(tmp_path: Path) -> None:
    table = BlockTable(f"sqlite:///{tmp_path}/store.db")
    assert [*await table.blocks()] == []
    assert [*tmp_path.iterdir()] == []  # noqa: ASYNC240 - an empty folder


async def test_a_store_that_cannot_be_reached_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database" * 100)
    for address in (f"sqlite:///{tmp_path}/file/store.db", f"sqlite:///{tmp_path}/file", "postgresql://u:p@127.0.0.1:9/none"):
        table = BlockTable(address)
        with pytest.raises(StoreFault, match="the store of blocked users"):
            await table.block(FOREVER)
        await table.close()


async def test_a_store_that_is_silent_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    callers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: callers.append(writer), "127.0.0.1", 0)
    async with silent:
        table = BlockTable(f"postgresql://u:p@127.0.0.1:{silent.sockets[0].getsockname()[1]}/none")
        with pytest.raises(StoreFault, match="TimeoutError"):
            await table.block(FOREVER)
        await table.close()
        for writer in callers:
            writer.close()
            await writer.wait_closed()
