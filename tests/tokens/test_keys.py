import itertools
import re

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from proxy.errors import SetupFault
from proxy.settings import Algorithm, Settings
from proxy.tokens import keys
from proxy.tokens.keys import Key, keyring, read
from tests.tokens.samples import ASYMMETRIC, KEY, KINDS, key, pem, private, public

TEXT = b"eyJ.eyJ"


def settings(token_key: str, previous: str | None = None, algorithm: Algorithm | None = None) -> Settings:
    secret = "s" * 32
    given = {"token_key": token_key, "token_previous_key": previous, "token_algorithm": algorithm}
    return Settings.model_validate({"hook_secret": secret, "centrifugo_api_key": secret, **given})


def verifies(made: Key, algorithm: str, proof: object = None) -> bool:
    how = jwt.PyJWS().get_algorithm_by_name(algorithm)
    return bool(how.verify(TEXT, how.prepare_key(proof or made.proof), made.sign(TEXT)))


@pytest.mark.parametrize("algorithm", KINDS)
def test_another_library_verifies_what_a_key_has_signed(algorithm: Algorithm) -> None:
    kind = KINDS[algorithm]
    for _ in range(20):  # numbers of a signature that begin with zeros are rare
        assert verifies(key(algorithm), algorithm, KEY if kind == "secret" else public(kind))


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("secret", "HS256"), ("RSA", "RS256"), ("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"), ("Ed25519", "EdDSA")],
)
def test_the_kind_of_key_says_the_algorithm(kind: str, algorithm: str) -> None:
    made = read("TOKEN_KEY", pem(kind))
    assert (made.name, made.algorithm) == ("TOKEN_KEY", algorithm)
    assert verifies(made, algorithm)


def test_a_key_accepts_what_it_is_made_for() -> None:
    kinds = ["secret", "RSA", "P-256", "P-384", "P-521", "Ed25519"]
    assert [read("K", pem(kind)).accepted for kind in kinds] == [
        ("HS256", "HS384", "HS512"),
        ("RS256", "RS384", "RS512"),
        ("ES256",),
        ("ES384",),
        ("ES512",),
        ("EdDSA",),
    ]
    assert read("K", "k" * 63).accepted == ("HS256", "HS384")
    assert read("K", "k" * 47).accepted == ("HS256",)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", ["RSA", "P-256"])
def test_both_forms_of_pem_are_read(kind: str, form: PrivateFormat) -> None:
    text = private(kind).private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    assert read("K", text).kid == read("K", pem(kind)).kid


@pytest.mark.parametrize(
    "change", [lambda text: text.replace("\n", "\\n"), lambda text: text.replace("\n", "\r\n"), lambda text: f"\n {text}"]
)
def test_line_ends_may_be_those_of_environment_files(change: "type[str]") -> None:
    assert read("K", change(pem("P-256"))).kid == read("K", pem("P-256")).kid


def test_a_secret_has_no_public_half() -> None:
    made = read("K", KEY)
    assert (made.jwk, made.kid, made.proof) == (None, None, KEY.encode())


@pytest.mark.parametrize("kind", ["secret", "RSA", "Ed25519"])
def test_a_key_masks_itself(kind: str) -> None:
    shown = repr(read("K", pem(kind)))
    assert KEY not in shown
    assert "Private" not in shown


@pytest.mark.parametrize("text", [
    public("P-256"),
    "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 20 + "\n-----END CERTIFICATE-----",
])  # fmt: skip
def test_a_public_key_does_not_start(text: str) -> None:
    refused("holds no private key, which signing needs: make one with: openssl genpkey", text)


@pytest.mark.parametrize("text", [
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n" + "x" * 64,
    "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "x" * 64 + "\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\né\n-----END PRIVATE KEY-----",
])  # fmt: skip
def test_garbage_in_pem_form_does_not_start(text: str) -> None:
    refused("cannot be read as a private key in PEM form, as openssl writes it: make one with", text)


def test_an_encrypted_key_does_not_start() -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        text = private("P-256").private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret")).decode()
        refused("is encrypted: write it without its passphrase, with: openssl pkey -in FILE", text)


@pytest.mark.parametrize(("kind", "message"), [
    ("short RSA", "is an RSA key of 1024 bits, it needs 2048"),
    ("secp256k1", "is on the curve secp256k1, it needs P-256, P-384 or P-521"),
    ("Ed448", "is of a kind that Centrifugo has no algorithm for, it needs RSA, EC or Ed25519"),
    ("DSA", "is of a kind that Centrifugo has no algorithm for, it needs RSA, EC or Ed25519"),
])  # fmt: skip
def test_a_key_that_centrifugo_could_not_use_does_not_start(kind: str, message: str) -> None:
    refused(message, pem(kind))


