"""Tokens of one issuer: verified with a key that was parsed at the start, remembered while they are valid (RFC 7519, RFC 8725)."""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from proxy.errors import SetupFault
from proxy.policy.declared import JwtIdentity, Variable

LEEWAY = 10
"""Seconds that clocks may differ."""

MAX_LENGTH = 8192
"""Characters of a token; a longer one is refused unread."""

MAX_REMEMBERED = 16_384
"""Verified tokens that are kept: clients that reconnect bring the same ones."""

MAX_REMEMBERED_LENGTH = 2048
"""Characters of a token that is kept; together with the number it bounds the memory."""

Claims = Mapping[str, object]
Key = bytes | PublicKeyTypes


class Tokens:
    """The tokens of one issuer.

    `exp` is required, for a token without an end could not be taken back; `nbf` and `iat` count where they stand, `aud` where the
    identity names an audience. Of the allowed algorithms those count that the key is made for. `clock` gives epoch seconds.
    Raises `SetupFault` for a key that is missing, unreadable or too short (RFC 7518 §3.2).
    """

    def __init__(self, identity: JwtIdentity, secrets: Mapping[str, str], clock: Callable[[], float]) -> None:
        self.name, self.issuer, self.places = identity.name, identity.issuer, identity.places
        self._audience = identity.audience
        self._clock = clock
        self._key = _key(identity, secrets)
        self._algorithms = _usable(identity, self._key)
        self._signatures = jwt.PyJWS(self._algorithms)
        self._remembered: dict[bytes, Claims] = {}

    def claims(self, token: str) -> Claims | None:
        """What the token says; None for a token that is not, not yet or no longer valid here. The caller must not change it."""
        if len(token) > MAX_LENGTH or not token.isascii():
            return None
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._remembered.get(digest) or self._verified(token)
        if claims is None or not _timely(claims, self._clock()):
            self._remembered.pop(digest, None)
            return None
        if len(token) <= MAX_REMEMBERED_LENGTH:
            self._remember(digest, claims)
        return claims

    def _remember(self, digest: bytes, claims: Claims) -> None:
        self._remembered[digest] = claims
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _verified(self, token: str) -> Claims | None:
        try:
            claims = orjson.loads(self._signatures.decode(token, self._key, self._algorithms))  # type: ignore[arg-type]  # a public key
        except (jwt.InvalidTokenError, orjson.JSONDecodeError):
            return None
        mine = isinstance(claims, dict) and claims.get("iss") == self.issuer and self._meant(claims.get("aud"))
        return claims if mine else None

    def _meant(self, audience: object) -> bool:
        if self._audience is None:
            return True
        return self._audience == audience or (isinstance(audience, list) and self._audience in audience)


def issuer(token: str) -> str | None:
    """Who the token says has issued it, unverified: good for choosing who verifies it, and for nothing else."""
    try:
        _, payload, _ = token[: MAX_LENGTH + 1].split(".")
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=="))
    except ValueError:
        return None
    found = claims.get("iss") if isinstance(claims, dict) else None
    return found if isinstance(found, str) else None


def _timely(claims: Claims, now: float) -> bool:
    end = claims.get("exp")
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    return _number(end) > now - LEEWAY and all(_number(start, math.inf) <= now + LEEWAY for start in starts)


def _number(value: object, otherwise: float = -math.inf) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _key(identity: JwtIdentity, secrets: Mapping[str, str]) -> Key:
    if not isinstance(identity.keys, Variable):
        raise SetupFault(f"the policy's identity {identity.name} has keys from jwks, which is not supported yet: use keys env NAME")
    text = secrets.get(identity.keys.name) or identity.keys.default
    if not text:
        raise SetupFault(f"the policy's identity {identity.name} needs the environment variable {identity.keys.name}: set it to its key")
    if any(name.startswith("HS") for name in identity.algorithms):
        return text.encode()
    try:
        return load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SetupFault(f"{identity.keys.name} holds no public key in PEM form") from None


def _usable(identity: JwtIdentity, key: Key) -> tuple[str, ...]:
    usable = tuple(name for name in identity.algorithms if _fits(name, key, identity))
    if not usable:
        raise SetupFault(f"the key of the policy's identity {identity.name} is not made for {' or '.join(identity.algorithms)}")
    return usable


def _fits(name: str, key: Key, identity: JwtIdentity) -> bool:
    algorithm = jwt.PyJWS().get_algorithm_by_name(name)
    try:
        algorithm.prepare_key(key)
    except (TypeError, jwt.InvalidKeyError):
        return False
    if algorithm.check_key_length(key):
        raise SetupFault(f"the key of the policy's identity {identity.name} is too short for {name}: make a longer one")
    return True
