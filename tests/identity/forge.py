"""Keys and tokens of an issuer, good and bad."""

import datetime as dt
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from proxy.identity.jwt import Fixed, Tokens
from proxy.identity.keys import Ring, declared
from proxy.policy.declared import JwtIdentity, Place, Variable

SECRET = "s" * 64
OTHER = "o" * 64
ISSUER = "https://id.example.org"
NOW = 1_000_000
VARIABLE = Variable(name="IDP_KEY")
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey

KINDS: Mapping[str, Callable[[], Private]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-256 too": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is the one to refuse
}
ALGORITHMS = [
    ("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521"), ("EdDSA", "Ed25519"), ("EdDSA", "Ed448"),
    *((f"{family}{size}", "RSA") for family in ("RS", "PS") for size in ("256", "384", "512")),
]  # fmt: skip


@functools.cache
def private(kind: str) -> Private:
    return KINDS[kind]()


def public(kind: str) -> str:
    return private(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@functools.cache
def certificate() -> str:
    """A certificate over the key P-256; it ended long ago, which is not looked at."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "id.example.org")])
    key = private("P-256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    day = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), day, day + dt.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def jwk(kind: str, **members: object) -> dict[str, Any]:
    """The public key as a JWK; members that are None are left out."""
    made = {**_written(kind, private(kind).public_key()), "use": "sig", **members}
    return {name: value for name, value in made.items() if value is not None}


def private_jwk(kind: str) -> dict[str, Any]:
    return _written(kind, private(kind))


def _written(kind: str, key: Any) -> dict[str, Any]:  # noqa: ANN401 - any key
    maker: Any = RSAAlgorithm if "RSA" in kind else OKPAlgorithm if kind.startswith("Ed") else ECAlgorithm
    return {**maker.to_jwk(key, as_dict=True)}


def oct_jwk(secret: str, **members: object) -> dict[str, Any]:
    return {"kty": "oct", "k": jwt.utils.base64url_encode(secret.encode()).decode(), **members}


def identity(*algorithms: str, audience: str | None = None, keys: Variable | str = VARIABLE) -> JwtIdentity:
    return JwtIdentity(
        name="idp",
        places=(Place(kind="header", name="authorization"),),
        issuer=ISSUER,
        audience=audience,
        algorithms=algorithms or ("HS256",),
        keys=keys,
    )


def ring(*algorithms: str, key: str) -> Ring:
    return declared(identity(*algorithms), VARIABLE, {"IDP_KEY": key})


def tokens(*algorithms: str, key: str = SECRET, audience: str | None = None, clock: Callable[[], float] = lambda: NOW) -> Tokens:
    return Tokens(identity(*algorithms, audience=audience), Fixed(ring(*algorithms, key=key)), clock)


def sign(claims: Mapping[str, object], key: object = SECRET, algorithm: str = "HS256", kid: object = None) -> str:
    head = None if kid is None else {"kid": kid}
    return jwt.encode({"iss": ISSUER, "sub": "42", "exp": NOW + 60, **claims}, key, algorithm, head)  # type: ignore[arg-type]  # any key


def raw(head: bytes, payload: bytes, secret: str = SECRET, algorithm: str = "HS256") -> str:
    """A token whose head and payload are these bytes, rightly signed."""
    message = b".".join(jwt.utils.base64url_encode(part) for part in (head, payload))
    signature = jwt.PyJWS().get_algorithm_by_name(algorithm).sign(message, secret.encode())
    return b".".join((message, jwt.utils.base64url_encode(signature))).decode()


def payload(**claims: object) -> bytes:
    return json.dumps({"iss": ISSUER, "sub": "42", "exp": NOW + 60, **claims}).encode()
