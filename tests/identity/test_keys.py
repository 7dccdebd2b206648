import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from proxy.errors import SetupFault
from proxy.identity.keys import MAX_KEYS, MAX_RSA_BITS, MAX_TRIED, Key, Ring, declared, published
from proxy.policy.declared import Variable

from .forge import ALGORITHMS, KINDS, SECRET, certificate, identity, jwk, oct_jwk, private, private_jwk, public, ring

ALL = ("ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA")


def private_pem(kind: str, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return private(kind).private_bytes(Encoding.PEM, form, NoEncryption()).decode()


@pytest.mark.parametrize(("algorithm", "kind"), ALGORITHMS)
def test_a_public_key_is_read_from_each_of_its_forms(algorithm: str, kind: str) -> None:
    for text in (public(kind), f"\n {public(kind)}", json.dumps(jwk(kind)), json.dumps({"keys": [jwk(kind)]})):
        (key,) = ring(algorithm, key=text).keys
        assert (key.kid, key.algorithms) == (None, (algorithm,))
        assert key.material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() == public(kind)  # type: ignore[union-attr]


def test_a_certificate_stands_for_its_key() -> None:
    assert ring("ES256", key=certificate()).keys == ring("ES256", key=public("P-256")).keys


def test_several_pems_are_several_keys() -> None:
    (first, second, third) = ring("ES256", "RS256", "PS256", key=public("P-256") + certificate() + "\n" + public("RSA")).keys
    assert first == second
    assert (first.algorithms, third.algorithms) == (("ES256",), ("RS256", "PS256"))


def test_a_secret_is_taken_as_it_stands() -> None:
    for secret in (SECRET, "a,b" * 30, "[" * 64, "-" * 64):
        assert ring("HS256", key=secret).keys == (Key(material=secret.encode(), algorithms=("HS256",)),)


def test_secrets_rotate_in_a_key_set() -> None:
    both = json.dumps({"keys": [oct_jwk("n" * 64, kid="new", alg="HS512"), oct_jwk("o" * 64, kid="old")]})
    assert ring("HS256", "HS512", key=both).keys == (
        Key(material=b"n" * 64, algorithms=("HS512",), kid="new"),
        Key(material=b"o" * 64, algorithms=("HS256", "HS512"), kid="old"),
    )


def test_a_default_stands_in_for_a_missing_variable() -> None:
    variable = Variable(name="IDP_KEY", default=SECRET)
    assert declared(identity(), variable, {}) == ring("HS256", key=SECRET)


OVERSIZED = json.dumps({"kty": "RSA", "n": "_" * 1500, "e": "AQAB"})


@pytest.mark.parametrize(("algorithms", "key", "message"), [
    (("HS256",), "s" * 31, "the key of the policy's identity idp is too short for HS256"),
    (("HS512",), "s" * 63, "the key of the policy's identity idp is too short for HS512"),
    (("HS256",), json.dumps(oct_jwk("s" * 31)), "the key of the policy's identity idp is too short for HS256"),
    (("HS256",), public("P-256"), "the key of the policy's identity idp is not made for HS256"),
    (("HS256",), public("RSA"), "the key of the policy's identity idp is not made for HS256"),
    (("HS256",), certificate(), "the key of the policy's identity idp is not made for HS256"),
    (("HS256",), "ssh-rsa AAAAB3NzaC1yc2E" + "A" * 40, "the key of the policy's identity idp is not made for HS256"),
    (("HS256",), json.dumps(jwk("P-256")), "IDP_KEY holds a JWK that is no secret (oct) to verify with"),
    (("HS256",), json.dumps(oct_jwk(public("RSA"))), "the key of the policy's identity idp is not made for HS256"),
    (("HS256",), json.dumps(oct_jwk(SECRET, alg="HS512")), "the key of the policy's identity idp is not made for HS256"),
    (("RS256",), public("RSA-1024"), "the key of the policy's identity idp is too short for RS256"),
    (("RS256", "EdDSA"), public("P-256"), "the key of the policy's identity idp is not made for RS256 or EdDSA"),
    (("ES256",), public("P-384"), "the key of the policy's identity idp is not made for ES256"),
    (("ES256",), public("secp256k1"), "the key of the policy's identity idp is not made for ES256"),
    (("ES256",), public("P-256") + public("RSA"), "the key of the policy's identity idp is not made for ES256"),
    (("ES256",), "no key", "IDP_KEY holds no public key"),
    (("ES256",), public("P-256") + "more", "IDP_KEY holds no public key"),
    (("ES256",), public("P-256")[:60], "IDP_KEY holds no public key"),
    (("ES256",), private_pem("P-256"), "IDP_KEY holds no public key"),
    (("RS256",), private_pem("RSA", PrivateFormat.TraditionalOpenSSL), "IDP_KEY holds no public key"),
    (("ES256",), certificate().replace("M", "N", 1), "IDP_KEY holds no public key"),
    (("ES256",), json.dumps(private_jwk("P-256")), "IDP_KEY holds a JWK that is no public key"),
    (("RS256",), json.dumps(private_jwk("RSA")), "IDP_KEY holds a JWK that is no public key"),
    (("RS256",), OVERSIZED, "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(oct_jwk(SECRET)), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(jwk("P-256", use="enc")), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(jwk("P-256", key_ops=["encrypt"])), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(jwk("P-256", kid=5)), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(jwk("P-256", alg=["ES256"])), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps(jwk("P-256", alg="ES384")), "the key of the policy's identity idp is not made for ES256"),
    (("ES256",), json.dumps(jwk("P-256", x="AA")), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), json.dumps({"keys": []}), f"IDP_KEY must hold a JWK, or a JWK Set of 1 to {MAX_KEYS} keys"),
    (("ES256",), json.dumps({"keys": {}}), f"IDP_KEY must hold a JWK, or a JWK Set of 1 to {MAX_KEYS} keys"),
    (("ES256",), json.dumps({"keys": [jwk("P-256")] * (MAX_KEYS + 1)}), "IDP_KEY must hold a JWK"),
    (("ES256",), json.dumps({"keys": [5]}), "IDP_KEY holds a JWK that is no public key"),
    (("ES256",), "{", "IDP_KEY begins like a JWK and is not JSON"),
    (("ES256",), '{"kty": "EC", "kty": "EC"}', "IDP_KEY is JSON that can be read in more than one way"),
    (("ES256",), "", "the policy's identity idp needs the environment variable IDP_KEY"),
    (("ES256",), " \n", "the policy's identity idp needs the environment variable IDP_KEY"),
])  # fmt: skip
def test_a_key_that_cannot_be_used_stops_the_start_and_is_not_repeated(algorithms: tuple[str, ...], key: str, message: str) -> None:
    with pytest.raises(SetupFault) as caught:
        ring(*algorithms, key=key)
    assert str(caught.value).startswith(message)
    assert len(key) < 10 or key not in str(caught.value)


def test_a_published_set_gives_the_keys_that_fit_and_no_others() -> None:
    document = {"keys": [
        jwk("P-256", kid="a"), jwk("P-256 too", kid="b", alg="ES256"), jwk("RSA", kid="c", key_ops=["verify"]), jwk("P-384"),
        jwk("Ed25519", kid="d", use=None), oct_jwk(SECRET, kid="e"), jwk("P-256", kid="f", use="enc"), jwk("P-256", kid="g", alg="RS256"),
        jwk("secp256k1", kid="h"), jwk("RSA-1024", kid="i"), jwk("P-256", kid=["j"]), json.loads(OVERSIZED), None, "x", [], {},
        {"kty": "PQ", "kid": "k"}, {"kty": ["EC"], "kid": "l"}, private_jwk("P-256"),
    ]}  # fmt: skip
    found = published(document, ("ES256", "RS256", "PS256", "EdDSA", "HS256"))
    assert [(key.kid, key.algorithms) for key in found.keys] == [
        ("a", ("ES256",)), ("b", ("ES256",)), ("c", ("RS256", "PS256")), ("d", ("EdDSA",)),
    ]  # fmt: skip


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {"a": 1}}, {"keys": []}, "keys", 5])
def test_what_is_no_key_set_holds_no_keys(document: object) -> None:
    assert published(document, ALL) == Ring(keys=())


