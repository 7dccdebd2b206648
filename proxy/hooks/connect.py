"""A client without a token wants to connect."""

from collections.abc import Mapping

from proxy.hooks import leases
from proxy.hooks.answers import Answers
from proxy.hooks.ports import Clock, Decider, Identifier, Ledger, Watch
from proxy.identity.chain import Credentials, Refusal
from proxy.policy.decision import UNCHANGED, Allow, Deny, Request
from proxy.policy.policy import Person
from proxy.wire.read import ambiguous
from proxy.wire.replies import Connected, ConnectReply, SubOptions
from proxy.wire.requests import ConnectRequest


class Connect:
    """Finds out who it is, then asks whether they may connect; `watch` is told of those that nobody knows."""

    def __init__(self, gate: Decider, chain: Identifier, answers: Answers, clock: Clock, watch: Watch, ledger: Ledger) -> None:
        self._gate = gate
        self._chain = chain
        self._answers = answers
        self._clock = clock
        self._watch = watch
        self._ledger = ledger

    async def __call__(self, request: ConnectRequest, headers: Mapping[str, str] | None) -> ConnectReply:
        """Answer the hook; `headers` is None when a credential is repeated, which makes its bearer nobody."""
        person = await self._identify(request, headers)
        now_ms = self._clock()
        asked = Request(
            op="connect",
            client=request.client,
            transport=request.transport,
            data=request.data,
            ambiguous=request.data is not None and ambiguous(request.raw),
            headers=headers or {},
            name=request.name,
            version=request.version,
            timestamp_ms=now_ms,
        )
        if isinstance(person, Refusal):
            deny = Deny(reason=person.reason)
            self._watch(asked, deny)
            return self._answers.connection(deny)
        asked.user, asked.meta = person.user, person.meta
        decision = await self._gate.decide(asked)
        if not isinstance(decision, Allow):
            return self._answers.connection(decision)
        ends = [each for each in (leases.end(decision, now_ms), person.expires_at) if each is not None]
        end = min(ends, default=None)
        self._ledger.connected(asked, decision, end)
        return _connected(person, decision, end)

    async def _identify(self, request: ConnectRequest, headers: Mapping[str, str] | None) -> Person | Refusal:
        if headers is None:
            return Refusal(reason="no_identity")
        shown = Credentials(headers=headers, data=request.data, name=request.name, version=request.version)
        return await self._chain.identify(shown)


def _connected(person: Person, allow: Allow, end: int | None) -> Connected:
    info = person.info if allow.info is UNCHANGED else allow.info
    return Connected(
        user=person.user,
        expire_at=end,
        info=_given(info),
        data=_given(allow.data),
        meta=None if person.meta is None else dict(person.meta),
        subs={channel: _options(each) for channel, each in (allow.channels or {}).items()},
    )


def _options(allow: Allow) -> SubOptions:
    return SubOptions(info=_given(allow.info), data=_given(allow.data))


def _given(value: object) -> object:
    return None if value is UNCHANGED else value
