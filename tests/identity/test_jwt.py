import base64
import json
from collections.abc import Mapping

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import FactFault
from proxy.identity.jwt import LEEWAY, MAX_LENGTH, MAX_REMEMBERED_LENGTH, Fixed, Tokens, issuer, read
from proxy.identity.keys import Ring, algorithm

from .forge import ALGORITHMS, ISSUER, NOW, OTHER, SECRET, identity, jwk, oct_jwk, payload, private, public, raw, ring, sign, tokens


@pytest.mark.parametrize(("algorithm", "kind"), ALGORITHMS)
async def test_a_token_of_the_issuers_key_is_accepted_and_one_of_another_key_is_not(algorithm: str, kind: str) -> None:
    known = tokens(algorithm, key=public(kind))
    token = sign({}, private(kind), algorithm)
    assert await known.claims(token) == {"iss": ISSUER, "sub": "42", "exp": NOW + 60}
    head, _, signature = token.rpartition(".")
    assert await known.claims(f"{head}.{signature[:-10]}AAAAAAAAAA") is None
    assert await known.claims(f"{head}.AAAA") is None


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_token_of_the_secret_is_accepted_and_one_of_another_is_not(algorithm: str) -> None:
    assert await tokens(algorithm).claims(sign({}, SECRET, algorithm))
    assert await tokens(algorithm).claims(sign({}, OTHER, algorithm)) is None


async def test_only_the_allowed_algorithms_count() -> None:
    assert await tokens("HS256").claims(sign({}, SECRET, "HS512")) is None
    assert await tokens("HS256", "HS512").claims(sign({}, SECRET, "HS512"))
    assert await tokens("HS256").claims(sign({}, None, "none")) is None


@pytest.mark.parametrize("named", ["none", "None", "NONE", "", "HS256", "hs256", "HS512", "RS256", "ES256K", "dir"])
@pytest.mark.parametrize("secret", [public("P-256"), public("P-256").strip(), json.dumps(jwk("P-256")), ""])
async def test_a_public_key_is_never_a_secret(named: str, secret: str) -> None:
    known = tokens("ES256", "RS256", key=public("P-256"))
    assert await known.claims(raw(json.dumps({"alg": named}).encode(), payload(), secret)) is None


async def test_an_unsigned_token_is_refused() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(payload()).decode().rstrip("=")
    for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.AAAA"):
        assert await tokens().claims(token) is None


async def test_of_several_algorithms_those_count_that_the_key_is_made_for() -> None:
    known = tokens("ES256", "RS256", key=public("P-256"))
    assert await known.claims(sign({}, private("P-256"), "ES256"))
    assert await known.claims(sign({}, private("RSA"), "RS256")) is None


async def test_any_of_several_keys_may_have_signed() -> None:
    known = tokens("ES256", "RS256", key=public("P-256") + public("RSA") + public("P-256 too"))
    for kind, name in (("P-256", "ES256"), ("P-256 too", "ES256"), ("RSA", "RS256")):
        assert await known.claims(sign({}, private(kind), name))
        assert await known.claims(sign({}, private(kind), name, kid="whatever"))


async def test_a_name_chooses_the_key() -> None:
    known = tokens(key=json.dumps({"keys": [oct_jwk(SECRET, kid="new"), oct_jwk(OTHER, kid="old")]}))
    for secret, kid, accepted in ((SECRET, "new", True), (OTHER, "old", True), (OTHER, "new", False), (OTHER, None, True)):
        assert bool(await known.claims(sign({}, secret, kid=kid))) is accepted


@pytest.mark.parametrize("kid", ["x", "", "../../etc/passwd", "/dev/null", "new\x00", "' or 1=1", "k" * 5000])
async def test_an_unknown_name_of_a_key_is_refused(kid: str) -> None:
    known = tokens(key=json.dumps({"keys": [oct_jwk(SECRET, kid="new")]}))
    assert await known.claims(sign({}, kid=kid)) is None


@pytest.mark.parametrize("kid", [b"5", b"true", b"[]", b'{"a":1}', b"1e3"])
async def test_a_name_that_is_no_text_is_refused(kid: bytes) -> None:
    assert await tokens().claims(raw(b'{"alg":"HS256","kid":' + kid + b"}", payload())) is None
    assert await tokens().claims(raw(b'{"alg":"HS256","kid":null}', payload()))


async def test_the_issuer_must_be_the_one_declared() -> None:
    assert await tokens().claims(sign({"iss": "https://other.example.org"})) is None


@pytest.mark.parametrize(("audience", "accepted"), [
    ("realtime", True), (["a", "realtime"], True),
    ("other", False), (["a"], False), ([], False), (None, False), (5, False), ({"realtime": 1}, False),
])  # fmt: skip
async def test_a_declared_audience_must_be_among_the_tokens(audience: object, accepted: bool) -> None:  # noqa: FBT001 - a parameter
    token = sign({} if audience is None else {"aud": audience})
    assert bool(await tokens(audience="realtime").claims(token)) is accepted
    assert await tokens().claims(token)


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
async def test_a_token_counts_in_its_time_only(claims: Mapping[str, object], accepted: bool) -> None:  # noqa: FBT001 - a parameter
    token = jwt.PyJWS().encode(payload(**claims), SECRET, "HS256")
    assert bool(await tokens().claims(token)) is accepted


