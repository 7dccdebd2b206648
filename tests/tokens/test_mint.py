import base64
import json
from collections.abc import Mapping

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.decision import Allow
from proxy.policy.policy import Person
from proxy.settings import Algorithm
from proxy.tokens.keys import read as read_key
from proxy.tokens.mint import Minter, unasked
from tests.tokens.samples import KINDS, key

KEY = "k" * 32
NOW = 1_000_000
NOW_MS = NOW * 1000 + 250


def minter(spread: float = 0.0) -> Minter:
    return Minter(read_key("TOKEN_KEY", KEY), 600, 60, lambda: NOW_MS, lambda: spread)


def allow(**given: object) -> Allow:
    return Allow(rule="r", at="a:1", revision="1", facts={}, **given)  # type: ignore[arg-type]  # fields by name


def read(token: str) -> Mapping[str, object]:
    """The claims, as another library reads and verifies them; without `jti`, which must be there."""
    claims: dict[str, object] = jwt.decode(token, KEY, ["HS256"], options={"verify_exp": False, "verify_iat": False, "require": ["jti"]})
    return {name: value for name, value in claims.items() if name != "jti"}


ADA = Person(user="42")


def test_a_connection_token_says_who_and_until_when() -> None:
    issued = minter().connection(ADA, allow())
    assert read(issued.token) == {"sub": "42", "exp": NOW + 600, "iat": NOW}
    assert issued.expires_in == 600


def test_a_token_is_byte_for_byte_what_pyjwt_writes() -> None:
    token = minter().connection(Person(user="ä42", meta={"a": [1, None]}), allow()).token
    claims = jwt.decode(token, options={"verify_signature": False})
    text = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    assert jwt.PyJWS().encode(text, KEY, "HS256") == token


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**63), 2**63 - 1)),
)
def test_whatever_is_minted_is_read_back(user: str, meta: dict[str, object]) -> None:
    claims = read(minter().connection(Person(user=user, meta=meta), allow()).token)
    assert (claims["sub"], claims["meta"]) == (user, meta)


def test_a_guest_has_an_empty_name() -> None:
    assert read(minter().connection(Person(user=""), allow()).token)["sub"] == ""


def test_two_tokens_are_never_the_same() -> None:
    assert minter().connection(ADA, allow()).token != minter().connection(ADA, allow()).token
    assert minter().subscription("42", "c", allow()).token != minter().subscription("42", "c", allow()).token


def test_the_header_names_the_algorithm_and_nothing_else() -> None:
    assert jwt.get_unverified_header(minter().connection(ADA, allow()).token) == {"alg": "HS256", "typ": "JWT"}


def test_the_persons_info_and_meta_go_along_unless_the_rule_has_its_own_info() -> None:
    person = Person(user="42", meta={"roles": ["x"]}, info={"name": "Ada"})
    assert read(minter().connection(person, allow()).token) == {
        "sub": "42", "exp": NOW + 600, "iat": NOW, "info": {"name": "Ada"}, "meta": {"roles": ["x"]},
    }  # fmt: skip
    assert read(minter().connection(person, allow(info=[0])).token)["info"] == [0]


def test_nothing_is_ever_null_but_empty_is_not_nothing() -> None:
    claims = read(minter().connection(Person(user="42", info=None), allow(data={"x": 1}, channels={})).token)
    assert claims == {"sub": "42", "exp": NOW + 600, "iat": NOW}
    assert "info" not in read(minter().subscription("42", "c", allow(info=None, data=None)).token)
    assert read(minter().subscription("42", "c", allow(info=0, data="")).token).items() >= {"info": 0, "data": ""}.items()


def test_the_channels_of_a_connect_become_subscriptions_with_their_options() -> None:
    channels = {"a": allow(info={"i": 1}, data=[2]), "b": allow()}
    assert read(minter().connection(ADA, allow(channels=channels)).token)["subs"] == {"a": {"info": {"i": 1}, "data": [2]}, "b": {}}


