"""What goes out for one command: the same, or, where the decisions of its channels differ, several.

The only module here that names fields of commands; their meaning: `proxy.wire.methods`.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from proxy.errors import TooLarge
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.api import ApiError, Command, Outcome, Result, gather, scatter

LARGEST: Final = 16 << 20
"""Bytes that one broadcast may grow to when its channels get payloads of their own."""

KEPT: Final = frozenset({"publish", "broadcast"})
"""Methods that durable delivery takes."""

_PAYLOADS: Final = {"rpc": "params", "invalidate": "topics"}
"""The field that rules read as `data`, where it has another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who calls, and when (epoch milliseconds)."""

    service: str
    timestamp_ms: int

    def requests(self, command: Command) -> Iterator[Request]:
        """Give what the policy is asked about the command: one request for each of its channels, or one without a channel."""
        params: Mapping[str, Any] = command.params
        for channel in command.channels or (None,):
            yield Request(
                op=command.method,
                service=self.service,
                method=command.method,
                channel=channel,
                data=params.get(_PAYLOADS.get(command.method, "data")),
                ambiguous=command.ambiguous,
                tags=params.get("tags", {}),
                timestamp_ms=self.timestamp_ms,
            )


@dataclass(slots=True, kw_only=True)
class Errand:
    """A command that came in; `verdicts` is filled with one for each request, in order."""

    command: Command
    requests: Sequence[Request]
    verdicts: list[Allow | ApiError] = field(default_factory=list)

    def parcels(self) -> list["Parcel"]:
        """Pack what is allowed; raises `TooLarge`."""
        return _broadcast(self) if self.command.method == "broadcast" else _single(self)

    def outcome(self, parcels: Sequence["Parcel"], sent: Sequence[Sequence[Outcome]]) -> Outcome:
        """Give the reply to the command; `sent` holds, for each of its parcels, what became of its places."""
        outcomes: list[Any] = [*self.verdicts]
        for parcel, each in zip(parcels, sent, strict=True):
            for place, outcome in zip(parcel.places, each, strict=True):
                outcomes[place] = outcome
        return gather(outcomes) if self.command.method == "broadcast" else outcomes[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A command that goes out; `places` are the positions of its requests among those of the command that came in."""

    command: Command
    places: tuple[int, ...]

    def outcomes(self, outcome: Outcome) -> Sequence[Outcome]:
        """Give the outcome of each place; raises `DeliveryFault` if Centrifugo answered another number of channels."""
        if isinstance(outcome, Result) and self.command.method == "broadcast":
            return scatter(outcome, len(self.places))
        return self.alike(outcome)

    def alike(self, outcome: Outcome) -> Sequence[Outcome]:
        """Give every place the same outcome."""
        return (outcome,) * len(self.places)


def _single(errand: Errand) -> list[Parcel]:
    """Send a command as its decision says, or nothing if it was refused."""
    (verdict,) = errand.verdicts
    if isinstance(verdict, ApiError):
        return []
    (request,) = errand.requests
    command = _with(errand.command, _changes(errand.command, verdict))
    until = verdict.until(request.timestamp_ms or 0, random.random)
    return [Parcel(command=command.ending(until) if until else command, places=(0,))]


def _broadcast(errand: Errand) -> list[Parcel]:
    """Send one broadcast to all channels that get the same publication, several where decisions differ; raises `TooLarge`."""
    command, channels = errand.command, errand.command.channels
    alike: dict[bytes, tuple[dict[str, object], list[int]]] = {}
    size = 0
    for place, verdict in enumerate(errand.verdicts):
        if isinstance(verdict, ApiError):
            continue
        changes = _changes(command, verdict)
        text = orjson.dumps(changes)
        if text not in alike:
            alike[text] = (changes, [])
            size = _grown(size + len(text))
        alike[text][1].append(place)
    return [
        Parcel(command=_with(command, {**changes, "channels": [channels[place] for place in places]}), places=tuple(places))
        for changes, places in alike.values()
    ]


def _with(command: Command, changes: Mapping[str, object]) -> Command:
    return command if not changes else Command(method=command.method, params={**command.params, **changes})


def _changes(command: Command, allow: Allow) -> dict[str, object]:
    changes: dict[str, object] = {}
    if allow.data is not UNCHANGED:
        changes["data"] = allow.data
    if allow.info is not UNCHANGED:
        changes["info"] = allow.info
    if allow.tags:
        sent: Any = command.params.get("tags", {})
        changes["tags"] = {**sent, **allow.tags}
    if allow.skip_history:
        changes["skip_history"] = True
    if allow.idempotency_key is not None:
        changes["idempotency_key"] = allow.idempotency_key
    return changes


def _grown(size: int) -> int:
    if size > LARGEST:
        message = f"a broadcast grows beyond {LARGEST} bytes, because its channels get payloads of their own"
        raise TooLarge(message)
    return size
