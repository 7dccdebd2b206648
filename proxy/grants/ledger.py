"""Writes down what hooks and token endpoints allow, so that it can be taken back."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from proxy.grants.grant import TOKEN, Grant, More, topics
from proxy.policy.decision import Allow, Request
from proxy.wire.write import dump

LARGEST: Final = 2048
"""Characters of a payload that is kept with its grant; what is longer is not there when the grant is decided again."""

TOGETHER: Final = 64
"""Subscriptions that are written down at a time: for one alone, the processor has to fetch all that writing it down takes once more."""

WITHIN_S: Final = 0.02
"""Seconds until they are written down if fewer come."""

_Note: TypeAlias = tuple[str, Request, Allow, int | None, int | None, More | None]


class Holder(Protocol):
    """Who keeps grants."""

    def hold(self, grant: Grant) -> None:
        """Keep a new grant."""

    def release(self, holder: str, channel: str) -> None:
        """Forget a grant that has ended."""


class Ledger:
    """Makes grants of decisions, of subscriptions `TOGETHER`.

    `reads` gives the names that the rules in force for an operation (`connect` or `subscribe`) may look at: of a request, headers and
    payload are kept only if they are among them.
    """

    def __init__(self, holder: Holder, reads: Callable[[str], frozenset[str]]) -> None:
        self._holder = holder
        self._reads = reads
        self._notes: list[_Note] = []

    def connected(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """Note a connection that was allowed or prolonged until `end_s`, with the subscriptions it came with."""
        self.write()
        self._connection(request.client or "", request, allow, end_s)

    def subscribed(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """Note a subscription that was allowed or prolonged until `end_s`."""
        more = None if request.data is None else self._more(request, "subscribe")
        if not self._notes:
            asyncio.get_running_loop().call_later(WITHIN_S, self.write)
        self._notes.append((request.client or "", request, allow, end_s, None, more))
        if len(self._notes) >= TOGETHER:
            self.write()

    def minted(self, request: Request, allow: Allow, token: str, usable_s: int, end_s: int | None) -> None:
        """Note a token: its `jti`, until when it can be used, and when what it opens ends, in epoch seconds."""
        self.write()
        if request.channel is None:
            self._connection(TOKEN + token, request, allow, end_s, usable_s)
        else:
            self._holder.hold(_grant(TOKEN + token, request, allow, end_s, usable_s, None))

    def ended(self, client: str, channel: str) -> None:
        """Note that a connection (channel `""`) or a subscription was not prolonged."""
        self.write()
        self._holder.release(client, channel)

    def write(self) -> None:
        """Make the grants of all that was noted; whoever looks for grants has it done first."""
        notes, self._notes = self._notes, []
        for note in notes:
            self._holder.hold(_grant(*note))

    def _connection(self, holder: str, request: Request, allow: Allow, end_s: int | None, usable_s: int | None = None) -> None:
        self._holder.hold(_grant(holder, request, allow, end_s, usable_s, self._more(request, "connect")))
        for channel, found in (allow.channels or {}).items():
            asked = Request(op="subscribe", user=request.user, channel=channel, meta=request.meta, timestamp_ms=request.timestamp_ms)
            self._holder.hold(_grant(holder, asked, found, None, usable_s, None))  # it ends with the connection

    def _more(self, request: Request, operation: str) -> More:
        read = self._reads(operation)
        return More(
            data=request.data if "data" in read and len(str(request.data)) <= LARGEST else None,
            ambiguous=request.ambiguous,
            headers=request.headers if "headers" in read else None,
            name=request.name,
            version=request.version,
        )


def _grant(holder: str, request: Request, allow: Allow, end_s: int | None, usable_s: int | None, more: More | None) -> Grant:
    now_ms = request.timestamp_ms or 0
    meta = None if request.meta is None else dump(request.meta).decode()
    return Grant(
        holder,
        request.user or "",
        request.channel or "",
        allow.rule,
        allow.revision,
        topics(allow.facts.values()),
        end_s,
        now_ms,
        now_ms,
        request.transport,
        meta,
        usable_s,
        more,
    )
