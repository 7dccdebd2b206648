"""Minting tokens, and knowing again those of others.

Minting: with a secret in times of PyJWT's encode, with private keys in times of the bare signature of `cryptography`.

With a secret the whole of it is judged, what a decision becomes included, though PyJWT is given claims that are ready. A signature by
ECDSA takes so little that making claims counts beside it; there the writing of claims is judged, and the whole is shown.

A token of an identity's issuer that was verified before, as those of clients that come back: in times of PyJWT's decode.
"""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final, TypeAlias

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench import calls
from bench.calls import Candidate
from bench.ratios import Findings
from proxy.identity.jwt import Fixed, Tokens
from proxy.identity.keys import declared
from proxy.policy.decision import Allow
from proxy.policy.declared import JwtIdentity, Place, Variable
from proxy.policy.policy import Person
from proxy.tokens.keys import Key, Sign, read
from proxy.tokens.mint import Issued, Minter, Pen
from proxy.tokens.verify import verify

SECRET_GOAL: Final = 0.25
PRIVATE_GOAL: Final = 1.2
KNOWN_GOAL: Final = 0.2
SECRET: Final = "s" * 32
NOW: Final = 1_795_636_800
ISSUER: Final = "https://id.example.org"
USERS: Final = [str(number) for number in range(32)]

Claims: TypeAlias = Mapping[str, object]
Inputs: TypeAlias = Sequence[tuple[object, ...]]
Mint: TypeAlias = Callable[..., Issued]
Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_SHA256: Final = hashes.SHA256()


class Says:
    """Equals a token that the key has signed and that says this, whatever its `jti` and the jitter of its end."""

    def __init__(self, key: Key, claims: Claims) -> None:
        self._key, self._claims = key, _lasting(claims)

    def __eq__(self, minted: object) -> bool:
        token = minted.token if isinstance(minted, Issued) else str(minted)
        found = verify(token, [self._key], NOW)
        return found.trouble is None and _lasting(found.claims) == self._claims

    __hash__ = None  # type: ignore[assignment]  # only compared


def subscription() -> Findings:
    """Compare a subscription token with what PyJWT writes of its claims."""
    key = read("TOKEN_KEY", SECRET)
    mint, inputs = _subscriptions(key)
    return _against_pyjwt("a subscription token", key, mint, inputs)


def connection() -> Findings:
    """Compare a connection token with what PyJWT writes of its claims."""
    key = read("TOKEN_KEY", SECRET)
    people = [Person(user=user, meta={"roles": ["member"]}, info={"name": "Ada"}) for user in USERS]
    allow = Allow(rule="r", at="a:1", revision="1", facts={}, expire_ms=3_600_000, jitter=10)
    return _against_pyjwt("a connection token", key, _minter(key).connection, [(person, allow) for person in people])


def ecdsa() -> Findings:
    """Compare a token by ES256 with its signature alone."""
    private, how = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(_SHA256)
    return _against_signature(private, lambda text: private.sign(text, how))


def eddsa() -> Findings:
    """Compare a token by EdDSA with its signature alone."""
    private = ed25519.Ed25519PrivateKey.generate()
    return _against_signature(private, private.sign)


def rsassa() -> Findings:
    """Compare a token by RS256 with its signature alone."""
    private, pad = rsa.generate_private_key(65537, 2048), padding.PKCS1v15()
    return _against_signature(private, lambda text: private.sign(text, pad, _SHA256))


def known() -> Findings:
    """Compare looking at a sign-in token that was verified before with decoding it."""
    identity = JwtIdentity(
        name="idp",
        places=(Place(kind="header", name="authorization"),),
        issuer=ISSUER,
        audience="realtime",
        algorithms=("HS256",),
        keys=Variable(name="KEY"),
    )
    tokens = Tokens(identity, Fixed(declared(identity, Variable(name="KEY"), {"KEY": SECRET})), time.time)
    claims = [{"iss": ISSUER, "aud": "realtime", "sub": user, "exp": int(time.time()) + 86_400, "roles": ["member"]} for user in USERS]
    inputs = [(jwt.encode(each, SECRET, "HS256"),) for each in claims]

    def decode(token: str) -> object:
        return jwt.decode(token, SECRET, ["HS256"], audience="realtime", issuer=ISSUER, leeway=10)

    name = "a token known before"
    yardstick = Candidate(name="PyJWT", call=decode, inputs=inputs, expected=claims)
    again = Candidate(name=name, call=lambda token: _result(tokens.claims(token)), inputs=inputs, expected=claims)
    found = calls.run(yardstick, [again], {name: KNOWN_GOAL})
    return Findings(yardstick="PyJWT's decode by HS256", intervals=found, goals={name: KNOWN_GOAL})


def _result(asked: Coroutine[None, None, object]) -> object:
    """What comes of something that has to wait for nothing."""
    try:
        asked.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def _against_pyjwt(name: str, key: Key, mint: Mint, inputs: Inputs) -> Findings:
    claims = [verify(mint(*each).token, [key], NOW).claims for each in inputs]
    expected = [Says(key, each) for each in claims]
    yardstick = Candidate(
        name="PyJWT", call=lambda each: jwt.encode(each, SECRET, "HS256"), inputs=[(dict(each),) for each in claims], expected=expected
    )
    found = calls.run(yardstick, [Candidate(name=name, call=mint, inputs=inputs, expected=expected)], {name: SECRET_GOAL})
    return Findings(yardstick="PyJWT's encode of the same claims", intervals=found, goals={name: SECRET_GOAL})


def _against_signature(private: Private, sign: Sign) -> Findings:
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = read("TOKEN_KEY", pem)
    mint, inputs = _subscriptions(key)
    tokens = [mint(*each).token for each in inputs]
    texts = [token.rpartition(".")[0].encode() for token in tokens]
    claims = [verify(token, [key], NOW).claims for token in tokens]
    expected = [Says(key, each) for each in claims]
    # Signatures by ECDSA are never the same, so it is looked at what kind of thing they are.
    yardstick = Candidate(
        name="signature", call=lambda text: type(sign(text)), inputs=[(text,) for text in texts], expected=[bytes] * len(texts)
    )
    written = Candidate(name="writing claims", call=Pen(key).write, inputs=[(each,) for each in claims], expected=expected)
    whole = Candidate(name="a subscription token", call=mint, inputs=inputs, expected=expected)
    found = calls.run(yardstick, [written, whole], {written.name: PRIVATE_GOAL})
    return Findings(yardstick=f"the bare {key.algorithm} signature", intervals=found, goals={written.name: PRIVATE_GOAL})


def _minter(key: Key) -> Minter:
    return Minter(key, 600, 60, lambda: NOW * 1000)


def _subscriptions(key: Key) -> tuple[Mint, Inputs]:
    lease = Allow(rule="r", at="a:1", revision="1", facts={}, info={"role": "editor"}, expire_ms=300_000, jitter=10)
    return _minter(key).subscription, [(user, "chat:doc-7", lease) for user in USERS]


def _lasting(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if name not in ("jti", "expire_at")}
