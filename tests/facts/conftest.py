import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.live.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL that runs; who stops it starts it again."""
    with postgres() as running:
        yield running


@pytest.fixture(autouse=True)
async def quiet() -> AsyncIterator[None]:
    """Lets threads of SQLite that were told to stop do so while there is a loop to tell."""
    yield
    for thread in [each for each in threading.enumerate() if "_connection_worker_thread" in each.name]:
        await asyncio.to_thread(thread.join, 10)
