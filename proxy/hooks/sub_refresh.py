"""A subscription has come to its end and may be prolonged."""

from proxy.hooks.renewals import Prolonged, Renewals
from proxy.policy.decision import Request
from proxy.wire.replies import Expired, SubRefreshed, SubRefreshReply
from proxy.wire.requests import SubRefreshRequest


class SubRefresh:
    """Asks the policy again, whose answer may also change what others see of the subscriber."""

    def __init__(self, renewals: Renewals) -> None:
        self._renewals = renewals

    async def __call__(self, request: SubRefreshRequest) -> SubRefreshReply:
        """Answer the hook."""
        asked = Request(
            op="sub_refresh",
            user=request.user,
            channel=request.channel,
            client=request.client,
            transport=request.transport,
            meta=request.meta,
        )
        return _reply(await self._renewals.decide((request.user, request.client, request.channel), asked))

    def undecided(self, request: SubRefreshRequest) -> SubRefreshReply:
        """Answer without a decision, because there is too much to do or something failed."""
        return _reply(self._renewals.undecided((request.user, request.client, request.channel)))


def _reply(prolonged: Prolonged | None) -> SubRefreshReply:
    return SubRefreshed(expire_at=prolonged.expire_at, info=prolonged.info) if prolonged else Expired()
