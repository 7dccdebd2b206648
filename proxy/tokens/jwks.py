"""What anybody may know of the keys that tokens are signed with (RFC 7517, RFC 7638)."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Public: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
Jwk: TypeAlias = Mapping[str, str]

MEMBERS: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
"""What is required of a public key by its kind, in the order that the thumbprint has them; nothing else is taken over."""


def describe(public: Public, algorithm: str) -> Jwk:
    """Describe a key; without `use` Centrifugo would skip it, without `alg` version 5 would refuse it."""
    jwk = _members(public)
    return {**jwk, "use": "sig", "alg": algorithm, "kid": thumbprint(jwk)}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Give the thumbprint of RFC 7638, the same for the same key wherever it is described."""
    required = {name: jwk[name] for name in MEMBERS[jwk["kty"]]}
    text = json.dumps(required, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


def document(keys: Iterable[Jwk | None]) -> bytes:
    """Write the set of these keys, each once; what has no description is a secret and left out."""
    known = {jwk["kid"]: jwk for jwk in keys if jwk is not None}
    return json.dumps({"keys": [*known.values()]}).encode()


def _members(public: Public) -> Mapping[str, str]:
    found: dict[str, Any]
    match public:
        case RSAPublicKey():
            found = RSAAlgorithm.to_jwk(public, as_dict=True)
        case EllipticCurvePublicKey():
            found = ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            found = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {name: found[name] for name in MEMBERS[found["kty"]]}
