import functools
import json
from collections.abc import Callable, Mapping

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import SetupFault
from proxy.identity.jwt import LEEWAY, MAX_LENGTH, MAX_REMEMBERED_LENGTH, Tokens, issuer
from proxy.policy.declared import JwtIdentity, Place, Variable

SECRET = "s" * 64
OTHER = "o" * 64
ISSUER = "https://id.example.org"
NOW = 1_000_000
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


KINDS: Mapping[str, Callable[[], Private]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is the one to refuse
}


@functools.cache
def private(kind: str) -> Private:
    return KINDS[kind]()


def public(kind: str) -> str:
    return private(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def tokens(
    *algorithms: str, key: str = SECRET, audience: str | None = None, clock: Callable[[], float] = lambda: NOW, default: str | None = None
) -> Tokens:
    identity = JwtIdentity(
        name="idp",
        places=(Place(kind="header", name="authorization"),),
        issuer=ISSUER,
        audience=audience,
        algorithms=algorithms or ("HS256",),
        keys=Variable(name="IDP_KEY", default=default),
    )
    return Tokens(identity, {"IDP_KEY": key}, clock)


def sign(claims: Mapping[str, object], key: object = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode({"iss": ISSUER, "sub": "42", "exp": NOW + 60, **claims}, key, algorithm)  # type: ignore[arg-type]  # any key


@pytest.mark.parametrize(("algorithm", "kind"), [
    ("ES256", "P-256"), ("ES384", "P-384"), ("RS256", "RSA"), ("PS256", "RSA"), ("EdDSA", "Ed25519"),
])  # fmt: skip
def test_a_token_of_the_issuers_key_is_accepted_and_one_of_another_key_is_not(algorithm: str, kind: str) -> None:
    known = tokens(algorithm, key=public(kind))
    token = sign({}, private(kind), algorithm)
    assert known.claims(token) == {"iss": ISSUER, "sub": "42", "exp": NOW + 60}
    head, _, signature = token.rpartition(".")
    assert known.claims(f"{head}.{signature[:-10]}AAAAAAAAAA") is None


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_of_the_secret_is_accepted_and_one_of_another_is_not(algorithm: str) -> None:
    assert tokens(algorithm).claims(sign({}, SECRET, algorithm))
    assert tokens(algorithm).claims(sign({}, OTHER, algorithm)) is None


def test_only_the_allowed_algorithms_count() -> None:
    assert tokens("HS256").claims(sign({}, SECRET, "HS512")) is None
    assert tokens("HS256", "HS512").claims(sign({}, SECRET, "HS512"))
    assert tokens("HS256").claims(sign({}, None, "none")) is None


def test_a_public_key_is_never_a_secret() -> None:
    forged = sign({}, "x" * 32, "HS256")
    assert tokens("ES256", key=public("P-256")).claims(forged) is None


def test_of_several_algorithms_those_count_that_the_key_is_made_for() -> None:
    known = tokens("ES256", "RS256", key=public("P-256"))
    assert known.claims(sign({}, private("P-256"), "ES256"))
    assert known.claims(sign({}, private("RSA"), "RS256")) is None


def test_the_issuer_must_be_the_one_declared() -> None:
    assert tokens().claims(sign({"iss": "https://other.example.org"})) is None


@pytest.mark.parametrize(("audience", "accepted"), [
    ("realtime", True), (["a", "realtime"], True),
    ("other", False), (["a"], False), ([], False), (None, False), (5, False), ({"realtime": 1}, False),
])  # fmt: skip
def test_a_declared_audience_must_be_among_the_tokens(audience: object, accepted: bool) -> None:  # noqa: FBT001 - a parameter
    token = sign({} if audience is None else {"aud": audience})
    assert bool(tokens(audience="realtime").claims(token)) is accepted
    assert tokens().claims(token)


@pytest.mark.parametrize(("claims", "accepted"), [
    ({"exp": NOW + 1}, True),
    ({"exp": NOW + 0.5}, True),
    ({"exp": NOW - LEEWAY + 1}, True),
    ({"exp": NOW - LEEWAY}, False),
    ({"exp": None}, False),
    ({"exp": True}, False),
    ({"exp": str(NOW + 60)}, False),
    ({"exp": float("nan")}, False),
    ({"exp": float("inf")}, False),
    ({"nbf": NOW + LEEWAY}, True),
    ({"nbf": NOW + LEEWAY + 1}, False),
    ({"nbf": None}, False),
    ({"nbf": str(NOW)}, False),
    ({"iat": NOW + LEEWAY}, True),
    ({"iat": NOW + LEEWAY + 1}, False),
    ({"iat": True}, False),
])  # fmt: skip
def test_a_token_counts_in_its_time_only(claims: Mapping[str, object], accepted: bool) -> None:  # noqa: FBT001 - a parameter
    text = json.dumps({"iss": ISSUER, "sub": "42", "exp": NOW + 60, **claims}).encode()
    token = jwt.PyJWS().encode(text, SECRET, "HS256")
    assert bool(tokens().claims(token)) is accepted


def test_a_token_without_an_end_is_refused() -> None:
    assert tokens().claims(jwt.encode({"iss": ISSUER, "sub": "42"}, SECRET)) is None


def test_a_user_that_is_a_number_is_left_to_the_policy() -> None:
    assert (tokens().claims(sign({"sub": 42})) or {}).get("sub") == 42


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "a.b.c.d", "ä.b.c", "\ud800", "{}.{}.{}", "e30.e30.", "W10.W10.W10"])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert tokens().claims(token) is None
    assert issuer(token) is None


