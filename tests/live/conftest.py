import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.live.servers import VERSIONS, binary
from tests.live.world import World, world


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:  # noqa: ARG001 - pytest matches names
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of Centrifugo whose server is built here."""
    chosen: str = request.param
    assert binary(chosen).exists(), f"{binary(chosen)} is not built: run make install"
    return chosen


@pytest.fixture
async def live(version: str, tmp_path: Path) -> AsyncIterator[World]:
    """The service and a Centrifugo of this version."""
    async with world(version, tmp_path) as made:
        yield made
