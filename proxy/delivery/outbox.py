"""The outbox: a publication counts as accepted once it is on disk, and is delivered from there until Centrifugo has taken it.

Each channel of a broadcast becomes a message of its own, so that order and retries are per channel. Each message has an idempotency key,
the caller's or one of ours: Centrifugo knows a key for five minutes per channel, so that a retry after an unknown outcome within them
is not published twice.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from proxy.delivery.outbox_pump import Pump, Sender
from proxy.delivery.outbox_writer import Writer
from proxy.errors import DeliveryFault, SetupFault, TooLarge
from proxy.stores.outbox import Draft, Letter, Numbers, Store
from proxy.wire.api import Command
from proxy.wire.write import demand, dump

MOST: Final = 1_000_000
"""Messages that may wait, dead letters included; more are refused."""
LARGEST: Final = 16 << 20
"""Bytes of the messages of one acceptance: each channel of a broadcast takes a copy of its payload."""
DRAIN_S: Final = 5.0
"""Seconds that closing waits for what can be delivered."""
COUNT_S: Final = 2.0
"""Seconds between two counts of the store."""

_METHODS: Final = ("publish", "broadcast")
_LOG: Final = logging.getLogger(__name__)


class Outbox:
    """Accepts publications into a store and delivers them through a sender; `clock` gives epoch milliseconds."""

    def __init__(self, store: Store, sender: Sender, clock: Callable[[], int], most: int = MOST) -> None:
        """Nothing is opened before `start`."""
        self.numbers = Numbers(waiting=0, dead=0, oldest_ms=None)
        """The last count, not older than about `COUNT_S` while the store answers."""
        self._store = store
        self._writer = Writer(store, clock, most)
        self._pump = Pump(store, self._writer, sender, clock)
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        # Unique among all processes and their restarts, and not to be guessed by who could use up a key beforehand.
        self._keys = map(f"{secrets.token_hex(12)}-%d".__mod__, itertools.count())

    @property
    def open(self) -> bool:
        """Whether it was started."""
        return bool(self._tasks)

    @property
    def attempts(self) -> int:
        """How often a message was sent since the start, retries included."""
        return self._pump.attempts

    def age_s(self) -> float:
        """Give the age of the oldest waiting message, 0 for none."""
        oldest = self.numbers.oldest_ms
        return 0.0 if oldest is None else max(0.0, (self._clock() - oldest) / 1000)

    async def start(self) -> None:
        """Open the store and begin to deliver, unless that was done; raises `SetupFault` for a store that cannot be used."""
        if self._tasks:
            return
        try:
            await self._store.open()
            await self._count()
        except (SetupFault, DeliveryFault) as fault:
            await self._store.close()
            raise SetupFault(str(fault)) from None
        self._tasks = [asyncio.create_task(work()) for work in (self._writer.run, self._pump.run, self._watch)]

    async def accept(self, commands: Sequence[Command]) -> None:
        """Return once all of them, publish or broadcast, are on disk; they will be delivered, per channel in this order.

        Raises `Overload` when the outbox is full, `TooLarge` for more than `LARGEST` bytes, and `DeliveryFault` when the store cannot be
        written; then it is unknown whether they were accepted, and a repetition needs idempotency keys to be none. A publication with
        the key of one that waits in its channel is that one.
        """
        if not self._tasks:
            raise DeliveryFault("the outbox is not open: it is only if a service of the policy was durable at the start")
        drafts: list[Draft] = []
        size = 0
        for draft in itertools.chain.from_iterable(map(self._drafts, commands)):
            drafts.append(draft)
            size += len(draft.body)
            if size > LARGEST:
                raise TooLarge(f"durable publications of one call are longer than {LARGEST} bytes, a copy for each channel")
        if drafts:
            await self._writer.add(drafts)
            self._pump.wake()

    async def probe(self) -> None:
        """Return if the store can be written; raises `DeliveryFault` if not."""
        await self._store.write((), (), self._clock())

    async def status(self) -> tuple[Numbers, Sequence[Letter]]:
        """Count, and list the latest dead letters; raises `DeliveryFault`."""
        return await self._store.numbers(), await self._store.letters()

    async def retry(self, ids: Sequence[int] | None) -> Sequence[int]:
        """Put dead letters, all of them for None, behind what waits in their channels; gives the ids of those that were there."""
        found = await self._store.retry(ids, self._clock())
        self._pump.wake()
        return found

    async def close(self) -> None:
        """Accept no more, deliver what can be delivered within `DRAIN_S`, close the store; the rest is delivered after the next start."""
        if not self._tasks or self._closed:
            return
        self._closed = True
        writing, pumping, counting = self._tasks
        counting.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._writer.close()
                self._pump.wake()
                await self._pump.idle.wait()
        pumping.cancel()
        await asyncio.gather(counting, pumping, return_exceptions=True)
        self._writer.end()
        await writing
        await self._store.close()

    def _drafts(self, command: Command) -> Iterator[Draft]:
        demand(command.method in _METHODS, f"{command.method} cannot be delivered durably")
        shared = {name: value for name, value in command.params.items() if name != "channels"}
        given = str(command.params.get("idempotency_key") or "")
        key = given.encode() or None
        channels = command.channels
        # A key counts for its channel alone, and what is alike may leave as one broadcast.
        keys = itertools.repeat(given or next(self._keys)) if given or len({*channels}) == len(channels) else self._keys
        for channel, own in zip(channels, keys, strict=False):
            params = {**shared, "channel": channel, "idempotency_key": own}
            yield Draft(channel=channel, key=key, body=dump(params))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(COUNT_S)
            try:
                await self._count()
            except DeliveryFault as fault:
                _LOG.warning("%s", fault)

    async def _count(self) -> None:
        self.numbers = await self._store.numbers()
        self._writer.length = self.numbers.waiting + self.numbers.dead
