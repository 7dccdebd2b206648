"""Keys that tokens are signed with: a secret, or a private key whose public half anybody may have (RFC 7518, RFC 8037).

Centrifugo takes HS, RS and ES with 256, 384 and 512 bits, and EdDSA; it takes neither PS nor `none`.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.errors import SetupFault
from proxy.settings import PREFIX, Algorithm, Settings
from proxy.tokens import jwks

Algorithms = tuple[Algorithm, ...]
Sign = Callable[[bytes], bytes]

RSA_BITS: Final = 2048
"""RFC 7518 section 3.3: a shorter RSA key is not to be used."""

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: Final[Mapping[str, Algorithm]] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_HMAC: Final[Algorithms] = ("HS256", "HS384", "HS512")
_RSA: Final[Algorithms] = ("RS256", "RS384", "RS512")
_NO_SECRET: Final = re.compile(r"\s*[{\[]|\s*(ssh|ecdsa)-|\S*\.(pem|key|der|crt|json)\s*$")
"""A JWK, a public key of SSH, the name of a file: what anybody can know must not become the secret."""
_MAKE: Final = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key by the `name` of its variable.

    It signs with `algorithm`; `accepted` are all that it is made for. `proof` is what signatures are checked with: the secret, or the
    public half, which `jwk` describes. A secret has no `jwk`.
    """

    name: str
    algorithm: Algorithm
    accepted: Algorithms
    sign: Sign = field(repr=False)
    proof: bytes | jwks.Public = field(repr=False)
    jwk: jwks.Jwk | None

    @property
    def kid(self) -> str | None:
        """The id of the public half."""
        return None if self.jwk is None else self.jwk["kid"]


def read(name: str, text: str, algorithm: Algorithm | None = None) -> Key:
    """Read the value of a variable; without an `algorithm` it is the first that the key is made for.

    Line ends may be written as two characters, backslash and n, as environment files have them. Raises `SetupFault`, without anything
    of the key, for one that cannot be used or is not made for the algorithm.
    """
    if "-----BEGIN" not in text:
        return _secret(name, text, algorithm)
    accepted, public, signer = _pair(name, _private(name, text.replace("\\n", "\n")))
    chosen = _chosen(name, algorithm, accepted)
    jwk = jwks.describe(public, chosen)
    return Key(name=name, algorithm=chosen, accepted=accepted, sign=signer(chosen), proof=public, jwk=jwk)


def keyring(settings: Settings) -> Sequence[Key]:
    """Read the keys that are set: the first signs, a second one is only known.

    The algorithm that is set counts for the second where it is made for it: they may be of two kinds. Raises `SetupFault` as `read` does.
    """
    current = read(f"{PREFIX}TOKEN_KEY", settings.token_key.get_secret_value(), settings.token_algorithm)
    if settings.token_previous_key is None:
        return (current,)
    name, text = f"{PREFIX}TOKEN_PREVIOUS_KEY", settings.token_previous_key.get_secret_value()
    previous = read(name, text)
    return (current, read(name, text, current.algorithm) if current.algorithm in previous.accepted else previous)


def _secret(name: str, text: str, algorithm: Algorithm | None) -> Key:
    if _NO_SECRET.match(text):
        raise SetupFault(
            f"{name} is no secret: set it to a random one, or to a private key itself in PEM form, neither to JSON nor to a file's name"
        )
    chosen = _chosen(name, algorithm, _HMAC)
    secret, size = text.encode(), _digest(chosen).digest_size
    if len(secret) < size:
        raise SetupFault(f"{name} is too short for {chosen}: set it to a random secret of at least {size} bytes")
    # Made once and copied, it costs a third of making it for each token.
    prepared = HMAC(secret, _digest(chosen))

    def sign(text: bytes) -> bytes:
        fresh = prepared.copy()
        fresh.update(text)
        return fresh.finalize()

    accepted = tuple(each for each in _HMAC if _digest(each).digest_size <= len(secret))
    return Key(name=name, algorithm=chosen, accepted=accepted, sign=sign, proof=secret, jwk=None)


def _private(name: str, text: str) -> PrivateKeyTypes:
    if "PRIVATE KEY-----" not in text:
        raise SetupFault(f"{name} holds no private key, which signing needs: {_MAKE}")
    try:
        return load_pem_private_key(text.encode(), None)
    except TypeError:
        raise SetupFault(f"{name} is encrypted: write it without its passphrase, with: openssl pkey -in FILE") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SetupFault(f"{name} cannot be read as a private key in PEM form, as openssl writes it: {_MAKE}") from None


def _pair(name: str, private: PrivateKeyTypes) -> tuple[Algorithms, jwks.Public, Callable[[Algorithm], Sign]]:
    """What the key is made for, its public half, and what signs with it by an algorithm."""
    match private:
        case RSAPrivateKey():
            if private.key_size < RSA_BITS:
                raise SetupFault(f"{name} is an RSA key of {private.key_size} bits, it needs {RSA_BITS}: {_MAKE}")
            return _RSA, private.public_key(), lambda chosen: partial(_rsa, private, _digest(chosen))
        case EllipticCurvePrivateKey():
            if private.curve.name not in _CURVES:
                raise SetupFault(f"{name} is on the curve {private.curve.name}, it needs P-256, P-384 or P-521: {_MAKE}")
            return (_CURVES[private.curve.name],), private.public_key(), lambda chosen: _two_numbers(private, chosen)
        case Ed25519PrivateKey():
            return ("EdDSA",), private.public_key(), lambda _: private.sign
        case _:
            raise SetupFault(f"{name} is of a kind that Centrifugo has no algorithm for, it needs RSA, EC or Ed25519: {_MAKE}")


def _chosen(name: str, algorithm: Algorithm | None, accepted: Algorithms) -> Algorithm:
    if algorithm is not None and algorithm not in accepted:
        raise SetupFault(f"{name} is not made for {algorithm}: it signs {' or '.join(accepted)}")
    return algorithm or accepted[0]


def _digest(algorithm: Algorithm) -> hashes.HashAlgorithm:
    return _HASHES[algorithm[2:]]


def _rsa(private: RSAPrivateKey, digest: hashes.HashAlgorithm, text: bytes) -> bytes:
    return private.sign(text, PKCS1v15(), digest)


def _two_numbers(private: EllipticCurvePrivateKey, algorithm: Algorithm) -> Sign:
    """RFC 7518 section 3.4: both numbers of the signature one after the other, each as long as the curve's."""
    size = (private.key_size + 7) // 8
    # The standard library hashes a short text faster.
    hashed, how = getattr(hashlib, f"sha{algorithm[2:]}"), ECDSA(Prehashed(_digest(algorithm)))

    def sign(text: bytes) -> bytes:
        # What comes is DER of two integers and always well formed; the library's own reader takes four times as long for it.
        der = private.sign(hashed(text).digest(), how)
        first = 5 if der[1] & 0x80 else 4
        middle = first + der[first - 1]
        return der[first:middle].lstrip(b"\0").rjust(size, b"\0") + der[middle + 2 :].lstrip(b"\0").rjust(size, b"\0")

    return sign
