"""How long connections and subscriptions live on while their refresh cannot be decided."""

from collections.abc import Callable, Hashable
from typing import Final

KEPT_MS: Final = 600_000
"""How long the end of a grace is remembered. An answer that did not arrive is asked for again, which must not begin a new grace."""


class Grace:
    """Grants a span from the first failure on, to at most `size` keys at a time; when it is full, newcomers get none.

    `clock` gives epoch milliseconds. Keys stand in the order of their first failure, so that the oldest is found at once.
    """

    def __init__(self, span_s: int, clock: Callable[[], int], *, size: int = 100_000) -> None:
        self._span_ms = span_s * 1000
        self._clock = clock
        self._size = size
        self._since: dict[Hashable, int] = {}

    def extends(self, key: Hashable) -> bool:
        """Whether the key is within its grace; the first call for a key begins it."""
        now = self._clock()
        since = self._since.get(key)
        if since is None:
            self._forget(now)
            if not self._span_ms or len(self._since) >= self._size:
                return False
            since = self._since[key] = now
        return now - since < self._span_ms

    def settle(self, key: Hashable) -> None:
        """Forget the key: there was a decision about it."""
        self._since.pop(key, None)

    def _forget(self, now: int) -> None:
        while self._since:
            oldest = next(iter(self._since))
            if now - self._since[oldest] < self._span_ms + KEPT_MS:
                return
            del self._since[oldest]
