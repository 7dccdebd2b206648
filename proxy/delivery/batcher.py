"""Commands on their way to Centrifugo: what collects while it answers leaves together as the next batch.

No timer holds a command back. It leaves at once if there is room in the air, and the commands of one turn of the event loop leave
together. Per channel one command is in the air at a time, in the order of `send`; a broadcast counts for each of its channels. So what
is ready is independent of everything in the air and of each other, and one batch may run it in any order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from proxy.delivery.bundles import Order, bundled, spread
from proxy.errors import DeliveryFault, Overload, Unread
from proxy.wire.api import BAD_REQUEST, Command, Outcome, Result

COMMANDS: Final = 512
"""Channels of one batch, a command without one counting as one. A batch is as slow as its slowest command, so it is no larger."""
BYTES: Final = 512 << 10
"""Bytes of the commands of one batch; a larger command leaves alone. Proxies commonly stop at 1 MiB."""
FLIGHTS: Final = 4
"""Batches in the air, so that a slow one does not hold up the channels of the others."""
WAITING: Final = 65_536
"""Commands accepted and not answered yet."""
HEAVY: Final = 64 << 20
"""Their bytes; the command that reaches it is the last to be accepted."""
DRAIN_S: Final = 8.0
"""Seconds that closing waits for what was accepted."""

_READS: Final = frozenset(
    {"presence", "presence_stats", "history", "channels", "info", "map_read_state", "map_read_stream", "map_stats"},
)


class Transport(Protocol):
    """A way to Centrifugo's server API."""

    async def send(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """Send one command, or several whose order does not matter, and give the outcome of each.

        Raises `DeliveryFault` when it is unknown what was applied, and `Unread` when nothing was.
        """
        ...


class Api(Transport, Protocol):
    """The same as long as the service runs."""

    async def health(self) -> None:
        """Return if Centrifugo answers and takes the key; raises `DeliveryFault` if not."""
        ...

    async def close(self) -> None:
        """Give its connections back."""
        ...


class Batcher:
    """Collects the commands of all callers; used on one event loop.

    Fairness is first come, first served among commands that can leave: a caller with many commands delays another by as many batches
    as are ready before it, and one with many commands for one channel delays only that channel.
    """

    def __init__(
        self, transport: Transport, *, ordered: bool = True, flights: int = FLIGHTS, waiting: int = WAITING, patience_s: float = 5.0
    ) -> None:
        """`patience_s` bounds a command that is sent a second time, both times together; the transport bounds each.

        What is not `ordered` gives up the order of each channel, for commands about many users of one.
        """
        self._transport = transport
        self._ordered = ordered
        self._room = flights
        self._waiting = waiting
        self._patience_s = patience_s
        self._orders: set[Order] = set()
        self._bytes = 0
        self._lanes: dict[str, deque[Order]] = {}
        self._ready: deque[Order] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        # No more than Centrifugo has, since each of them took a publication.
        self._namespaces: set[str] = set()
        self._boarding = False
        self._closed = False
        self._over = False

    async def send(self, command: Command) -> Outcome:
        """Have a command carried out and give Centrifugo's own outcome.

        `Overload` when too much is waiting or this is closed; nothing was sent. `DeliveryFault` when it is unknown what Centrifugo
        applied. `Fault` when the command cannot be written as JSON. A caller that is cancelled takes back a command that has not left;
        one that has left is carried out. A command is sent a second time, once, only if that changes nothing: it reads, or it carries
        an idempotency key.
        """
        if self._closed:
            raise Overload("the service is stopping: send the command again")
        if len(self._orders) >= self._waiting or self._bytes >= HEAVY:
            raise Overload("too many commands wait for Centrifugo: send the command again later")
        order = Order(command, ordered=self._ordered)
        self._accept(order)
        return await order.answer

    async def close(self) -> None:
        """Refuse new commands and carry out the accepted ones, for `DRAIN_S` at most; the rest are given up with `DeliveryFault`."""
        self._closed = True
        try:
            async with asyncio.timeout(DRAIN_S):
                while self._flights:
                    await asyncio.wait(self._flights)
        except TimeoutError:
            pass
        finally:
            self._over = True
            for flight in self._flights:
                flight.cancel()
            for order in self._orders:
                order.settle(DeliveryFault("the service stopped before Centrifugo answered"))
            await asyncio.gather(*self._flights, return_exceptions=True)

    def _accept(self, order: Order) -> None:
        self._orders.add(order)
        self._bytes += order.size
        for channel in order.channels:
            lane = self._lanes.get(channel)
            if lane is None:
                self._lanes[channel] = deque()
            else:
                lane.append(order)
                order.behind += 1
        if not order.behind:
            self._ready.append(order)
            self._depart()

    def _depart(self) -> None:
        if self._ready and not self._boarding and not self._over and len(self._flights) < self._room:
            self._boarding = True
            self._flights.add(asyncio.create_task(self._fly()))

    async def _fly(self) -> None:
        self._boarding = False
        try:
            while batch := self._board():
                self._depart()
                await self._carry(batch)
        finally:
            # Not in a callback, which would run after somebody saw no room and left a command behind.
            self._flights.discard(asyncio.current_task())
            self._depart()

    def _board(self) -> list[Order]:
        batch: list[Order] = []
        channels = size = 0
        while self._ready and (not batch or (channels + self._ready[0].weight <= COMMANDS and size + self._ready[0].size <= BYTES)):
            order = self._ready.popleft()
            if order.answer.cancelled():
                self._leave(order)
                continue
            batch.append(order)
            channels += order.weight
            size += order.size
        return batch

    async def _carry(self, batch: Sequence[Order]) -> None:
        answers: Sequence[Outcome | DeliveryFault] = [DeliveryFault("the command was given up unanswered")] * len(batch)
        try:
            answers = await self._deliver(batch)
        finally:
            for order, answer in zip(batch, answers, strict=True):
                order.settle(answer)
                self._leave(order)

    async def _deliver(self, orders: Sequence[Order]) -> Sequence[Outcome | DeliveryFault]:
        began = asyncio.get_running_loop().time()
        try:
            return await self._exchange(orders)
        except Unread:
            if len(orders) == 1:
                return [BAD_REQUEST]
            middle = len(orders) // 2
            return [*await self._deliver(orders[:middle]), *await self._deliver(orders[middle:])]
        except DeliveryFault as fault:
            return await self._repeat(orders, fault, began + self._patience_s)

    async def _repeat(self, orders: Sequence[Order], fault: DeliveryFault, until: float) -> Sequence[Outcome | DeliveryFault]:
        harmless = [order for order in orders if order.command.method in _READS or order.command.params.get("idempotency_key")]
        try:
            async with asyncio.timeout_at(until):
                outcomes = await self._exchange(harmless) if harmless else ()
        except (TimeoutError, DeliveryFault):
            return [fault] * len(orders)
        found = dict(zip(harmless, outcomes, strict=True))
        return [found.get(order, fault) for order in orders]

    async def _exchange(self, orders: Sequence[Order]) -> Sequence[Outcome]:
        bundles = bundled(orders, self._namespaces)
        outcomes = spread(bundles, await self._transport.send([bundle.command for bundle in bundles]))
        for order, outcome in zip(orders, outcomes, strict=True):
            if order.namespace is not None and isinstance(outcome, Result):
                self._namespaces.add(order.namespace)
        return outcomes

    def _leave(self, order: Order) -> None:
        self._orders.discard(order)
        self._bytes -= order.size
        for channel in order.channels:
            lane = self._lanes[channel]
            if not lane:
                del self._lanes[channel]
                continue
            follower = lane.popleft()
            follower.behind -= 1
            if not follower.behind:
                self._ready.append(follower)