async def test_a_token_without_an_end_is_refused() -> None:
    assert await tokens().claims(jwt.encode({"iss": ISSUER, "sub": "42"}, SECRET)) is None


async def test_a_user_that_is_a_number_is_left_to_the_policy() -> None:
    assert (await tokens().claims(sign({"sub": 42})) or {}).get("sub") == 42


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "a.b.c.d", "ä.b.c", "\ud800", "{}.{}.{}", "e30.e30.", "W10.W10.W10"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await tokens().claims(token) is None
    assert issuer(token) is None


@pytest.mark.parametrize("body", [
    b"[]", b"5", b"null", b"no json", b"", b'{"iss": ["' + ISSUER.encode() + b'"]}', b"[" * 3000, b"\xef\xbb\xbf" + payload(),
    payload(nested=json.loads("[" * 190 + "]" * 190)).replace(b"[[", b"[[" + b"[" * 20, 1),
])  # fmt: skip
async def test_a_signed_payload_that_holds_no_claims_is_refused(body: bytes) -> None:
    token = raw(b'{"alg":"HS256"}', body)
    assert await tokens().claims(token) is None
    assert issuer(token) is None or body.startswith(b"{")


@pytest.mark.parametrize("more", [b'"sub":"1"', b'"exp":9999999999', b'"iss":"x"', b'"x":{"a":1,"a":2}', b'"x":18446744073709551616'])
async def test_claims_with_two_readings_are_refused(more: bytes) -> None:
    for body in (b"{" + more + b"," + payload()[1:], payload()[:-1] + b"," + more + b"}"):
        assert await tokens().claims(raw(b'{"alg":"HS256"}', body)) is None


@pytest.mark.parametrize("head", [
    b"{}", b"[]", b"null", b"HS256", b'{"alg":["HS256"]}', b'{"alg":null}', b'{"alg":{}}', b'{"alg":5}',
    b'{"alg":"HS256","crit":["x"]}', b'{"alg":"HS256","crit":[]}', b'{"alg":"HS256","b64":false}', b'{"alg":"HS256","b64":true}',
    b'{"alg":"HS256","alg":"HS256"}', b'{"alg":"none","alg":"HS256"}', b'{"alg":"HS256","kid":"a","kid":"b"}', b'\xff{"alg":"HS256"}',
])  # fmt: skip
async def test_a_strange_head_is_refused(head: bytes) -> None:
    assert await tokens().claims(raw(head, payload())) is None


async def test_a_key_that_the_token_brings_along_is_not_looked_at() -> None:
    head = json.dumps({"alg": "HS256", "jwk": oct_jwk(OTHER), "jku": "https://evil.example/keys", "x5u": "https://evil.example"}).encode()
    assert await tokens().claims(raw(head, payload(), OTHER)) is None
    assert await tokens().claims(raw(head, payload()))


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40))
async def test_no_token_of_arbitrary_parts_is_accepted(head: bytes, body: bytes, signature: bytes) -> None:
    token = b".".join(jwt.utils.base64url_encode(part) for part in (head, body, signature)).decode()
    assert await tokens().claims(token) is None
    assert await tokens("ES256", key=public("P-256")).claims(token) is None


@given(st.sampled_from(ALGORITHMS), st.binary(max_size=600))
async def test_no_signature_of_arbitrary_bytes_is_accepted(made_for: tuple[str, str], signature: bytes) -> None:
    name, kind = made_for
    head, body = (jwt.utils.base64url_encode(part).decode() for part in (json.dumps({"alg": name}).encode(), payload()))
    assert await tokens(name, key=public(kind)).claims(f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}") is None


@given(st.text(max_size=200))
async def test_no_text_breaks_the_reader(text: str) -> None:
    assert await tokens().claims(text) is None
    issuer(text)


@given(st.integers(min_value=0, max_value=400), st.characters(min_codepoint=33, max_codepoint=126))
async def test_no_changed_character_is_accepted_unless_pyjwt_reads_the_same(at: int, character: str) -> None:
    token = sign({"aud": "realtime", "data": "x" * 100})
    changed = token[: at % len(token)] + character + token[at % len(token) + 1 :]
    try:
        jwt.decode(changed, SECRET, ["HS256"], audience="realtime", options={"verify_exp": False})
        expected = True
    except jwt.InvalidTokenError:
        expected = False
    accepted = bool(await tokens(audience="realtime").claims(changed))
    assert accepted is expected or (expected and read(changed) is None)


