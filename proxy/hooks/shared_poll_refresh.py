"""Centrifugo asks on its own behalf which keys of a shared poll have changed."""

from proxy.wire.replies import Polled, SharedPollRefreshReply
from proxy.wire.requests import SharedPollRefreshRequest


class SharedPollRefresh:
    """Says that nothing has changed: no rule can allow data in a shared poll."""

    async def __call__(self, _request: SharedPollRefreshRequest) -> SharedPollRefreshReply:
        """Answer the hook."""
        return Polled()
