"""A list of connections as Centrifugo PRO's server API gives it: https://centrifugal.dev/docs/pro/connections."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection with its channels; `name` and `version` are those of the client's application."""

    client: str
    user: str
    transport: str
    name: str
    version: str
    channels: tuple[str, ...]


def listed(connections: Sequence[Connection]) -> dict[str, object]:
    """Give the result of `connections`."""
    return {
        "connections": {
            each.client: {
                "user": each.user,
                "app_name": each.name,
                "app_version": each.version,
                "transport": each.transport,
                "state": {"channels": {channel: {} for channel in each.channels}},
            }
            for each in connections
        }
    }