async def test_a_token_that_is_too_long_is_refused_unread() -> None:
    spare = MAX_LENGTH - len(sign({"x": ""}))
    fitting = sign({"x": "a" * (spare * 3 // 4 - 3)})
    assert MAX_LENGTH - 8 <= len(fitting) <= MAX_LENGTH
    assert await tokens().claims(fitting)
    assert await tokens().claims(sign({"x": "a" * (spare * 3 // 4 + 8)})) is None


def test_a_token_names_its_issuer_before_it_is_verified() -> None:
    assert issuer(sign({}, OTHER)) == ISSUER
    assert issuer(sign({"iss": "x", "y": "a" * 20_000})) is None


class Counting:
    """Counts how often a signature is verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._algorithm = algorithm
        monkeypatch.setattr("proxy.identity.jwt.algorithm", self)

    def __call__(self, name: str) -> "Counting":
        self.name = name
        return self

    def verify(self, message: bytes, key: bytes, signature: bytes) -> bool:
        self.count += 1
        return self._algorithm(self.name).verify(message, key, signature)


async def test_a_token_that_returns_is_not_verified_again_but_must_still_be_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = float(NOW)
    known = tokens(clock=lambda: now)
    counting = Counting(monkeypatch)
    token = sign({"exp": NOW + 60})
    assert await known.claims(token) == await known.claims(token)
    assert counting.count == 1
    now += 60 + LEEWAY
    assert await known.claims(token) is None
    assert counting.count == 1
    now -= 60 + LEEWAY
    assert await known.claims(token)
    assert counting.count == 2


async def test_a_refused_token_is_verified_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = tokens()
    counting = Counting(monkeypatch)
    for _ in range(2):
        assert await known.claims(sign({}, OTHER)) is None
    assert counting.count == 2


async def test_long_tokens_and_more_than_the_bound_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.identity.jwt.MAX_REMEMBERED", 2)
    known = tokens()
    counting = Counting(monkeypatch)
    first, second, third = (sign({"jti": str(n)}) for n in range(3))
    for token in (first, second, third, second, third):
        assert await known.claims(token)
    assert counting.count == 3
    assert await known.claims(first)
    assert counting.count == 4
    long = sign({"x": "a" * MAX_REMEMBERED_LENGTH})
    for expected in (5, 6):
        assert await known.claims(long)
        assert counting.count == expected


class Rotated:
    """Keys that change, and that may be away."""

    def __init__(self, *rings: Ring) -> None:
        self.rings = [*rings]
        self.named: list[str | None] = []
        self.away = False

    def fresh(self) -> Ring | None:
        return None if self.away else self.rings[0]

    async def ring(self, kid: str | None = None) -> Ring:
        self.named.append(kid)
        if self.away:
            raise FactFault("away")
        if kid:
            del self.rings[0]
        return self.rings[0]

    async def probe(self) -> None:
        await self.ring()

    async def close(self) -> None:
        self.away = True


def named(kid: str, secret: str) -> Ring:
    return ring("HS256", key=json.dumps(oct_jwk(secret, kid=kid)))


async def test_an_unknown_name_asks_for_the_keys_once_more() -> None:
    keys = Rotated(named("a", SECRET), named("b", OTHER))
    known = Tokens(identity(), keys, lambda: NOW)
    assert await known.claims(sign({}, SECRET, kid="a"))
    assert await known.claims(sign({}, OTHER, kid="b"))
    assert await known.claims(sign({}, SECRET)) is None
    assert keys.named == ["b"]


async def test_what_a_key_verified_that_is_gone_is_forgotten() -> None:
    keys = Rotated(named("a", SECRET), named("b", OTHER))
    known = Tokens(identity(), keys, lambda: NOW)
    token = sign({}, SECRET)
    assert await known.claims(token)
    del keys.rings[0]
    assert await known.claims(token) is None


async def test_keys_that_cannot_be_had_are_a_fault_even_for_a_token_that_was_verified() -> None:
    keys = Rotated(named("a", SECRET))
    known = Tokens(identity(), keys, lambda: NOW)
    assert await known.claims(sign({}))
    keys.away = True
    with pytest.raises(FactFault):
        await known.claims(sign({}))


async def test_keys_of_the_environment_are_always_there() -> None:
    keys = Fixed(ring("HS256", key=SECRET))
    await keys.probe()
    await keys.close()
    assert await keys.ring("x") is keys.fresh()


async def test_what_was_verified_is_recalled_while_the_token_is_valid() -> None:
    now = [NOW]
    known = tokens(clock=lambda: now[0])
    token, long = sign({}), sign({"more": "x" * MAX_REMEMBERED_LENGTH})
    assert (known.recalled(token), known.recalled("\ud800")) == (None, None)
    for each in (token, long):
        assert await known.claims(each)
    assert (known.recalled(token) or {}).get("sub") == "42"
    assert known.recalled(long) is None
    now[0] = NOW + 60 + LEEWAY
    assert known.recalled(token) is None