@pytest.mark.parametrize("payload", [b"[]", b"5", b"no json", b'{"iss": ["' + ISSUER.encode() + b'"]}', b"[" * 3000])
def test_a_signed_payload_that_holds_no_claims_is_refused(payload: bytes) -> None:
    token = jwt.PyJWS().encode(payload, SECRET, "HS256")
    assert tokens().claims(token) is None
    assert issuer(token) is None


@pytest.mark.parametrize("header", [
    {}, {"alg": ["HS256"]}, {"alg": None}, {"alg": {}},
    {"alg": "HS256", "crit": ["x"]}, {"alg": "HS256", "b64": False}, {"alg": "HS256", "kid": 5},
])  # fmt: skip
def test_a_strange_header_is_refused(header: Mapping[str, object]) -> None:
    encoded = jwt.utils.base64url_encode(json.dumps(header).encode()).decode()
    _, _, rest = sign({}).partition(".")
    assert tokens().claims(f"{encoded}.{rest}") is None


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert tokens().claims(text) is None
    issuer(text)


@given(st.integers(min_value=0, max_value=400), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_changed_character_is_accepted_unless_pyjwt_reads_the_same(at: int, character: str) -> None:
    token = sign({"aud": "realtime", "data": "x" * 100})
    changed = token[: at % len(token)] + character + token[at % len(token) + 1 :]
    try:
        jwt.decode(changed, SECRET, ["HS256"], audience="realtime", options={"verify_exp": False})
        expected = True
    except jwt.InvalidTokenError:
        expected = False
    assert bool(tokens(audience="realtime").claims(changed)) is expected


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    spare = MAX_LENGTH - len(sign({"x": ""}))
    fitting = sign({"x": "a" * (spare * 3 // 4 - 3)})
    assert MAX_LENGTH - 8 <= len(fitting) <= MAX_LENGTH
    assert tokens().claims(fitting)
    assert tokens().claims(sign({"x": "a" * (spare * 3 // 4 + 8)})) is None


def test_a_token_names_its_issuer_before_it_is_verified() -> None:
    assert issuer(sign({}, OTHER)) == ISSUER
    assert issuer(sign({"iss": "x", "y": "a" * 20_000})) is None


class Counting:
    """Counts how often a signature is verified."""

    def __init__(self, known: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._decode = known._signatures.decode
        monkeypatch.setattr(known._signatures, "decode", self)

    def __call__(self, token: str, key: str, algorithms: tuple[str, ...]) -> object:
        self.count += 1
        return self._decode(token, key, algorithms)


def test_a_token_that_returns_is_not_verified_again_but_must_still_be_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = float(NOW)
    known = tokens(clock=lambda: now)
    counting = Counting(known, monkeypatch)
    token = sign({"exp": NOW + 60})
    assert known.claims(token) == known.claims(token)
    assert counting.count == 1
    now += 60 + LEEWAY
    assert known.claims(token) is None
    assert counting.count == 1
    now -= 60 + LEEWAY
    assert known.claims(token)
    assert counting.count == 2


def test_a_refused_token_is_verified_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tokens()
    counting = Counting(known, monkeypatch)
    for _ in range(2):
        assert known.claims(sign({}, OTHER)) is None
    assert counting.count == 2


def test_long_tokens_and_more_than_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.identity.jwt.MAX_REMEMBERED", 2)
    known = tokens()
    counting = Counting(known, monkeypatch)
    first, second, third = (sign({"jti": str(n)}) for n in range(3))
    for token in (first, second, third, second, third):
        assert known.claims(token)
    assert counting.count == 3
    assert known.claims(first)
    assert counting.count == 4
    long = sign({"x": "a" * MAX_REMEMBERED_LENGTH})
    for expected in (5, 6):
        assert known.claims(long)
        assert counting.count == expected


@pytest.mark.parametrize(("algorithms", "key", "message"), [
    (("HS256",), "s" * 31, "the key of the policy's identity idp is too short for HS256"),
    (("HS512",), "s" * 63, "the key of the policy's identity idp is too short for HS512"),
    (("HS256",), "P-256", "the key of the policy's identity idp is not made for HS256"),
    (("RS256",), "RSA-1024", "the key of the policy's identity idp is too short for RS256"),
    (("RS256", "EdDSA"), "P-256", "the key of the policy's identity idp is not made for RS256 or EdDSA"),
    (("ES256",), "P-384", "the key of the policy's identity idp is not made for ES256"),
    (("ES256",), "no key", "IDP_KEY holds no public key in PEM form"),
    (("ES256",), "", "the policy's identity idp needs the environment variable IDP_KEY"),
])  # fmt: skip
def test_a_key_that_cannot_be_used_stops_the_start_and_is_not_repeated(algorithms: tuple[str, ...], key: str, message: str) -> None:
    key = public(key) if key in KINDS else key
    with pytest.raises(SetupFault) as caught:
        tokens(*algorithms, key=key)
    assert str(caught.value).startswith(message)
    assert not key or key not in str(caught.value)


def test_a_private_key_stops_the_start() -> None:
    pem = private("P-256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(SetupFault, match="IDP_KEY holds no public key in PEM form"):
        tokens("ES256", key=pem)


def test_a_default_stands_in_for_a_missing_variable() -> None:
    assert tokens(key="", default=SECRET).claims(sign({}))


def test_a_key_set_at_an_address_is_not_supported_yet() -> None:
    identity = JwtIdentity(name="idp", places=(), issuer=ISSUER, audience=None, algorithms=("ES256",), keys="https://id.example.org/jwks")
    with pytest.raises(SetupFault, match="the policy's identity idp has keys from jwks, which is not supported yet"):
        Tokens(identity, {}, lambda: NOW)
