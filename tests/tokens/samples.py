"""Keys of every kind, made once."""

import functools
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from proxy.settings import Algorithm
from proxy.tokens.keys import Key, read

KEY = "k" * 64
"""A secret that is long enough for everything."""

KINDS: dict[Algorithm, str] = {
    "HS256": "secret",
    "HS384": "secret",
    "HS512": "secret",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}
ASYMMETRIC = [algorithm for algorithm, kind in KINDS.items() if kind != "secret"]

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | dsa.DSAPrivateKey

_MAKE: dict[str, Callable[[], Private]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "short RSA": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - it must be refused
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "other P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(2048),
}


@functools.cache
def private(kind: str) -> Private:
    return _MAKE[kind]()


def pem(kind: str) -> str:
    """What stands in the variable."""
    if kind == "secret":
        return KEY
    return private(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(kind: str) -> str:
    """The other half."""
    return private(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key(algorithm: Algorithm = "HS256") -> Key:
    return read("TOKEN_KEY", pem(KINDS[algorithm]), algorithm)
