"""Writes down what hooks and token endpoints allow, so that it can be taken back."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol, TypeAlias

from proxy.grants.grant import TOKEN, Grant, Key, More, topics
from proxy.policy.decision import Allow, FactKey, Known, Lost, Request
from proxy.wire.write import dump

LARGEST: Final = 2048
"""Characters of a payload that is kept with its grant; what is longer is not there when the grant is decided again."""

TOGETHER: Final = 128
"""Grants that are written down at a time: for one alone, the processor has to fetch all that writing it down takes once more."""

WITHIN_S: Final = 0.02
"""Seconds until they are written down if fewer come."""

_FIRST_OR_LAST: Final = (1, TOGETHER)

_Note: TypeAlias = tuple[Grant, Mapping[FactKey, Known | Lost], object]
"""A grant, the facts that its topics are those of, and its `meta` if that is yet to be written as JSON."""


class Holder(Protocol):
    """Who keeps grants."""

    def hold(self, grants: Collection[Grant]) -> None:
        """Keep new grants."""

    def release(self, key: Key) -> None:
        """Forget a grant that has ended."""


class Ledger:
    """Makes grants of decisions, `TOGETHER` of them; `write` has those held that wait.

    `reads` gives the names that the rules in force for an operation (`connect` or `subscribe`) may look at: of a request, headers and
    payload are kept only if they are among them.
    """

    def __init__(self, holder: Holder, reads: Callable[[str], frozenset[str]]) -> None:
        self._holder = holder
        self._reads = reads
        self._notes: list[_Note] = []
        self._timed = False

    def connected(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """Note a connection that was allowed or prolonged until `end_s`, with the subscriptions it came with."""
        self._connection(request.client or "", request, allow, end_s)

    def subscribed(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """Note a subscription that was allowed or prolonged until `end_s`."""
        # made here and by places, because every hook does it
        user, channel, now_ms = request.user or "", request.channel or "", request.timestamp_ms or 0
        more = None if request.data is None else self._more(request, "subscribe")
        grant = Grant(request.client or "", user, channel, allow.rule, allow.revision, end_s, now_ms, now_ms, request.transport, more)
        self._notes.append((grant, allow.facts, request.meta))
        if len(self._notes) in _FIRST_OR_LAST:
            self._look()

    def minted(self, request: Request, allow: Allow, token: str, usable_s: int, end_s: int | None) -> None:
        """Note a token: its `jti`, until when it can be used, and when what it opens ends, in epoch seconds."""
        if request.channel is None:
            self._connection(TOKEN + token, request, allow, end_s, usable_s)
        else:
            self._note(_grant(TOKEN + token, request, allow, end_s, usable_s), allow.facts, _json(request.meta))

    def ended(self, user: str, client: str, channel: str) -> None:
        """Note that a connection (channel `""`) or a subscription was not prolonged."""
        self._holder.release((user, client, channel))

    def write(self) -> None:
        """Have all held that was noted; whoever looks for grants has it done first."""
        notes, self._notes = self._notes, []
        if not notes:
            return
        for grant, facts, meta in notes:
            grant.topics = topics(facts.values())
            if meta is not None:
                grant.meta = dump(meta).decode()
        self._holder.hold([grant for grant, _, _ in notes])

    def _connection(self, holder: str, request: Request, allow: Allow, end_s: int | None, usable_s: int | None = None) -> None:
        meta = _json(request.meta)
        self._note(_grant(holder, request, allow, end_s, usable_s, self._more(request, "connect")), allow.facts, meta)
        for channel, found in (allow.channels or {}).items():
            asked = Request(op="subscribe", user=request.user, channel=channel, timestamp_ms=request.timestamp_ms)
            self._note(_grant(holder, asked, found, None, usable_s), found.facts, meta)  # it ends with the connection

    def _note(self, grant: Grant, facts: Mapping[FactKey, Known | Lost], meta: str | None) -> None:
        grant.meta = meta
        self._notes.append((grant, facts, None))
        self._look()

    def _look(self) -> None:
        """Have what waits written down at once if it is enough, else in time."""
        if len(self._notes) >= TOGETHER:
            self.write()
        elif not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(WITHIN_S, self._time_out)

    def _time_out(self) -> None:
        self._timed = False
        self.write()

    def _more(self, request: Request, operation: str) -> More | None:
        read = self._reads(operation)
        data = request.data if "data" in read and len(str(request.data)) <= LARGEST else None
        headers = request.headers if "headers" in read else None
        if data is None and headers is None and not (request.ambiguous or request.name or request.version):
            return None
        return More(data=data, ambiguous=request.ambiguous, headers=headers, name=request.name, version=request.version)


def _grant(holder: str, request: Request, allow: Allow, end_s: int | None, usable_s: int | None, more: More | None = None) -> Grant:
    now_ms = request.timestamp_ms or 0
    return Grant(
        holder=holder,
        user=request.user or "",
        channel=request.channel or "",
        rule=allow.rule,
        revision=allow.revision,
        end_s=end_s,
        since_ms=now_ms,
        decided_ms=now_ms,
        transport=request.transport,
        more=more,
        usable_s=usable_s,
    )


def _json(meta: object) -> str | None:
    return None if meta is None else dump(meta).decode()
