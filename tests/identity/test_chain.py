from collections.abc import Mapping

import jwt
import pytest

from proxy.errors import SetupFault
from proxy.identity.chain import Chain, Credentials, Refusal, find
from proxy.policy.declared import Place
from proxy.policy.load import load
from proxy.policy.policy import Person, Policy

NOW = 1_000_000
SECRETS = {"A_KEY": "a" * 32, "B_KEY": "b" * 32, "OTHER": "o" * 32}
NOBODY = Refusal(reason="no_identity")

A = """
identity a {
  jwt from header "authorization", data "auth.token";
  issuer "https://a.example.org"; audience "realtime"; algorithms HS256; keys env A_KEY;
  user = claims.sub;
  meta = {"roles": claims.roles};
  info = {"name": data.name, "client": name + version, "agent": headers["user-agent"]};
  expire = claims.until;
}
"""
B = """
identity b {
  jwt from cookie "session", header "x-token", header "authorization";
  issuer "https://b.example.org"; audience "realtime"; algorithms HS256; keys env B_KEY;
  user = claims.uid;
}
"""
GUEST = "identity anyone { guest; }"


def policy(*identities: str) -> Policy:
    loaded = load({"a.policy": "\n".join(("language 1;", *identities)).encode()})
    assert loaded.policy, loaded.findings
    return loaded.policy


def chain(*identities: str) -> Chain:
    return Chain(policy(*identities), SECRETS, lambda: NOW)


def token(of: str, key: str = "", **claims: object) -> str:
    standard = {
        "iss": f"https://{of}.example.org",
        "aud": "realtime",
        "exp": NOW + 60,
        "sub": "42",
        "uid": 7,
        "roles": ["x"],
        "until": NOW + 50,
    }
    return jwt.encode({**standard, **claims}, SECRETS[key or f"{of.upper()}_KEY"])


def shown(data: object = None, **headers: str) -> Credentials:
    return Credentials(headers={name.replace("_", "-"): value for name, value in headers.items()}, data=data, name="js", version="1")


FULL: Mapping[str, object] = {"name": "Ada"}


async def test_a_token_makes_the_person_that_the_policy_describes() -> None:
    person = await chain(A).identify(shown(FULL, authorization=f"Bearer {token('a')}", user_agent="x"))
    assert person == Person(user="42", meta={"roles": ["x"]}, info={"name": "Ada", "client": "js1", "agent": "x"}, expires_at=NOW + 50)


async def test_a_user_that_is_a_number_becomes_text() -> None:
    assert getattr(await chain(B).identify(shown(x_token=token("b"))), "user", None) == "7"


async def test_each_identity_knows_its_own_tokens_in_whatever_order() -> None:
    for identities in ((A, B), (B, A)):
        person = await chain(*identities).identify(shown(authorization=f"bearer {token('b')}"))
        assert getattr(person, "user", None) == "7"
        person = await chain(*identities).identify(shown(FULL, authorization=f"BEARER  {token('a')}", user_agent="x"))
        assert getattr(person, "user", None) == "42"


async def test_a_place_with_anothers_token_leaves_the_next_place() -> None:
    data = {"auth": {"token": token("a")}, "name": "Ada"}
    person = await chain(A, B).identify(shown(data, authorization=f"Bearer {token('b')}", user_agent="x"))
    assert getattr(person, "user", None) == "42"


@pytest.mark.parametrize("bad", [
    token("a", key="OTHER"),
    token("a", exp=NOW - 60),
    token("a", aud="other"),
    token("a", iss="https://c.example.org"),
    token("a", iss=""),
    "undefined",
])  # fmt: skip
async def test_a_bad_token_ends_the_chain(bad: str) -> None:
    good = {"auth": {"token": token("a")}, "name": "Ada"}
    assert await chain(A, B, GUEST).identify(shown(good, authorization=f"Bearer {bad}", user_agent="x")) == NOBODY
    assert await chain(A, B, GUEST).identify(shown(authorization=f"Bearer {bad}", cookie=f"session={token('b')}")) == NOBODY


async def test_what_the_policy_cannot_describe_is_nobody() -> None:
    assert await chain(A, GUEST).identify(shown(authorization=f"Bearer {token('a')}")) == NOBODY


async def test_a_person_whose_time_is_over_is_nobody() -> None:
    for until, expected in ((NOW, NOBODY), (NOW - 1, NOBODY), (NOW + 1, NOW + 1)):
        person = await chain(A).identify(shown(FULL, authorization=f"Bearer {token('a', until=until)}", user_agent="x"))
        assert getattr(person, "expires_at", person) == expected


async def test_who_shows_nothing_is_the_guest_where_there_is_one() -> None:
    for empty in (shown(), shown({"auth": {"token": ""}}, authorization="", cookie="", x_token="")):
        assert await chain(A, B, GUEST).identify(empty) == Person(user="")
        assert await chain(A, B).identify(empty) == NOBODY
    assert await chain().identify(shown()) == NOBODY


async def test_another_scheme_is_no_token() -> None:
    assert await chain(A, GUEST).identify(shown(authorization="Basic dTpw")) == Person(user="")


@pytest.mark.parametrize(("place", "expected"), [
    (Place(kind="header", name="authorization"), "t.o.k"),
    (Place(kind="header", name="x-token"), "Bearer x"),
    (Place(kind="header", name="x-none"), ""),
    (Place(kind="cookie", name="session"), "one"),
    (Place(kind="cookie", name="quoted"), "q"),
    (Place(kind="cookie", name="SESSION"), ""),
    (Place(kind="cookie", name="none"), ""),
    (Place(kind="data", name="token"), "top"),
    (Place(kind="data", name="a.b.c"), "deep"),
    (Place(kind="data", name="a.b"), ""),
    (Place(kind="data", name="a.b.c.d"), ""),
    (Place(kind="data", name="list.0"), ""),
    (Place(kind="data", name="number"), ""),
])  # fmt: skip
def test_a_token_is_found_in_its_place(place: Place, expected: str) -> None:
    headers = {"authorization": "bEARER t.o.k", "x-token": "Bearer x", "cookie": 'x; a=session=no; session=one ;session=two; quoted="q"'}
    data = {"token": "top", "a": {"b": {"c": "deep"}}, "list": ["x"], "number": 5}
    assert find(place, Credentials(headers=headers, data=data)) == expected


def test_a_key_that_is_missing_stops_the_start() -> None:
    with pytest.raises(SetupFault, match="identity b needs the environment variable B_KEY"):
        Chain(policy(A, B), {"A_KEY": "a" * 32})


def test_an_identity_over_http_is_not_supported_yet() -> None:
    session = 'http app { base env APP_URL; } identity session { http app GET "/session" forward header "cookie"; user = reply.id; }'
    with pytest.raises(SetupFault, match="the policy's identity session asks over http, which is not supported yet"):
        Chain(policy(session), SECRETS)
