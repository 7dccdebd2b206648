"""Delivery from the outbox: the order of each channel, retries with growing pauses, and a careful start after an outage.

A channel whose first message is not delivered waits, the others go on. When Centrifugo is away everything waits, and a single message
tries again; with each one that gets through twice as many may.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from proxy.delivery.outbox_window import RUN, Lane, Source, Window
from proxy.errors import CentrigateError, DeliveryFault, Overload
from proxy.stores.outbox import Fate, Message, Settlement
from proxy.wire.api import ApiError, Command, Outcome, decode_command
from proxy.wire.codes import PASSING

LANES: Final = 1024
"""Channels that send at once, when all is well."""
POLL_S: Final = 0.2
"""Seconds after which the store is asked for what other processes accepted."""
FIRST_S: Final = 0.1
"""Seconds before the second attempt, about; each further one waits twice as long, at random between half of it and all."""
LONGEST_S: Final = 10.0
"""Seconds between two attempts of a channel at most."""
AWAY_S: Final = 2.0
"""Seconds between two attempts at most while Centrifugo is away."""
EXPIRY_MS: Final = 24 * 3600 * 1000
"""Age at which a message that still fails becomes a dead letter."""

_LOG: Final = logging.getLogger(__name__)


class Sender(Protocol):
    """The way to Centrifugo."""

    async def send(self, command: Command) -> Outcome:
        """Have a command carried out; raises `Fault` when it is unknown whether it was."""
        ...


class Ledger(Protocol):
    """Where the fate of a message is written down."""

    @property
    def unsettled(self) -> int:
        """Settlements that are not on disk."""
        ...

    def settle(self, settlement: Settlement) -> None:
        """Have it written soon."""
        ...


class Pump:
    """Delivers what stands in a store, for as long as this process leads; `clock` gives epoch milliseconds."""

    def __init__(self, source: Source, ledger: Ledger, sender: Sender, clock: Callable[[], int]) -> None:
        self.attempts = 0
        """Messages that were sent, again or for the first time."""
        self.idle = asyncio.Event()
        """Set while there is nothing that could be sent now."""
        self._source = source
        self._ledger = ledger
        self._sender = sender
        self._clock = clock
        self._wake = asyncio.Event()
        self._window = Window(source)
        self._ready: deque[Lane] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._unread = True
        self._poll_at = self._renew_at = self._leads_until = 0.0
        self._room = LANES
        self._faults = 0
        self._resume_at = 0.0

    def wake(self) -> None:
        """Look for new messages at once."""
        self._unread = True
        self.idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._turn()
                await self._rest()
        finally:
            await self._abandon()

    async def _turn(self) -> None:
        try:
            await self._lead()
            await self._read()
        except DeliveryFault as fault:
            _LOG.warning("%s", fault)
        while self._ready and len(self._running) < self._room and self._may_send():
            task = asyncio.create_task(self._run(self._ready.popleft()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        busy = self._running or (self._may_send() and (self._unread or self._ready))
        (self.idle.clear if busy else self.idle.set)()

    async def _rest(self) -> None:
        pause = self._resume_at - _now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(POLL_S, pause) if pause > 0 else POLL_S):
                await self._wake.wait()

    async def _lead(self) -> None:
        began = _now()
        if began < self._renew_at:
            return
        granted = await self._source.lead()
        # Somebody else may have led in between, and what is in memory be delivered.
        lapsed = self._leads_until and (not granted or began >= self._leads_until)
        self._leads_until = began + granted if granted else 0.0
        self._renew_at = began + min(granted / 3, LONGEST_S)
        if lapsed:
            await self._abandon()

    def _may_send(self) -> bool:
        return self._resume_at <= _now() < self._leads_until

    async def _read(self) -> None:
        now = _now()
        if self._window.full(self._ledger.unsettled) or now >= self._leads_until or not (self._unread or now >= self._poll_at):
            return
        self._unread = False
        self._poll_at = now + POLL_S
        count, lanes = await self._window.read()
        self._ready += lanes
        if count:
            self.wake()

    async def _run(self, lane: Lane) -> None:
        delay = 0.0
        try:
            if not lane.queue:
                await self._window.refill(lane)
            for _ in range(RUN):
                if not lane.queue or delay or not self._may_send():
                    break
                delay = await self._attempt(lane)
        except DeliveryFault as fault:
            _LOG.warning("%s", fault)
            delay = FIRST_S
        if delay:
            self._park(lane, delay)
        elif not self._window.end(lane):
            self._ready.append(lane)
        self._wake.set()

    async def _attempt(self, lane: Lane) -> float:
        """Send the first message of a channel and give the seconds that the channel has to wait then."""
        message = lane.queue[0]
        self.attempts += 1
        fate, reason = await self._deliver(message)
        if fate is Fate.kept and self._clock() - message.accepted_ms > EXPIRY_MS:
            fate, reason = Fate.dead, f"not delivered within {EXPIRY_MS // 3_600_000} hours: {reason}"
        self._ledger.settle(Settlement(id=message.id, fate=fate, reason=reason))
        if fate is Fate.kept:
            lane.failures += 1
            return _pause(lane.failures, LONGEST_S)
        lane.failures = 0
        self._window.take(lane)
        return 0.0

    async def _deliver(self, message: Message) -> tuple[Fate, str]:
        try:
            command = decode_command("publish", message.body)
            outcome = await self._sender.send(command) if isinstance(command, Command) else command
        except (DeliveryFault, Overload) as fault:
            self._failed()
            return Fate.kept, str(fault)
        except CentrigateError as error:
            return Fate.dead, f"cannot be sent: {error}"
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not stop the channel for good, nor lose the message
            self._failed()
            _LOG.exception("a message of the outbox could not be sent")
            return Fate.kept, f"unexpected {type(error).__name__}"
        self._faults = 0
        self._room = min(self._room * 2, LANES)
        self._wake.set()
        if isinstance(outcome, ApiError):
            return Fate.kept if outcome.code in PASSING else Fate.dead, f"error {outcome.code}: {outcome.message}"
        return Fate.delivered, ""

    def _failed(self) -> None:
        self._room = 1
        # Those that were in the air together failed together: that is one fault.
        if _now() >= self._resume_at:
            self._faults += 1
            self._resume_at = _now() + _pause(self._faults, AWAY_S)

    def _park(self, lane: Lane, delay: float) -> None:
        self._window.trim(lane)
        asyncio.get_running_loop().call_later(delay, self._unpark, lane)

    def _unpark(self, lane: Lane) -> None:
        if self._window.knows(lane):
            self._ready.append(lane)
            self._wake.set()

    async def _abandon(self) -> None:
        """Forget everything: what was not settled is read again by whoever leads next."""
        running = [*self._running]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._window.clear()
        self._ready.clear()
        self._unread = True


def _now() -> float:
    return asyncio.get_running_loop().time()


def _pause(failures: int, longest: float) -> float:
    """Give the seconds before another attempt, at random, so that what failed together does not come back together."""
    return min(longest, FIRST_S * 2.0 ** min(failures - 1, 16)) * random.uniform(0.5, 1)  # noqa: S311 - no secret
