"""Commands that wait, and publications that differ in nothing but their channel bundled into one broadcast.

Centrifugo then reads and prepares the payload once. Its answer has a result or an error for each channel, offset and epoch included, and
an idempotency key or a version counts for each channel by itself, so nobody can tell the difference. There would be one where channels
are maps: Centrifugo 6.9.1 refuses a publication to them and takes a broadcast. So only channels whose namespace has taken a publication
are bundled.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.errors import DeliveryFault
from proxy.wire.api import Command, Outcome, Result, scatter
from proxy.wire.write import dump

_SINGLE: Final = "publish"


class Order:
    """A command that was accepted; `behind` counts its channels in which another comes first.

    `text` is the command as JSON, of a publication without its channel. Raises `Fault` if it cannot be written, so that it fails alone.
    """

    __slots__ = ("answer", "behind", "channels", "command", "namespace", "size", "text", "weight")

    def __init__(self, command: Command, *, ordered: bool = True) -> None:
        """One that is not `ordered` has no channels here, and so waits for nothing."""
        self.command = command
        self.channels = frozenset(command.channels if ordered else ())
        self.weight = len(self.channels) or 1
        self.behind = 0
        self.namespace = _namespace(command.channels[0]) if command.method == _SINGLE else None
        self.text = dump({**command.params, "channel": ""}) if command.method == _SINGLE else command.encode()
        self.size = len(self.text) + (len(command.channels[0]) if command.method == _SINGLE else 0)
        self.answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Outcome | DeliveryFault) -> None:
        """Answer the caller, if he still waits; a fault is a new one for each, since each adds its own trace."""
        if self.answer.done():
            return
        if isinstance(answer, DeliveryFault):
            self.answer.set_exception(DeliveryFault(str(answer)))
        else:
            self.answer.set_result(answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One command for one order or several; `places` are their positions among all."""

    command: Command
    places: Sequence[int]

    def outcomes(self, outcome: Outcome) -> Sequence[Outcome]:
        """Give the outcome of each order; raises `DeliveryFault` if Centrifugo answered another number of channels."""
        if len(self.places) > 1 and isinstance(outcome, Result):
            return scatter(outcome, len(self.places))
        return [outcome] * len(self.places)


def bundled(orders: Sequence[Order], namespaces: Collection[str]) -> Sequence[Bundle]:
    """Bundle what is alike in these namespaces; no two orders have a channel in common."""
    alike: dict[bytes | int, list[int]] = {}
    for place, order in enumerate(orders):
        alike.setdefault(order.text if order.namespace in namespaces else place, []).append(place)
    return [Bundle(command=_together([orders[place].command for place in places]), places=places) for places in alike.values()]


def spread(bundles: Sequence[Bundle], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Give the outcome of each order, in their order, from the outcome of each bundle; raises `DeliveryFault` as they do."""
    found = {
        place: each
        for bundle, outcome in zip(bundles, outcomes, strict=True)
        for place, each in zip(bundle.places, bundle.outcomes(outcome), strict=True)
    }
    return [found[place] for place in range(len(found))]


def _namespace(channel: str) -> str:
    name, colon, _ = channel.partition(":")
    return name if colon else ""


def _together(commands: Sequence[Command]) -> Command:
    first, *others = commands
    if not others:
        return first
    shared = {name: value for name, value in first.params.items() if name != "channel"}
    return Command(method="broadcast", params={**shared, "channels": [command.channels[0] for command in commands]})