@pytest.mark.parametrize(("identity_ends", "lease_ms", "exp", "expire_at"), [
    (None, None, NOW + 600, None),
    (None, 3_600_000, NOW + 600, NOW + 3600),
    (NOW + 7200, None, NOW + 600, NOW + 7200),
    (NOW + 7200, 3_600_000, NOW + 600, NOW + 3600),
    (NOW + 1800, 3_600_000, NOW + 600, NOW + 1800),
    (NOW + 5, 3_600_000, NOW + 5, NOW + 5),
    (None, 100, NOW + 600, NOW + 1),
    (None, 1000, NOW + 600, NOW + 1),
])  # fmt: skip
def test_a_connection_ends_at_the_earlier_of_identity_and_rule(
    identity_ends: int | None, lease_ms: int | None, exp: int, expire_at: int | None
) -> None:
    issued = minter().connection(Person(user="42", expires_at=identity_ends), allow(expire_ms=lease_ms, jitter=50))
    claims = read(issued.token)
    assert (claims["exp"], claims.get("expire_at")) == (exp, expire_at)
    assert (issued.expires_in, issued.usable_s, issued.end_s) == (exp - NOW, exp, expire_at or exp)


def test_jitter_takes_its_share_of_a_lease_and_not_more() -> None:
    lease = allow(expire_ms=1_000_000, jitter=10)
    assert read(minter(1.0).connection(ADA, lease).token)["expire_at"] == NOW + 900
    assert read(minter(0.5).subscription("42", "c", lease).token)["expire_at"] == NOW + 950
    assert read(minter(1.0).subscription("42", "c", allow(expire_ms=1_000_000)).token)["expire_at"] == NOW + 1000


def test_a_subscription_token_is_for_one_user_and_channel_and_its_lease_is_its_own() -> None:
    issued = minter().subscription("42", "chat:doc-7", allow(info={"role": "editor"}, data={"x": 1}, expire_ms=300_000))
    assert read(issued.token) == {
        "sub": "42", "channel": "chat:doc-7", "exp": NOW + 60, "iat": NOW, "expire_at": NOW + 300,
        "info": {"role": "editor"}, "data": {"x": 1},
    }  # fmt: skip
    assert (issued.expires_in, issued.usable_s, issued.end_s) == (60, NOW + 60, NOW + 300)


def test_a_subscription_without_a_lease_does_not_end_with_its_token() -> None:
    issued = minter().subscription("42", "c", allow())
    assert read(issued.token)["expire_at"] == 0
    assert (issued.usable_s, issued.end_s) == (NOW + 60, None)


def test_a_token_comes_with_its_name() -> None:
    for issued in (minter().connection(ADA, allow()), minter().subscription("42", "c", allow())):
        assert jwt.decode(issued.token, options={"verify_signature": False})["jti"] == issued.jti


@pytest.mark.parametrize("algorithm", KINDS)
def test_a_token_of_every_algorithm_is_read_back(algorithm: Algorithm) -> None:
    signing = key(algorithm)
    made = Minter(signing, 600, 60, lambda: NOW_MS)
    for token in (made.connection(ADA, allow()).token, made.subscription("42", "c", allow()).token):
        proof = KEY * 2 if signing.jwk is None else jwt.PyJWK.from_dict(dict(signing.jwk))
        claims = jwt.decode(token, proof, [algorithm], options={"verify_exp": False, "verify_iat": False})
        assert claims["sub"] == "42"
        wanted = {"alg": algorithm, "typ": "JWT"} | ({} if signing.kid is None else {"kid": signing.kid})
        assert jwt.get_unverified_header(token) == wanted


def test_what_nobody_was_asked_about_ends_with_the_token() -> None:
    claims = unasked("42", NOW, 5)
    assert len(str(claims.pop("jti"))) == 24
    assert claims == {"sub": "42", "exp": NOW + 5, "iat": NOW}
    assert unasked("42", NOW, 5)["jti"] != unasked("42", NOW, 5)["jti"]


def test_tokens_have_no_padding() -> None:
    for length in range(6):
        token = minter().connection(Person(user="u" * length), allow()).token
        assert all(base64.urlsafe_b64decode(part + "==") for part in token.split("."))
        assert "=" not in token
