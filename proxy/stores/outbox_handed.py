"""Publications that are handed to Centrifugo itself: it takes them from a database, and nobody here delivers them.

Source of the forms: Centrifugo's `postgresql` and `redis_stream` consumers, 6.9.1.
"""

from collections.abc import Sequence
from typing import Final

from proxy.stores.outbox import Letter, Message

SETTING: Final = "CENTRIGATE_HAND_OVER"
METHOD: Final = "publish"
"""What Centrifugo shall do with each message."""


class Handed:
    """The half of `proxy.stores.outbox.Store` that is Centrifugo's business: nothing is read, led or found dead here."""

    async def after(self, cursor: int, limit: int) -> Sequence[Message]:  # noqa: ARG002 - there are none
        """Give nothing."""
        return ()

    async def of(self, channel: str, after: int, until: int, limit: int) -> Sequence[Message]:  # noqa: ARG002 - there are none
        """Give nothing."""
        return ()

    async def lead(self) -> float:
        """Say that it is somebody else's turn."""
        return 0.0

    async def letters(self) -> Sequence[Letter]:
        """List nothing: what Centrifugo refuses, it drops."""
        return ()

    async def retry(self, ids: Sequence[int] | None, now_ms: int) -> Sequence[int]:  # noqa: ARG002 - there are none
        """Retry nothing."""
        return ()
