"""The part of an outbox that is in memory: of each channel the first messages, and of what is behind them only that it is there."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from proxy.stores.outbox import PAGE_BYTES, Message

WINDOW: Final = 4096
"""Messages in memory; reading goes on below half of it."""
WINDOW_BYTES: Final = 64 << 20
"""Their bytes, about."""
RUN: Final = 64
"""Messages of one channel in memory."""
PAGE: Final = 1024
"""Messages that are read at a time."""


class Source(Protocol):
    """The half of a store that is read; what fails raises `DeliveryFault`."""

    async def after(self, cursor: int, limit: int) -> Sequence[Message]:
        """Give waiting messages with a higher id, in order."""
        ...

    async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:
        """Give waiting messages of one channel in a range of ids, in order."""
        ...

    async def lead(self) -> float:
        """Give for how many seconds from before this call nobody else delivers; 0 if it is somebody else's turn."""
        ...


class Lane:
    """The messages of one channel up to the id `last`; `more` stand in the store alone; `failures` of the first one in a row."""

    __slots__ = ("channel", "failures", "last", "missed", "more", "queue", "reading")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.queue: deque[Message] = deque()
        self.last = 0
        self.more = False
        self.reading = self.missed = False
        self.failures = 0


class Window:
    """Reads a store in the order of ids, each message once, and the rest of a channel when that comes to its turn."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lanes: dict[str, Lane] = {}
        self._cursor = self._held = self._bytes = 0

    def full(self, besides: int) -> bool:
        """Whether enough is in memory, where so many messages count besides."""
        return self._held + besides > WINDOW // 2 or self._bytes > WINDOW_BYTES // 2

    async def read(self) -> tuple[int, Sequence[Lane]]:
        """Read a page; gives how many messages it had, and the lanes that were unknown before."""
        messages = await self._source.after(self._cursor, PAGE)
        self._cursor = messages[-1].id if messages else self._cursor
        return len(messages), [lane for message in messages for lane in self._append(message)]

    async def refill(self, lane: Lane) -> None:
        """Read what is behind in an empty lane."""
        limit = RUN if self._bytes < WINDOW_BYTES // 2 else 1
        lane.reading = True
        try:
            messages = await self._source.of(lane.channel, lane.last, self._cursor, limit)
        finally:
            lane.reading = False
        cut = len(messages) == limit or sum(len(each.body) for each in messages) >= PAGE_BYTES
        lane.more, lane.missed = cut or lane.missed, False
        for message in messages:
            self._hold(lane, message)

    def take(self, lane: Lane) -> None:
        """Take the first message away; a lane that is empty then, with no more behind, is forgotten by `end`."""
        self._release(lane.queue.popleft())

    def trim(self, lane: Lane) -> None:
        """Keep of a lane that has to wait its first message alone."""
        while len(lane.queue) > 1:
            self._release(lane.queue.pop())
            lane.more = True
        lane.last = lane.queue[0].id if lane.queue else lane.last

    def end(self, lane: Lane) -> bool:
        """Forget a lane that has nothing left; gives whether it had nothing."""
        over = not lane.queue and not lane.more
        if over:
            del self._lanes[lane.channel]
        return over

    def knows(self, lane: Lane) -> bool:
        """Whether this is still the lane of its channel."""
        return self._lanes.get(lane.channel) is lane

    def clear(self) -> None:
        """Forget everything and begin at the first message again."""
        self._lanes.clear()
        self._cursor = self._held = self._bytes = 0

    def _append(self, message: Message) -> Iterator[Lane]:
        lane = self._lanes.get(message.channel)
        if lane is None:
            lane = self._lanes[message.channel] = Lane(message.channel)
            yield lane
        if lane.reading:
            lane.missed = True
        elif lane.more or len(lane.queue) >= RUN:
            lane.more = True
        else:
            self._hold(lane, message)

    def _hold(self, lane: Lane, message: Message) -> None:
        lane.queue.append(message)
        lane.last = message.id
        self._held += 1
        self._bytes += len(message.body)

    def _release(self, message: Message) -> None:
        self._held -= 1
        self._bytes -= len(message.body)
