"""What operators and their machines ask: is it alive, is it ready, what are its numbers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import orjson
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.edge.metrics import Metrics
from proxy.errors import Fault

PATIENCE_S: Final = 2.0
"""Seconds within which everything the service relies on has to answer."""

Probe: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when something answers; raises `Fault` when it does not."""


def routes(metrics: Metrics, policy: Callable[[], tuple[str, str]], probes: Mapping[str, Probe]) -> Sequence[Route]:
    """Route `/health`, `/ready` and `/metrics`; `policy` gives the revision in force, and why another one is not, or `""`."""

    async def health(_request: Request) -> Response:
        return _json(HTTPStatus.OK, {"status": "alive"})

    async def ready(_request: Request) -> Response:
        found = await asyncio.gather(*(_trouble(probe) for probe in probes.values()))
        reasons = {name: trouble for name, trouble in zip(probes, found, strict=True) if trouble}
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        revision, refused = policy()
        told = {"ready": not reasons, "policy": revision, "reasons": reasons}
        return _json(status, told | {"refused": refused} if refused else told)

    async def numbers(_request: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", numbers)]


async def _trouble(probe: Probe) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await probe()
    except TimeoutError:
        return f"did not answer within {PATIENCE_S:g} s"
    except Fault as fault:
        return str(fault)
    return ""


def _json(status: HTTPStatus, value: object) -> Response:
    return Response(orjson.dumps(value), status, {"cache-control": "no-store"}, "application/json")
