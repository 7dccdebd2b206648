import json

import jwt
import pytest

from proxy.settings import Algorithm
from proxy.tokens.jwks import MEMBERS, document, thumbprint
from proxy.tokens.keys import read
from tests.tokens.samples import ASYMMETRIC, KEY, KINDS, key, pem, private

# RFC 7638 section 3.1, RFC 8037 appendix A.3
PUBLISHED = [
    (
        {
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
            "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
            "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
        },
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    ),
    (
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ),
]


@pytest.mark.parametrize(("jwk", "wanted"), PUBLISHED)
def test_thumbprints_are_those_that_are_published(jwk: dict[str, str], wanted: str) -> None:
    assert thumbprint(jwk) == wanted


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_description_has_what_is_needed_and_nothing_private(algorithm: Algorithm) -> None:
    jwk = key(algorithm).jwk
    assert jwk is not None
    assert set(jwk) == {*MEMBERS[jwk["kty"]], "use", "alg", "kid"}
    assert (jwk["use"], jwk["alg"], jwk["kid"]) == ("sig", algorithm, thumbprint(jwk))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_description_is_the_public_half_as_another_library_reads_it(algorithm: Algorithm) -> None:
    jwk = key(algorithm).jwk
    assert jwk is not None
    assert jwt.PyJWK.from_dict(dict(jwk)).key == private(KINDS[algorithm]).public_key()


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_no_number_of_the_private_key_is_in_the_set(kind: str) -> None:
    name = {"RSA": "RS256", "Ed25519": "EdDSA"}.get(kind) or next(each for each, of in KINDS.items() if of == kind)
    secret: dict[str, str] = jwt.PyJWS().get_algorithm_by_name(name).to_jwk(private(kind), as_dict=True)
    members = {each: value for each, value in secret.items() if each in ("d", "p", "q", "dp", "dq", "qi")}
    text = document([read("K", pem(kind)).jwk]).decode()
    assert "d" in members
    assert [each for each, value in members.items() if value in text] == []


def test_the_set_has_each_key_once_and_no_secret() -> None:
    first, second, secret = read("A", pem("RSA")), read("B", pem("P-256")), read("C", KEY)
    assert json.loads(document([first.jwk, second.jwk, secret.jwk, first.jwk])) == {"keys": [first.jwk, second.jwk]}
    assert json.loads(document([secret.jwk])) == {"keys": []}


def test_coordinates_have_the_length_of_the_curve() -> None:
    # RFC 7518 section 6.2.1.2: 66 bytes of P-521, which most numbers do not fill
    for kind, length in (("P-256", 43), ("P-384", 64), ("P-521", 88)):
        jwk = read("K", pem(kind)).jwk
        assert jwk is not None
        assert (len(jwk["x"]), len(jwk["y"])) == (length, length)