def test_of_a_long_set_the_first_keys_count() -> None:
    document = {"keys": [jwk("P-256", kid=str(number)) for number in range(MAX_KEYS + 10)]}
    assert [key.kid for key in published(document, ALL).keys] == [str(number) for number in range(MAX_KEYS)]


def test_the_largest_rsa_key_counts() -> None:
    odd = (1 << MAX_RSA_BITS) - 1
    for modulus, expected in ((odd, 1), (odd * 2 + 1, 0)):
        key = rsa.RSAPublicNumbers(65537, modulus).public_key()
        assert len(published({"keys": [RSAAlgorithm.to_jwk(key, as_dict=True)]}, ALL).keys) == expected


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=50)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5
)
NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "use", "alg", "kid", "key_ops", "x5c"])


@given(st.lists(st.dictionaries(NAMES, VALUES | st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "sig", "ES256", "AQAB"]))))
def test_no_set_breaks_the_reader(members: list[Any]) -> None:
    assert len(published({"keys": members}, ALL).keys) <= len(members)


@given(st.sampled_from([*KINDS]), st.dictionaries(NAMES, VALUES, min_size=1, max_size=2))
def test_no_changed_key_breaks_the_reader(kind: str, changes: dict[str, Any]) -> None:
    assert len(published({"keys": [{**jwk(kind), **changes}]}, ALL).keys) <= 1


def test_a_token_is_tried_with_keys_of_its_name_or_without_a_name() -> None:
    named, other = Key(material=b"1", algorithms=("HS256",), kid="a"), Key(material=b"2", algorithms=("HS256",), kid="b")
    nameless, strange = Key(material=b"3", algorithms=("HS256",)), Key(material=b"4", algorithms=("HS512",), kid="a")
    made = Ring(keys=(named, other, nameless, strange))
    assert made.fitting("HS256", "a") == (named, nameless)
    assert made.fitting("HS256", None) == (named, other, nameless)
    assert made.fitting("HS256", "c") == (nameless,)
    assert made.fitting("ES256", "a") == ()
    assert [made.knows(kid) for kid in (None, "a", "b", "c")] == [True, True, True, False]


def test_a_token_is_tried_with_so_many_keys_at_most() -> None:
    made = Ring(keys=tuple(Key(material=bytes([number]), algorithms=("HS256",)) for number in range(MAX_TRIED + 1)))
    assert made.fitting("HS256", None) == made.keys[:MAX_TRIED]
