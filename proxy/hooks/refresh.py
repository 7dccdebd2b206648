"""A connection has come to its end and may be prolonged."""

from collections.abc import Mapping

from proxy.hooks.renewals import Prolonged, Renewals
from proxy.policy.decision import Request
from proxy.wire.replies import Expired, Refreshed, RefreshReply
from proxy.wire.requests import RefreshRequest


class Refresh:
    """Asks the policy again; the credentials are not asked for again, since those in the connect data are gone by now."""

    def __init__(self, renewals: Renewals) -> None:
        self._renewals = renewals

    async def __call__(self, request: RefreshRequest, headers: Mapping[str, str] | None) -> RefreshReply:
        """Answer the hook; `headers` is None when a credential is repeated, which ends the connection."""
        if headers is None:
            return Expired()
        asked = Request(
            op="refresh",
            user=request.user,
            client=request.client,
            transport=request.transport,
            meta=request.meta,
            headers=headers,
        )
        return _reply(await self._renewals.decide((request.client, ""), asked))

    def undecided(self, request: RefreshRequest) -> RefreshReply:
        """Answer without a decision, because there is too much to do or something failed."""
        return _reply(self._renewals.undecided((request.client, "")))


def _reply(prolonged: Prolonged | None) -> RefreshReply:
    return Refreshed(expire_at=prolonged.expire_at, info=prolonged.info) if prolonged else Expired()
