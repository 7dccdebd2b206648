import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop

from tests.gateway.pair import KEY, POLICY, VERSIONS, Pair, centrifugo, service


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:  # noqa: ARG001 - pytest matches names
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def base(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Centrifugo of this version."""
    with centrifugo(version, tmp_path_factory.mktemp("centrifugo")) as url:
        yield url


@pytest.fixture
async def pair(base: str, version: str) -> AsyncIterator[Pair]:
    """That Centrifugo and the service before it, listening."""
    async with service(base, POLICY) as url:
        pair = Pair(version=version, direct=base, gateway=url, key=KEY)
        async with pair.client:
            yield pair
