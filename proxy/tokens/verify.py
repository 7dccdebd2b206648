"""Reads tokens as Centrifugo would: which key signed one, what it says, and why it would not be taken."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import InvalidTokenError
from jwt.api_jws import PyJWS

from proxy.errors import Malformed
from proxy.tokens.keys import Key
from proxy.wire.claims import EXPIRE_AT
from proxy.wire.read import document

LONGEST: Final = 65_536
"""Characters of a token that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a token says; `key` is the name of the key that signed it, `trouble` is why Centrifugo would not take it now."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    key: str | None
    trouble: str | None

    @property
    def channel(self) -> str:
        """What a subscription token is for; `""` makes it a connection token, as Centrifugo sees it."""
        found = self.claims.get("channel", "")
        return found if isinstance(found, str) else ""


def verify(token: str, keys: Sequence[Key], now: float) -> Reading:
    """Read a token at `now`, in epoch seconds; raises `Malformed` for what is no token at all."""
    if len(token) > LONGEST or not token.isascii():
        raise Malformed(f"a token is ASCII text of at most {LONGEST} characters")
    try:
        parts = PyJWS().decode_complete(token, options={"verify_signature": False})
    except InvalidTokenError as error:
        raise Malformed(f"this is no token: {error}") from None
    header, claims = parts["header"], document(parts["payload"])
    key = next((each for each in keys if _signed(token, header, each)), None)
    trouble = "no key here has signed it" if key is None else _misshapen(claims) or _untimely(claims, now)
    return Reading(header=header, claims=claims, key=None if key is None else key.name, trouble=trouble)


def _signed(token: str, header: Mapping[str, Any], key: Key) -> bool:
    """Whether the key has signed it: the token chooses among what the key is made for, never the kind of key (RFC 8725 section 3.1)."""
    if header.get("alg") not in key.accepted or header.get("kid", key.kid) not in (key.kid, None):
        return False
    try:
        PyJWS(key.accepted).decode(token, key.proof, key.accepted)
    except InvalidTokenError:
        return False
    return True


def _misshapen(claims: Mapping[str, Any]) -> str | None:
    for name in ("sub", "channel"):
        if not isinstance(claims.get(name, ""), str):
            return f"{name} is no string"
    for name in ("exp", "nbf", EXPIRE_AT):
        if type(claims.get(name, 0)) not in (int, float):
            return f"{name} is no number"
    return None


def _untimely(claims: Mapping[str, Any], now: float) -> str | None:
    if claims.get("exp", math.inf) <= now:
        return "it has expired"
    if claims.get("nbf", now) > now:
        return "it is not valid yet"
    # Zero means that what the token opens never ends.
    if 0 < claims.get(EXPIRE_AT, 0) <= now:
        return "what it opens has ended already"
    return None
