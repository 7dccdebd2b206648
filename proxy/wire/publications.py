"""What a hook may answer about publications: of a client, in a map channel, in a shared poll.

None is never published: a publication of null would take the place of the client's message. See `replies` for the rules of all replies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from proxy.wire.write import body, demand, payload, present, tagged


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    # Not a JSON value, so that it is never written by accident.
    UNCHANGED = object()


UNCHANGED: Final = Unchanged.UNCHANGED
"""Publish the client's own bytes: only where no rule looked at them, or where they are `null`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The publication goes out: `data` in place of what the client sent, or `UNCHANGED`."""

    data: object
    tags: Mapping[str, str] = field(default_factory=dict)
    skip_history: bool = False
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        payload(self.data)
        tagged(self.tags, self.idempotency_key)

    def encode(self) -> bytes:
        """Write the body."""
        result = _publication(self)
        if self.skip_history:
            result["skip_history"] = True
        return body("result", result)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPublished:
    """The key is written: with `data` in place of what the client sent, or `UNCHANGED`."""

    data: object
    tags: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        payload(self.data)
        tagged(self.tags, self.idempotency_key)

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", _publication(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRemoved:
    """The key is removed."""

    tags: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        tagged(self.tags, self.idempotency_key)

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", present(tags=dict(self.tags) or None, idempotency_key=self.idempotency_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A tracked key has new `data`; `version` 0 where the channel has no versions."""

    key: str
    data: object
    version: int = 0

    def __post_init__(self) -> None:
        demand(self.key, "an update has a key")
        demand(type(self.version) is int and self.version >= 0, "a version is not negative")
        payload(self.data)

    def members(self) -> dict[str, object]:
        """Give the JSON object."""
        return present(key=self.key, data=self.data, version=self.version or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A tracked key is gone."""

    key: str

    def __post_init__(self) -> None:
        demand(self.key, "a removal has a key")

    def members(self) -> dict[str, object]:
        """Give the JSON object."""
        return {"key": self.key, "removed": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What has changed among the keys asked for; a key left out is unchanged."""

    items: tuple[Update | Removal, ...] = ()

    def __post_init__(self) -> None:
        # A null here ends the whole Centrifugo process.
        demand(all(isinstance(item, Update | Removal) for item in self.items), "items are updates and removals")

    def encode(self) -> bytes:
        """Write the body."""
        return body("result", {"items": [item.members() for item in self.items]})


def _publication(reply: Published | MapPublished) -> dict[str, object]:
    data = None if reply.data is UNCHANGED else reply.data
    return present(data=data, tags=dict(reply.tags) or None, idempotency_key=reply.idempotency_key)