@pytest.mark.parametrize("text", [
    '{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}',
    '\n[{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}]',
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mcjUhv0fs8kSOKkZ3n3RvDf7t ann@host",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBB ann@host",
    "/etc/centrigate/secrets/production/token.pem",
    "secrets/production/centrigate/signing/token.key\n",
])  # fmt: skip
def test_what_anybody_may_know_is_no_secret(text: str) -> None:
    refused("is no secret: set it to a random one, or to a private key itself in PEM form", text)


def test_a_secret_is_as_long_as_its_hash() -> None:
    sizes: list[tuple[Algorithm, int]] = [("HS256", 32), ("HS384", 48), ("HS512", 64)]
    for algorithm, size in sizes:
        refused(f"is too short for {algorithm}: set it to a random secret of at least {size} bytes", "k" * (size - 1), algorithm)
        assert read("K", "k" * size, algorithm).algorithm == algorithm
    assert read("K", "ü" * 16).algorithm == "HS256"


@pytest.mark.parametrize(("kind", "algorithm", "message"), [
    ("secret", "RS256", "is not made for RS256: it signs HS256 or HS384 or HS512"),
    ("RSA", "HS256", "is not made for HS256: it signs RS256 or RS384 or RS512"),
    ("P-256", "ES384", "is not made for ES384: it signs ES256"),
    ("Ed25519", "ES256", "is not made for ES256: it signs EdDSA"),
])  # fmt: skip
def test_an_algorithm_that_the_key_is_not_made_for_does_not_start(kind: str, algorithm: Algorithm, message: str) -> None:
    refused(message, pem(kind), algorithm)


def test_the_first_key_signs_and_the_second_is_known() -> None:
    assert [each.name for each in keyring(settings(KEY))] == ["CENTRIGATE_TOKEN_KEY"]
    first, second = keyring(settings(pem("RSA"), pem("P-256")))
    assert (first.name, first.algorithm) == ("CENTRIGATE_TOKEN_KEY", "RS256")
    assert (second.name, second.algorithm) == ("CENTRIGATE_TOKEN_PREVIOUS_KEY", "ES256")


def test_the_algorithm_counts_for_the_second_key_where_it_can() -> None:
    assert [each.algorithm for each in keyring(settings(pem("RSA"), pem("RSA"), "RS512"))] == ["RS512", "RS512"]
    assert [each.algorithm for each in keyring(settings(pem("RSA"), KEY, "RS512"))] == ["RS512", "HS256"]
    assert [each.algorithm for each in keyring(settings(KEY, "k" * 32, "HS512"))] == ["HS512", "HS256"]


def test_a_key_is_named_by_its_variable_when_it_cannot_be_used() -> None:
    with pytest.raises(SetupFault, match=r"^CENTRIGATE_TOKEN_KEY holds no private key"):
        keyring(settings(public("RSA")))
    with pytest.raises(SetupFault, match=r"^CENTRIGATE_TOKEN_PREVIOUS_KEY holds no private key"):
        keyring(settings(KEY, public("RSA")))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_is_found_by_its_thumbprint(algorithm: Algorithm) -> None:
    made = key(algorithm)
    assert made.jwk is not None
    assert made.kid == made.jwk["kid"]


def refused(message: str, text: str, algorithm: Algorithm | None = None) -> None:
    """The key is refused with this message, which holds no line of the key."""
    with pytest.raises(SetupFault, match=f"^K {re.escape(message)}") as caught:
        read("K", text, algorithm)
    assert not any(line in str(caught.value) for line in text.splitlines() if line.strip())
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_numbers_of_a_signature_are_as_long_as_the_curves_whatever_they_are(algorithm: Algorithm) -> None:
    """Short numbers are rare in signatures of real keys, so they are given."""
    size = {"ES256": 32, "ES384": 48, "ES512": 66}[algorithm]
    numbers = [1, 0x7F, 0x80, 0xFF, 1 << 8 * size - 9, (1 << 8 * size - 7) - 1, 1 << 8 * size - 16]

    class Given:
        """A private key whose signature is known."""

        key_size = 521 if size == 66 else 8 * size
        numbers = (0, 0)

        def sign(self, _text: bytes, _how: object) -> bytes:
            return encode_dss_signature(*self.numbers)

    given = Given()
    sign = keys._two_numbers(given, algorithm)  # type: ignore[arg-type]  # stands in for a key
    for given.numbers in itertools.product(numbers, numbers):
        assert sign(b"") == b"".join(number.to_bytes(size) for number in given.numbers)
