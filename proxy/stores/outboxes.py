"""Which database an outbox stands in, and whose it is to deliver."""

from pathlib import Path
from typing import Final

from proxy.stores.outbox import Store
from proxy.stores.outbox_postgres import PostgresOutbox
from proxy.stores.outbox_sqlite import SqliteOutbox
from proxy.stores.outbox_stream import StreamOutbox
from proxy.stores.outbox_table import TableOutbox

_FILE: Final = "sqlite:///"


def outbox(url: str) -> Store:
    """Give the outbox at an address as `Settings.store_url` or `Settings.hand_over` has it; nothing is opened yet."""
    if url.startswith(_FILE):
        return SqliteOutbox(Path(url.removeprefix(_FILE)))
    if url.startswith("redis"):
        return StreamOutbox(url)
    return TableOutbox(url) if "?table=" in url else PostgresOutbox(url)
