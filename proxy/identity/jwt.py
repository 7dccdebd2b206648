"""Tokens of one issuer: verified with its keys, remembered while they are valid (RFC 7515, RFC 7519, RFC 8725)."""

import base64
import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import orjson

from proxy.errors import Malformed
from proxy.identity.keys import Ring, algorithm
from proxy.policy.declared import JwtIdentity
from proxy.wire.read import ambiguous, parse

LEEWAY = 10
"""Seconds that clocks may differ."""

MAX_LENGTH = 8192
"""Characters of a token; a longer one is refused unread."""

MAX_REMEMBERED = 16_384
"""Verified tokens that are kept: clients that reconnect bring the same ones."""

MAX_REMEMBERED_LENGTH = 2048
"""Characters of a token that is kept; together with the number it bounds the memory."""

Claims = Mapping[str, object]

_PART: Final = "((?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?)"
_SHAPE: Final = re.compile(rf"{_PART}\.{_PART}\.{_PART}")
"""Three parts, each the only writing of its bytes: what the last character holds beyond them is zero (RFC 4648 §3.5)."""
_UNKNOWN_EXTENSIONS: Final = ("crit", "b64")


class Keys(Protocol):
    """Where the keys of an issuer come from."""

    def fresh(self) -> Ring | None:
        """The keys if they are at hand; never waits."""

    async def ring(self, kid: str | None = None) -> Ring:
        """The keys, once more fetched if none has the name `kid`; raises `FactFault` when they cannot be had."""

    async def probe(self) -> None:
        """Returns if the keys can be had now; raises `FactFault` if not."""

    async def close(self) -> None:
        """Lets go of connections."""


class Fixed:
    """Keys that are what they were at the start."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def fresh(self) -> Ring:
        """The keys."""
        return self._ring

    async def ring(self, kid: str | None = None) -> Ring:  # noqa: ARG002 - there are no others
        """The keys."""
        return self._ring

    async def probe(self) -> None:
        """Nothing can be away."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A token taken apart; nothing of it is true yet."""

    algorithm: str
    kid: str | None
    message: bytes
    payload: bytes
    signature: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a token says, after `since` and before `until` (epoch seconds, the leeway counted in)."""

    claims: Claims
    since: float
    until: float

    def holds(self, now: float) -> bool:
        """Whether it does at this time, in epoch seconds."""
        return self.since <= now < self.until


class Tokens:
    """The tokens of one issuer.

    `exp` is required, for a token without an end could not be taken back; `nbf` and `iat` count where they stand, `aud` where the
    identity names an audience. `clock` gives epoch seconds.
    """

    def __init__(self, identity: JwtIdentity, keys: Keys, clock: Callable[[], float]) -> None:
        self.name, self.issuer, self.places = identity.name, identity.issuer, identity.places
        self.keys = keys
        self._audience = identity.audience
        self._algorithms = frozenset(identity.algorithms)
        self._clock = clock
        self._ring: Ring | None = None
        self._remembered: dict[bytes, Verified] = {}

    async def claims(self, token: str) -> Claims | None:
        """What the token says; None for a token that is not, not yet or no longer valid here. The caller must not change it.

        Raises `FactFault` when the keys cannot be had.
        """
        if len(token) > MAX_LENGTH or not token.isascii():
            return None
        ring = self.keys.fresh() or await self.keys.ring()
        if ring is not self._ring:  # what a key verified that is gone must not outlive it
            self._ring = ring
            self._remembered.clear()
        digest = _digest(token)
        verified = self._remembered.get(digest) or await self._verify(token, ring)
        if verified is None or not verified.holds(self._clock()):
            self._remembered.pop(digest, None)
            return None
        if len(token) <= MAX_REMEMBERED_LENGTH:
            self._remember(digest, verified)
        return verified.claims

    def recalled(self, token: str) -> Claims | None:
        """What the token says if it was verified before, with keys that are still those of the issuer; None says nothing of it."""
        if len(token) > MAX_REMEMBERED_LENGTH or self.keys.fresh() is not self._ring:
            return None
        verified = self._remembered.get(_digest(token))
        return verified.claims if verified and verified.holds(self._clock()) else None

    def _remember(self, digest: bytes, verified: Verified) -> None:
        self._remembered[digest] = verified
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    async def _verify(self, token: str, ring: Ring) -> Verified | None:
        signed = read(token)
        if signed is None or signed.algorithm not in self._algorithms:
            return None
        if not ring.knows(signed.kid):
            ring = await self.keys.ring(signed.kid)
        verify = algorithm(signed.algorithm).verify
        fitting = ring.fitting(signed.algorithm, signed.kid)
        if not any(verify(signed.message, key.material, signed.signature) for key in fitting):
            return None
        claims = _members(signed.payload)
        if claims is None or claims.get("iss") != self.issuer or not self._meant(claims.get("aud")):
            return None
        starts = [_number(claims[name], math.inf) for name in ("nbf", "iat") if name in claims]
        until = _number(claims.get("exp"), -math.inf) + LEEWAY
        return Verified(claims=claims, since=max(starts, default=-math.inf) - LEEWAY, until=until)

    def _meant(self, audience: object) -> bool:
        if self._audience is None:
            return True
        return self._audience == audience or (isinstance(audience, list) and self._audience in audience)


def read(token: str) -> Signed | None:
    """Take a token apart; None for what is none, and for a head with two readings or extensions that are not known here."""
    found = _SHAPE.fullmatch(token)
    head = _members(_decoded(found[1])) if found else None
    if not found or head is None or any(name in head for name in _UNKNOWN_EXTENSIONS):
        return None
    payload, signature = _decoded(found[2]), _decoded(found[3])
    named, kid = head.get("alg"), head.get("kid")
    if not isinstance(named, str) or not (kid is None or isinstance(kid, str)):
        return None
    return Signed(algorithm=named, kid=kid, message=token[: found.start(3) - 1].encode(), payload=payload, signature=signature)


def issuer(token: str) -> str | None:
    """Who the token says has issued it, unverified: good for choosing who verifies it, and for nothing else."""
    try:
        _, payload, _ = token[: MAX_LENGTH + 1].split(".")
        claims = orjson.loads(_decoded(payload))
    except ValueError:
        return None
    found = claims.get("iss") if isinstance(claims, dict) else None
    return found if isinstance(found, str) else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _members(text: bytes) -> Claims | None:
    """A JSON object that all parsers read alike (RFC 8725 §2.6, RFC 7515 §4: a repeated name is refused)."""
    try:
        value = parse(text)
        return value if isinstance(value, dict) and not ambiguous(text) else None
    except Malformed:
        return None


def _number(value: object, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
