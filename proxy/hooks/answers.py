"""What a client is told, by the reason of the refusal: the table of the policy language, as data.

A reason that is not in a table is the name of a deny, and is answered like `no_rule`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from proxy.policy.decision import Deny
from proxy.wire.codes import REASON, DisconnectCode, ErrorCode
from proxy.wire.replies import Disconnected, Refused

FORBIDDEN: Final = Refused(code=ErrorCode.PERMISSION_DENIED, message="permission denied")
MALFORMED: Final = Refused(code=ErrorCode.BAD_REQUEST, message="bad request")
UNAVAILABLE: Final = Refused(code=ErrorCode.NOT_AVAILABLE, message="not available")
LATER: Final = Refused(code=ErrorCode.TOO_MANY_REQUESTS, message="too many requests", temporary=True)
FAILED: Final = Refused(code=ErrorCode.INTERNAL, message="internal server error", temporary=True)

COMMANDS: Final[Mapping[str, Refused]] = {
    "no_identity": FORBIDDEN,
    "error": FORBIDDEN,
    "no_rule": FORBIDDEN,
    "bad_channel": MALFORMED,
    "no_channel": Refused(code=ErrorCode.UNKNOWN_CHANNEL, message="unknown channel"),
    "no_method": Refused(code=ErrorCode.METHOD_NOT_FOUND, message="method not found"),
    "schema": MALFORMED,
    "limit": LATER,
    "fact_error": FAILED,
    "overload": LATER,
}
"""Answers to subscribe, publish, rpc, map_publish and map_remove."""

STRANGER: Final = Disconnected(code=DisconnectCode.UNAUTHORIZED, reason="unauthorized")
OUTCAST: Final = Disconnected(code=DisconnectCode.FORBIDDEN, reason="forbidden")

CONNECTIONS: Final[Mapping[str, Refused | Disconnected]] = {
    "no_identity": STRANGER,
    "error": OUTCAST,
    "no_rule": OUTCAST,
    "schema": OUTCAST,
    "limit": LATER,
    "fact_error": FAILED,
    "overload": LATER,
}
"""Answers to connect. A disconnect ends the client's attempts; an error code would end them too, but without a word to the page."""

UNDECIDED: Final = frozenset({"fact_error", "overload"})
"""Reasons that say nothing about a connection or subscription that is to be prolonged: it may live on within the grace."""


class Answers:
    """Refusals as clients see them: neutral texts, or with `explain` (development) the reason, the rule and its place."""

    def __init__(self, *, explain: bool = False) -> None:
        self._explain = explain

    def command(self, deny: Deny) -> Refused:
        """Refuse a command; the connection stays."""
        answer = COMMANDS.get(deny.reason, FORBIDDEN)
        return dataclasses.replace(answer, message=f"{answer.message}: {_why(deny)}") if self._explain else answer

    def connection(self, deny: Deny) -> Refused | Disconnected:
        """Refuse a connection."""
        answer = CONNECTIONS.get(deny.reason, OUTCAST)
        if not self._explain:
            return answer
        if isinstance(answer, Refused):
            return dataclasses.replace(answer, message=f"{answer.message}: {_why(deny)}")
        reason = f"{answer.reason}: {_why(deny)}".encode(errors="replace")[:REASON].decode(errors="ignore")
        return dataclasses.replace(answer, reason=reason)


def _why(deny: Deny) -> str:
    place = f" by {deny.rule} at {deny.at}" if deny.rule else ""
    return deny.reason + place + (f" ({deny.detail})" if deny.detail else "")
