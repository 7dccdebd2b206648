"""Rate limits in the memory of one process."""

import collections
import itertools
from collections.abc import Callable

from proxy.policy.decision import Limit

_LOOKED_AT = 8
"""How many of the longest unused buckets are looked at for a full one before the first of them is dropped."""


class Buckets:
    """Token buckets, one for each rule and key.

    A bucket is kept as the time (nanoseconds) at which it will be full again, so that one number says all and a bucket whose time
    has passed is as good as none. At most `most` are kept: full ones go first, then those unused for longest.
    """

    def __init__(self, clock: Callable[[], int], most: int = 100_000) -> None:
        """`clock` gives nanoseconds and never goes back, as `time.monotonic_ns`."""
        self._clock = clock
        self._most = most
        self._full_at: collections.OrderedDict[tuple[str, tuple[str, ...]], int] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, limit: Limit) -> bool:
        """Takes a token; False, and nothing is taken, when there is none."""
        key = (limit.rule, limit.key)
        now = self._clock()
        token = max(limit.per_ms * 1_000_000 // limit.rate, 1)
        before = self._full_at.get(key)
        full_at = token + (now if before is None or before < now else before)
        taken = full_at - now <= token * limit.burst
        if taken:
            self._full_at[key] = full_at
        if before is not None:
            self._full_at.move_to_end(key)
        elif len(self._full_at) > self._most:
            self._drop(now)
        return taken

    def _drop(self, now: int) -> None:
        oldest = itertools.islice(self._full_at.items(), _LOOKED_AT)
        full = next((key for key, full_at in oldest if full_at <= now), None)
        del self._full_at[full or next(iter(self._full_at))]
