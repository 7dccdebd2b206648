"""The identity provider of the demonstration: signs people in without asking for a password."""

import time
from collections.abc import Callable
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.demo.data import Person

COOKIE: Final = "centrigate_demo"
"""Holds the token in browsers; the policy's identity reads it."""

ISSUER: Final = "https://demo.centrigate.example"
AUDIENCE: Final = "realtime"
LIFETIME: Final = 12 * 3600
"""Seconds that somebody stays signed in."""


class Provider:
    """Signs with a key that lives as long as the process; `clock` gives epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._clock = clock

    @property
    def key(self) -> str:
        """The public key that tokens are checked with, as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, person: Person) -> str:
        """Make a token that says who this is (ES256, RFC 7519)."""
        now = int(self._clock())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": person.id, "name": person.name, "iat": now, "exp": now + LIFETIME}
        return jwt.encode(claims, self._key, algorithm="ES256")
