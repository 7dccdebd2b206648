"""A connection has come to its end and may be prolonged."""

from collections.abc import Mapping

from proxy.hooks.ports import Identifier, Watch
from proxy.hooks.renewals import Prolonged, Renewals
from proxy.identity.chain import Credentials, Refusal
from proxy.policy.decision import Deny, Request
from proxy.policy.policy import Person
from proxy.wire.replies import Expired, Refreshed, RefreshReply
from proxy.wire.requests import RefreshRequest


class Refresh:
    """Finds out whether the sign-in still counts, then asks the policy again; `watch` is told of those whose sign-in does not.

    Centrifugo repeats the headers of the first request of the connection. What came in the connect data is gone, and who came with
    a token may have shown no credential at all: then the policy alone decides.
    """

    def __init__(self, renewals: Renewals, chain: Identifier, watch: Watch) -> None:
        self._renewals = renewals
        self._chain = chain
        self._watch = watch

    async def __call__(self, request: RefreshRequest, headers: Mapping[str, str] | None) -> RefreshReply:
        """Answer the hook; `headers` is None when a credential is repeated, which ends the connection."""
        if headers is None:
            self._renewals.ended((request.user, request.client, ""))
            return Expired()
        asked = Request(
            op="refresh",
            user=request.user,
            client=request.client,
            transport=request.transport,
            meta=request.meta,
            headers=headers,
        )
        person = await self._chain.recall(Credentials(headers=headers), request.user)
        if isinstance(person, Refusal) or (person and person.user != request.user):
            return self._disowned(request, asked, person)
        if person is None:
            return _reply(await self._renewals.decide((request.user, request.client, ""), asked))
        meta = None if person.meta is None or person.meta == request.meta else dict(person.meta)
        asked.meta = request.meta if meta is None else meta
        return _reply(await self._renewals.decide((request.user, request.client, ""), asked, person), meta)

    def undecided(self, request: RefreshRequest) -> RefreshReply:
        """Answer without a decision, because there is too much to do or something failed."""
        return _reply(self._renewals.undecided((request.user, request.client, "")))

    def _disowned(self, request: RefreshRequest, asked: Request, found: Person | Refusal) -> RefreshReply:
        """The credential counts no longer or belongs to somebody else, or nobody can say."""
        refusal = found if isinstance(found, Refusal) else Refusal(reason="no_identity", detail="another user has signed in")
        self._watch(asked, Deny(reason=refusal.reason, detail=refusal.detail))
        if refusal.reason == "fact_error":
            return self.undecided(request)
        self._renewals.ended((request.user, request.client, ""))
        return Expired()


def _reply(prolonged: Prolonged | None, meta: dict[str, object] | None = None) -> RefreshReply:
    return Refreshed(expire_at=prolonged.expire_at, info=prolonged.info, meta=meta) if prolonged else Expired()
