from collections.abc import Iterator

import pytest

from tests.live.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A PostgreSQL that runs; who stops it starts it again."""
    with postgres() as running:
        yield running
