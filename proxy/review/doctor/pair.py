"""A running pair that is probed: where the service and Centrifugo are, and with which secrets."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from proxy.review.doctor.chart import Chart
from proxy.review.doctor.findings import Finding
from proxy.settings import PREFIX, Settings
from proxy.tokens.keys import Key

NAME: Final = "centrigate-doctor"
"""The user, the channels and the method of every probe."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Addresses of the service, of Centrifugo's server API and of its WebSocket endpoint; `key` signs tokens."""

    service: str
    api: str
    socket: str
    hook_secret: str = dataclasses.field(repr=False)
    api_key: str = dataclasses.field(repr=False)
    key: Key = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found, and how many milliseconds things took."""

    findings: tuple[Finding, ...]
    times_ms: Mapping[str, float]


def pair(settings: Settings, chart: Chart, key: Key) -> Pair:
    """Find the two by the settings of the service; clients are taken to reach Centrifugo where its server API is."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - nothing listens here
    return Pair(
        service=f"http://{f'[{host}]' if ':' in host else host}:{settings.port}",
        api=settings.centrifugo_url,
        socket=settings.centrifugo_url.replace("http", "ws", 1) + str(chart.at("websocket", "handler_prefix") or "/connection/websocket"),
        hook_secret=settings.hook_secret.get_secret_value(),
        api_key=settings.centrifugo_api_key.get_secret_value(),
        key=key,
    )


def finding(id_: str, setting: str, *, found: str, expected: str, advice: str) -> Finding:
    """A finding about a setting of the service."""
    return Finding(id=id_, key=PREFIX + setting, found=found, expected=expected, advice=advice)
