"""Claims of Centrifugo's tokens that no standard has: https://centrifugal.dev/docs/server/authentication and …/channel_token_auth."""

from typing import Final

EXPIRE_AT: Final = "expire_at"
"""When what the token opens ends, in epoch seconds; 0 is never, absent is with the token."""

SUBS: Final = "subs"
"""Server-side subscriptions of a connection: options by channel."""
