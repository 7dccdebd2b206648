"""Who an identity says is speaking."""

from collections.abc import Mapping

import pytest

from proxy.policy.decision import UNCHANGED
from proxy.policy.policy import Person, Seen
from tests.policy.policies import policy

JWT = 'jwt from header "authorization"; issuer "i"; audience "a"; algorithms ES256; keys env K;'


def person(rest: str, claims: Mapping[str, object], before: str = "", seen: Seen | None = None) -> Person | None:
    return policy(f"{before}identity i {{ {JWT} {rest} }}").person("i", seen or Seen(source=claims))


def test_the_user_comes_from_the_claims() -> None:
    assert person("user = claims.sub;", {"sub": "ann"}) == Person(user="ann")


def test_an_integer_user_becomes_a_string() -> None:
    assert person("user = claims.sub;", {"sub": 7}) == Person(user="7")


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": None}, {"sub": True}, {"sub": 1.5}, {"sub": ["ann"]}])
def test_anything_else_is_nobody(claims: Mapping[str, object]) -> None:
    assert person("user = claims.sub;", claims) is None


def test_meta_info_and_expiry_come_along() -> None:
    rest = 'user = claims.sub; meta = {"roles": claims.roles}; info = {"name": claims.name}; expire = claims.exp;'
    claims = {"sub": "ann", "roles": ["a"], "name": "Ann", "exp": 5.5}
    assert person(rest, claims) == Person(user="ann", meta={"roles": ["a"]}, info={"name": "Ann"}, expires_at=5)


def test_what_is_not_said_is_absent() -> None:
    found = person("user = claims.sub;", {"sub": "ann"})
    assert found is not None
    assert (found.meta, found.info, found.expires_at) == (None, UNCHANGED, None)


def test_a_missing_claim_makes_it_nobody() -> None:
    assert person("user = claims.sub; info = claims.name;", {"sub": "ann"}) is None


@pytest.mark.parametrize("expiry", ["5", None, True, [5]])
def test_an_expiry_that_is_no_number_makes_it_nobody(expiry: object) -> None:
    assert person("user = claims.sub; expire = claims.exp;", {"sub": "ann", "exp": expiry}) is None


def test_meta_that_is_no_object_makes_it_nobody() -> None:
    assert person("user = claims.sub; meta = claims.meta;", {"sub": "ann", "meta": [1]}) is None


def test_meta_is_fitted_to_its_declared_type() -> None:
    before = "meta { roles: list<string> }\n"
    rest = "user = claims.sub; meta = claims.meta;"
    assert person(rest, {"sub": "ann", "meta": {"roles": ["a"], "x": 1}}, before) == Person(user="ann", meta={"roles": ["a"]})
    assert person(rest, {"sub": "ann", "meta": {"roles": "a"}}, before) is None


def test_headers_data_name_and_version_are_seen() -> None:
    seen = Seen(source={"sub": "ann"}, headers={"x": "h"}, data={"d": 1}, name="n", version="v")
    found = person('user = claims.sub; info = [headers["x"], data.d, name, version];', {}, seen=seen)
    assert found == Person(user="ann", info=["h", 1, "n", "v"])


def test_an_application_reply_is_seen_as_reply() -> None:
    text = 'http app { base env A; }\nidentity s { http app GET "/me" forward header "cookie"; user = reply.id; }'
    assert policy(text).person("s", Seen(source={"id": "ann"})) == Person(user="ann")


def test_a_guest_is_the_anonymous_user() -> None:
    assert policy("identity g { guest; }").person("g", Seen(source=None)) == Person(user="")
