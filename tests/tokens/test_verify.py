import base64
import hmac
import json
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Malformed
from proxy.policy.decision import Allow
from proxy.policy.policy import Person
from proxy.settings import Algorithm
from proxy.tokens.keys import Key, read
from proxy.tokens.mint import Minter
from proxy.tokens.verify import LONGEST, Reading, verify
from tests.tokens.samples import KEY, KINDS, key, pem, public

NOW = 1_000_000
SECRET = key("HS256")


def signed(claims: object, secret: str = KEY, algorithm: str = "HS256", **header: object) -> str:
    return jwt.PyJWS().encode(json.dumps(claims).encode(), secret, algorithm, header)


def raw(header: object) -> str:
    parts = (json.dumps(header).encode(), b"{}", b"x")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def trouble(claims: object, *keys: Key, **header: object) -> str | None:
    return verify(signed(claims, **header), keys or [SECRET], NOW).trouble  # type: ignore[arg-type]  # headers


@pytest.mark.parametrize("algorithm", KINDS)
def test_what_is_minted_is_verified(algorithm: Algorithm) -> None:
    minter = Minter(key(algorithm), 600, 60, lambda: NOW * 1000)
    allow = Allow(rule="r", at="a:1", revision="1", facts={})
    found = verify(minter.connection(Person(user="42"), allow).token, [key(algorithm)], NOW)
    assert (found.trouble, found.key, found.channel, found.claims["sub"]) == (None, "TOKEN_KEY", "", "42")
    assert found.header["alg"] == algorithm
    found = verify(minter.subscription("42", "chat:doc-7", allow).token, [key(algorithm)], NOW)
    assert (found.trouble, found.channel) == (None, "chat:doc-7")


def test_the_key_that_signed_is_named() -> None:
    keys = [read("A", pem("P-256")), read("B", "b" * 32), read("C", pem("other P-256")), read("D", KEY)]
    for signing in keys:
        token = Minter(signing, 600, 60, lambda: NOW * 1000).connection(
            Person(user="42"), Allow(rule="r", at="a:1", revision="1", facts={})
        ).token  # fmt: skip
        assert verify(token, keys, NOW).key == signing.name
        others = [each for each in keys if each is not signing]
        assert verify(token, others, NOW) == Reading(
            header=verify(token, keys, NOW).header, claims=verify(token, keys, NOW).claims, key=None, trouble="no key here has signed it"
        )


def test_a_secret_accepts_every_hash_that_it_is_long_enough_for() -> None:
    assert verify(signed({"sub": "1"}, algorithm="HS512"), [SECRET], NOW).trouble is None
    assert verify(signed({"sub": "1"}, "k" * 64, "HS512"), [read("K", "k" * 63)], NOW).key is None


def test_the_token_does_not_choose_the_kind_of_key() -> None:
    unsigned = raw({"alg": "none"})
    head = raw({"alg": "HS256", "typ": "JWT"}).rpartition(".")[0]
    hashed = base64.urlsafe_b64encode(hmac.digest(public("P-256").encode(), head.encode(), "sha256")).rstrip(b"=").decode()
    forged = [unsigned, raw({"alg": ["HS256"]}), raw({}), raw({"alg": "ES256"}), f"{head}.{hashed}"]
    for token in forged:
        assert verify(token, [key("ES256"), key("RS256")], NOW).key is None
    assert verify(unsigned, [SECRET], NOW).key is None


def test_a_key_id_must_fit_where_it_stands() -> None:
    minted = Minter(key("ES256"), 600, 60, lambda: NOW * 1000)
    token = minted.connection(Person(user="42"), Allow(rule="r", at="a:1", revision="1", facts={})).token
    assert verify(token, [key("ES256")], NOW).trouble is None
    private = jwt.PyJWS().get_algorithm_by_name("ES256").prepare_key(pem("P-256"))
    assert verify(jwt.PyJWS().encode(b'{"sub":"1"}', private, "ES256"), [key("ES256")], NOW).trouble is None
    assert verify(jwt.PyJWS().encode(b'{"sub":"1"}', private, "ES256", {"kid": "x"}), [key("ES256")], NOW).key is None
    assert trouble({"sub": "1"}, kid="x") == "no key here has signed it"


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({}, None),
        ({"exp": NOW + 1, "nbf": NOW, "expire_at": NOW + 1}, None),
        ({"exp": NOW + 0.5, "expire_at": 0, "channel": ""}, None),
        ({"exp": NOW}, "it has expired"),
        ({"nbf": NOW + 1}, "it is not valid yet"),
        ({"expire_at": NOW}, "what it opens has ended already"),
        ({"sub": 42}, "sub is no string"),
        ({"channel": None}, "channel is no string"),
        ({"exp": "soon"}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"nbf": []}, "nbf is no number"),
        ({"expire_at": None}, "expire_at is no number"),
    ],
)
def test_claims_that_centrifugo_would_not_take_are_named(claims: object, wanted: str | None) -> None:
    assert trouble(claims) == wanted


def test_a_signature_counts_before_what_it_signs() -> None:
    assert trouble({"exp": NOW}, read("K", "o" * 64)) == "no key here has signed it"


def test_a_channel_that_is_no_string_makes_no_subscription_token() -> None:
    assert verify(signed({"channel": 5}), [SECRET], NOW).channel == ""


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "a.b",
        "é" * 20,
        "e30.e30",
        "e30.e30." + "x" * LONGEST,
        signed([]),
        signed("x"),
        signed({"sub": "1"}).replace(".", "!"),
        raw({"alg": "HS256", "kid": 5}),
        raw({"alg": "HS256", "crit": ["x"], "x": 1}),
        raw([]),
    ],
)
def test_what_is_no_token_is_malformed(token: str) -> None:
    with pytest.raises(Malformed):
        verify(token, [SECRET], NOW)


@given(st.text(st.characters(codec="ascii")))
def test_whatever_is_read_has_an_answer(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}", signed({"sub": text})):
        try:
            verify(token, [SECRET], time.time())
        except Malformed:
            continue
