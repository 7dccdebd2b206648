"""What is in work, bounded by number and by age."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

CROWD: Final = 32
"""So many have to wait before the age of the oldest says anything: fewer are no queue, but something that takes its time."""

RESERVE: Final = 8
"""Renewals may exceed the bound by one in so many."""

Ticket: TypeAlias = object
"""Stands for something that waits."""


class Flight:
    """How much is in work, and since when.

    `most` bounds it by number, with a reserve for renewals. When more than a few wait, the oldest for longer than `wait_s`, what comes
    then would come too late. `clock` gives seconds.
    """

    __slots__ = ("_clock", "_wait_s", "_waiting", "count", "most")

    def __init__(self, most: int, wait_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self.most = most
        self._wait_s = wait_s
        self._clock = clock
        self._waiting: OrderedDict[Ticket, float] = OrderedDict()

    def bound(self, *, renewal: bool) -> int:
        """Give how much may be in work for one more of it to be begun."""
        return self.most + self.most // RESERVE if renewal else self.most

    @property
    def oldest_s(self) -> float:
        """The seconds that the oldest has waited, 0 when nothing waits."""
        return self._clock() - next(iter(self._waiting.values())) if self._waiting else 0.0

    def late(self) -> bool:
        """Whether what waits is more than a few, and the oldest of it has waited for too long."""
        return len(self._waiting) >= CROWD and self.oldest_s > self._wait_s

    def begin(self) -> Ticket:
        """Note something that may have to wait; it must be ended."""
        ticket = object()
        self._waiting[ticket] = self._clock()
        return ticket

    def end(self, ticket: Ticket) -> None:
        """Forget it."""
        del self._waiting[ticket]
