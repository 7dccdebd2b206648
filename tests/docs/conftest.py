from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docs.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World.living(tmp_path) as world:
        yield world
