"""What goes out for one command: the same, or, where the decisions of its channels differ, several.

The only module here that names fields of commands; their meaning: `proxy.wire.methods`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from proxy.errors import TooLarge
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.wire.api import ApiError, Command, Outcome, Result, gather, scatter

LARGEST: Final = 16 << 20
"""Bytes that one broadcast may grow to when its channels get payloads of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who calls, when (epoch milliseconds), and whether the text of the call has two readings."""

    service: str
    timestamp_ms: int
    ambiguous: bool

    def requests(self, command: Command) -> Iterator[Request]:
        """Give what the policy is asked about the command, one request for each of its channels."""
        params: Mapping[str, Any] = command.params
        for channel in command.channels:
            yield Request(
                op=command.method,
                service=self.service,
                method=command.method,
                channel=channel,
                data=params.get("data"),
                ambiguous=self.ambiguous,
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
        return METHODS[self.command.method](self)

    def outcome(self, parcels: Sequence["Parcel"], sent: Sequence[Sequence[Outcome]]) -> Outcome:
        """Give the reply to the command; `sent` holds, for each of its parcels, what became of its places."""
        outcomes: list[Any] = [*self.verdicts]
        for parcel, each in zip(parcels, sent, strict=True):
            for place, outcome in zip(parcel.places, each, strict=True):
                outcomes[place] = outcome
        return gather(outcomes) if self.command.method == "broadcast" else outcomes[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A command that goes out; `places` are the positions of its channels among those of the command that came in."""

    command: Command
    places: tuple[int, ...]

    def outcomes(self, outcome: Outcome) -> Sequence[Outcome]:
        """Give the outcome of each place; raises `DeliveryFault` if Centrifugo answered another number of channels."""
        if isinstance(outcome, Result) and self.command.method == "broadcast":
            return scatter(outcome, len(self.places))
        return (outcome,) * len(self.places)


def publish(errand: Errand) -> list[Parcel]:
    """Send a publication as its decision says, or nothing if it was refused."""
    (verdict,) = errand.verdicts
    if isinstance(verdict, ApiError):
        return []
    return [Parcel(command=_with(errand.command, _changes(errand.command, verdict)), places=(0,))]


def broadcast(errand: Errand) -> list[Parcel]:
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


METHODS: Final[Mapping[str, Callable[[Errand], list[Parcel]]]] = {"publish": publish, "broadcast": broadcast}
"""How the methods that are passed on are packed; Centrifugo's others are refused as not available."""


def _with(command: Command, changes: Mapping[str, object]) -> Command:
    return Command(method=command.method, params={**command.params, **changes})


def _changes(command: Command, allow: Allow) -> dict[str, object]:
    changes: dict[str, object] = {}
    if allow.data is not UNCHANGED:
        changes["data"] = allow.data
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
