"""Centrifugo's numbers: errors, which answer one command, and disconnects, which end the connection.

What clients make of them: measured with centrifuge-js 5.8 and centrifuge-python 0.7 on Centrifugo 6.9.1 and 5.4.9. The ranges are a
convention that the server does not enforce, so the reply types do.
"""

from enum import IntEnum
from typing import Final


class ErrorCode(IntEnum):
    """Centrifugo's own errors; a client retries connect and subscribe only if the error says that it is temporary, or on 109."""

    INTERNAL = 100
    UNAUTHORIZED = 101
    UNKNOWN_CHANNEL = 102
    PERMISSION_DENIED = 103
    METHOD_NOT_FOUND = 104
    ALREADY_SUBSCRIBED = 105
    LIMIT_EXCEEDED = 106
    BAD_REQUEST = 107
    NOT_AVAILABLE = 108
    TOKEN_EXPIRED = 109
    EXPIRED = 110
    TOO_MANY_REQUESTS = 111
    UNRECOVERABLE_POSITION = 112
    CONFLICT = 113


ERRORS: Final = frozenset(ErrorCode)
"""Centrifugo's own errors; the other codes below 400 are reserved."""

PASSING: Final = frozenset({ErrorCode.INTERNAL, ErrorCode.TOO_MANY_REQUESTS, ErrorCode.CONFLICT})
"""The errors that mean "later"; said without `temporary`, they stop a client for good."""

CUSTOM_ERRORS: Final = range(400, 2000)
"""Codes that are ours to give a meaning; clients treat those below 100 each in their own way, and 0 breaks them."""


class DisconnectCode(IntEnum):
    """Reasons to end a connection: Centrifugo's own, and the two of this service."""

    CONNECTION_CLOSED = 3000
    SHUTDOWN = 3001
    SERVER_ERROR = 3004
    CONNECTION_EXPIRED = 3005
    SUBSCRIPTION_EXPIRED = 3006
    SLOW = 3008
    WRITE_ERROR = 3009
    INSUFFICIENT_STATE = 3010
    FORCE_RECONNECT = 3011
    NO_PONG = 3012
    TOO_MANY_REQUESTS = 3013
    STATE_INVALIDATED = 3014
    """The client drops its tokens, asks for new ones and reconnects."""
    INVALID_TOKEN = 3500
    BAD_REQUEST = 3501
    STALE = 3502
    FORCE_DISCONNECT = 3503
    CONNECTION_LIMIT = 3504
    CHANNEL_LIMIT = 3505
    INAPPROPRIATE_PROTOCOL = 3506
    PERMISSION_DENIED = 3507
    NOT_AVAILABLE = 3508
    TOO_MANY_ERRORS = 3509
    UNAUTHORIZED = 4501
    FORBIDDEN = 4503


CUSTOM_DISCONNECTS: Final = range(4000, 5000)
"""Codes that are ours to give a meaning."""

_TERMINAL: Final = (range(3500, 4000), range(4500, 5000))

REFUSALS: Final = frozenset(
    {
        DisconnectCode.INVALID_TOKEN,
        DisconnectCode.BAD_REQUEST,
        DisconnectCode.FORCE_DISCONNECT,
        DisconnectCode.PERMISSION_DENIED,
    }
)
"""Centrifugo's own codes that a hook may answer with: all of them terminal."""

REASON: Final = 123
"""Bytes of a disconnect reason: a longer one does not fit a WebSocket close frame, the code is lost and the client comes back for ever."""


def terminal(code: int) -> bool:
    """Whether a client that is disconnected with this code stays away; with any other it reconnects."""
    return any(code in codes for codes in _TERMINAL)
