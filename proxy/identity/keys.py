"""Keys that tokens are verified with: shared secrets, PEM, JWKs and JWK Sets (RFC 7517, RFC 7518)."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from proxy.errors import Malformed, SetupFault
from proxy.policy.declared import JwtIdentity, Variable
from proxy.wire.read import ambiguous, parse

MAX_KEYS: Final = 100
"""Members of a key set that are looked at."""
MAX_TRIED: Final = 8
"""Keys that one token is tried with."""
MAX_RSA_BITS: Final = 8192
"""Size of an RSA key; a larger one would hold up everybody."""

Material = bytes | PublicKeyTypes

_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PUBLIC: Final[Mapping[str, type[Any]]] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
_SHARED: Final[Mapping[str, type[Any]]] = {"oct": HMACAlgorithm}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key and the algorithms that it may be used with, at least one; `kid` is its name, None if it has none."""

    material: Material
    algorithms: tuple[str, ...]
    kid: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """The keys that count at a time."""

    keys: tuple[Key, ...]

    def fitting(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """Those that a token with this head may have been signed with, at most `MAX_TRIED`; a key without a name fits every name."""
        fits = (key for key in self.keys if algorithm in key.algorithms and (kid is None or key.kid in {None, kid}))
        return tuple(itertools.islice(fits, MAX_TRIED))

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key of this name; no name is always known."""
        return kid is None or any(key.kid == kid for key in self.keys)


@functools.cache
def algorithm(name: str) -> Algorithm:
    """How signatures of this name are verified."""
    return jwt.PyJWS().get_algorithm_by_name(name)


def declared(identity: JwtIdentity, variable: Variable, secrets: Mapping[str, str]) -> Ring:
    """The keys in an environment variable: a secret for HMAC, else public keys or certificates in PEM, or a JWK or JWK Set.

    Raises `SetupFault` for a key that is missing, unreadable, private, too short (RFC 7518 §3.2) or made for none of the algorithms.
    """
    text = (secrets.get(variable.name) or variable.default or "").strip()
    if not text:
        raise SetupFault(f"the policy's identity {identity.name} needs the environment variable {variable.name}: set it to its key")
    shared = identity.algorithms[0].startswith("HS")
    if text.startswith("{"):
        found = [*_members(text, variable.name, shared=shared)]
    elif shared:
        found = [(text.encode(), None, identity.algorithms)]
    else:
        found = [(each, None, identity.algorithms) for each in _pem(text, variable.name)]
    return Ring(keys=tuple(_demanded(identity, material, kid, allowed) for material, kid, allowed in found))


def published(document: object, algorithms: Sequence[str]) -> Ring:
    """The public keys of a JWK Set that are made for one of the algorithms; whatever else it holds is passed over."""
    members = document.get("keys") if isinstance(document, dict) else None
    found = (_published(jwk, algorithms) for jwk in (members[:MAX_KEYS] if isinstance(members, list) else ()))
    return Ring(keys=tuple(key for key in found if key))


def _published(jwk: object, algorithms: Sequence[str]) -> Key | None:
    material = _material(jwk, _PUBLIC)
    if material is None or not isinstance(jwk, dict):
        return None
    usable = tuple(name for name in _named(jwk, algorithms) if _fits(name, material) and not algorithm(name).check_key_length(material))
    return Key(material=material, algorithms=usable, kid=jwk.get("kid")) if usable else None


def _members(text: str, name: str, *, shared: bool) -> Iterator[tuple[Material, str | None, Sequence[str]]]:
    try:
        document = parse(text.encode())
        twofold = ambiguous(text.encode())
    except Malformed:
        raise SetupFault(f"{name} begins like a JWK and is not JSON") from None
    if twofold or not isinstance(document, dict):
        raise SetupFault(f"{name} is JSON that can be read in more than one way")
    members = document.get("keys", [document])
    if not isinstance(members, list) or not 0 < len(members) <= MAX_KEYS:
        raise SetupFault(f"{name} must hold a JWK, or a JWK Set of 1 to {MAX_KEYS} keys")
    for jwk in members:
        material = _material(jwk, _SHARED if shared else _PUBLIC)
        if material is None:
            raise SetupFault(f"{name} holds a JWK that is no {'secret (oct)' if shared else 'public key'} to verify with")
        yield material, jwk.get("kid"), (jwk["alg"],) if "alg" in jwk else ()


def _material(jwk: object, kinds: Mapping[str, type[Any]]) -> Material | None:
    """The key of a JWK that verifies signatures; None for one that is private, for something else, or cannot be read."""
    if not isinstance(jwk, dict) or "d" in jwk or jwk.get("use", "sig") != "sig" or not _told(jwk):
        return None
    try:
        material: Material = kinds[jwk["kty"]].from_jwk(jwk)
    except Exception:  # noqa: BLE001 - whatever is wrong with a stranger's key: it is none
        return None
    return None if isinstance(material, RSAPublicKey) and material.key_size > MAX_RSA_BITS else material


def _told(jwk: Mapping[str, object]) -> bool:
    """Whether what a JWK says of itself can be read and does not speak against verifying."""
    uses = jwk.get("key_ops", ["verify"])
    return isinstance(uses, list) and "verify" in uses and all(isinstance(jwk.get(name, ""), str) for name in ("alg", "kid"))


def _named(jwk: Mapping[str, object], algorithms: Sequence[str]) -> Iterable[str]:
    return (name for name in algorithms if jwk.get("alg", name) == name)


def _pem(text: str, name: str) -> Sequence[Material]:
    try:
        found = [_public(block[0], block[1]) for block in _PEM.finditer(text)]
    except (ValueError, UnsupportedAlgorithm):
        found = []
    if not found or _PEM.sub("", text).strip():
        raise SetupFault(f"{name} holds no public key: give a public key or certificate in PEM form, a JWK or a JWK Set")
    return found


def _public(block: str, label: str) -> Material:
    if label == "CERTIFICATE":
        return load_pem_x509_certificate(block.encode()).public_key()
    return load_pem_public_key(block.encode())


def _demanded(identity: JwtIdentity, material: Material, kid: str | None, allowed: Sequence[str]) -> Key:
    usable = tuple(name for name in identity.algorithms if name in (allowed or identity.algorithms) and _fits(name, material))
    if not usable:
        raise SetupFault(f"the key of the policy's identity {identity.name} is not made for {' or '.join(identity.algorithms)}")
    for name in usable:
        if algorithm(name).check_key_length(material):
            raise SetupFault(f"the key of the policy's identity {identity.name} is too short for {name}: make a longer one")
    return Key(material=material, algorithms=usable, kid=kid)


def _fits(name: str, material: Material) -> bool:
    try:
        algorithm(name).prepare_key(material)
    except (TypeError, jwt.InvalidKeyError):
        return False
    return True
