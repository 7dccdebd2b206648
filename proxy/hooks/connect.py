"""A client without a token wants to connect."""

from collections.abc import Mapping

from proxy.hooks import leases
from proxy.hooks.answers import Answers
from proxy.hooks.ports import Clock, Decider, Identifier, Ledger, Watch
from proxy.identity.chain import NOBODY, Credentials, Refusal
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
        person = NOBODY if headers is None else await self._chain.identify(_shown(request, headers))
        asked = self._ask(request, headers, person)
        if isinstance(person, Refusal):
            return self._unknown(person, asked)
        return self._reply(await self._gate.decide(asked), asked, person)

    def now(self, request: ConnectRequest, headers: Mapping[str, str] | None) -> ConnectReply | None:
        """Answer as the call does if nothing has to be waited for, else None; nothing has happened then."""
        person = NOBODY if headers is None else self._chain.known(_shown(request, headers))
        if person is None:
            return None
        asked = self._ask(request, headers, person)
        if isinstance(person, Refusal):
            return self._unknown(person, asked)
        found = self._gate.now(asked)
        return None if found is None else self._reply(found, asked, person)

    def _ask(self, request: ConnectRequest, headers: Mapping[str, str] | None, person: Person | Refusal) -> Request:
        """What the gate is asked."""
        asked = Request(
            op="connect",
            client=request.client,
            transport=request.transport,
            data=request.data,
            ambiguous=request.data is not None and ambiguous(request.raw),
            headers=headers or {},
            name=request.name,
            version=request.version,
            timestamp_ms=self._clock(),
        )
        if isinstance(person, Person):
            asked.user, asked.meta = person.user, person.meta
        return asked

    def _unknown(self, refusal: Refusal, asked: Request) -> ConnectReply:
        deny = Deny(reason=refusal.reason)
        self._watch(asked, deny)
        return self._answers.connection(deny)

    def _reply(self, found: Allow | Deny, asked: Request, person: Person) -> ConnectReply:
        if not isinstance(found, Allow):
            return self._answers.connection(found)
        end, until = leases.end(found, asked.timestamp_ms or 0), person.expires_at
        if end is None or (until is not None and until < end):
            end = until
        self._ledger.connected(asked, found, end)
        return _connected(person, found, end)


def _shown(request: ConnectRequest, headers: Mapping[str, str]) -> Credentials:
    return Credentials(headers=headers, data=request.data, name=request.name, version=request.version)


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
