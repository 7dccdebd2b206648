import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import jwt
import pytest

from proxy.errors import SetupFault
from proxy.identity.chain import Chain, Credentials, Refusal, find, result
from proxy.policy.declared import Place
from proxy.policy.load import load
from proxy.policy.policy import Person, Policy

from .forge import jwk, private, public, sign
from .site import Site, says, site

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


SESSION = """
http app { base env APP_URL; }
identity session {
  http app GET "/me" forward header "cookie";
  user = reply.id;
  meta = {"roles": reply.roles};
  expire = reply.until;
}
"""
PUBLISHED = """
identity published {
  jwt from header "authorization", cookie "session";
  issuer "https://id.example.org"; audience "realtime"; algorithms ES256; keys jwks "%s/keys";
  user = claims.sub;
}
"""
ADA = {"id": "ada", "roles": ["x"], "until": NOW + 50}
AWAY = Refusal(reason="fact_error", detail="identity session: the reply has status 500")


@asynccontextmanager
async def serving(*identities: str) -> AsyncIterator[tuple[Site, Chain]]:
    """An application that knows Ada, and the chain that asks it."""
    async with site() as app:
        app.answers["/me"] = says(ADA)
        app.answers["/keys"] = says({"keys": [jwk("P-256", kid="one")]})
        made = [each % app.url if "%s" in each else each for each in identities]
        links = Chain(policy(*made), {**SECRETS, "APP_URL": app.url}, lambda: NOW)
        try:
            yield app, links
        finally:
            await links.close()


async def test_a_session_makes_the_person_that_the_policy_describes() -> None:
    async with serving(SESSION) as (_, links):
        assert await links.identify(shown(cookie="s=1")) == Person(user="ada", meta={"roles": ["x"]}, expires_at=NOW + 50)


async def test_a_session_that_the_application_does_not_know_leaves_the_next_identity() -> None:
    async with serving(SESSION, B, GUEST) as (app, links):
        app.answers["/me"] = says(None, 401)
        assert await links.identify(shown(cookie="s=1", x_token=token("b"))) == Person(user="7")
        assert await links.identify(shown(cookie="s=1")) == Person(user="")
        assert await links.identify(shown()) == Person(user="")


async def test_an_application_that_is_away_makes_nobody_and_no_guest() -> None:
    async with serving(SESSION, B, GUEST) as (app, links):
        app.answers["/me"] = says(None, 500)
        assert await links.identify(shown(cookie="s=1", x_token=token("b"))) == AWAY
        assert await links.identify(shown(x_token=token("b"))) == Person(user="7")


@pytest.mark.parametrize(
    "reply", [{}, [], None, "ada", {**ADA, "id": ""}, {**ADA, "id": None}, {**ADA, "until": NOW}, {**ADA, "until": "x"}]
)
async def test_a_reply_that_the_policy_cannot_use_is_nobody(reply: object) -> None:
    async with serving(SESSION, GUEST) as (app, links):
        app.answers["/me"] = says(reply)
        assert await links.identify(shown(cookie="s=1")) == NOBODY


async def test_a_token_of_a_published_key_counts_and_one_of_another_does_not() -> None:
    async with serving(PUBLISHED, GUEST) as (_, links):
        good, bad = (sign({"aud": "realtime"}, private(kind), "ES256", kid="one") for kind in ("P-256", "P-256 too"))
        assert await links.identify(shown(authorization=f"Bearer {good}")) == Person(user="42")
        assert await links.identify(shown(authorization=f"Bearer {bad}")) == NOBODY


async def test_keys_that_are_away_make_nobody_for_now() -> None:
    async with serving(PUBLISHED, GUEST) as (app, links):
        app.answers["/keys"] = says(None, 503)
        bearer = sign({"aud": "realtime"}, private("P-256"), "ES256", kid="one")
        detail = "keys of identity published: the reply has status 503"
        assert await links.identify(shown(authorization=f"Bearer {bearer}")) == Refusal(reason="fact_error", detail=detail)
        assert await links.identify(shown()) == Person(user="")


async def test_every_refused_token_gets_the_same_answer() -> None:
    async with serving(PUBLISHED, A, GUEST) as (_, links):
        key = private("P-256")
        bad = [
            "x", "a.b.c", "e30.e30.e30", "a" * 10_000, sign({}, None, "none"),
            sign({"aud": "realtime"}, public("P-256").encode()[27:], "HS256"),
            sign({"aud": "other"}, key, "ES256"), sign({"aud": "realtime", "exp": NOW - 60}, key, "ES256"),
            sign({"aud": "realtime"}, key, "ES256", kid="unknown"), sign({"aud": "realtime"}, private("P-384"), "ES384"),
            sign({"aud": "realtime", "x": "x" * 10_000}, key, "ES256"), token("a", exp=NOW - 60), token("a", key="OTHER"),
        ]  # fmt: skip
        assert [await links.identify(shown(authorization=f"Bearer {each}")) for each in bad] == [NOBODY] * len(bad)
        assert [await links.recall(shown(authorization=f"Bearer {each}"), "42") for each in bad] == [NOBODY] * len(bad)


async def test_who_shows_the_same_again_is_recalled() -> None:
    async with serving(SESSION, B, GUEST) as (app, links):
        assert getattr(await links.recall(shown(cookie="s=1"), "ada"), "user", None) == "ada"
        assert await links.recall(shown(x_token=token("b")), "7") == Person(user="7")
        assert await links.recall(shown(x_token=token("b", exp=NOW - 60)), "7") == NOBODY
        app.answers["/me"] = says(None, 500)
        assert await links.recall(shown(cookie="s=2"), "ada") == AWAY


async def test_who_shows_nothing_cannot_be_recalled() -> None:
    async with serving(SESSION, B, GUEST) as (_, links):
        for user in ("ada", ""):
            assert await links.recall(shown(user_agent="x"), user) is None


async def test_a_session_that_has_ended_is_not_recalled_but_a_guest_stays_one() -> None:
    async with serving(SESSION, GUEST) as (app, links):
        app.answers["/me"] = says(None, 403)
        assert await links.recall(shown(cookie="s=1"), "ada") == NOBODY
        assert await links.recall(shown(cookie="s=1"), "") is None


async def test_a_probe_names_what_is_wrong() -> None:
    async with serving(SESSION, PUBLISHED, B, GUEST) as (app, links):
        app.answer = says(None, 404)
        assert await links.probe() == {"session": "", "published": "", "b": ""}
        app.answers["/keys"] = says({"keys": []})
        assert await links.probe() == {"session": "", "published": "keys of identity published: the reply holds no key for ES256", "b": ""}
    assert (await links.probe())["session"].startswith("http app: no answer")


async def test_an_address_that_is_missing_stops_the_start() -> None:
    with pytest.raises(SetupFault, match="the policy's http app needs the environment variable APP_URL"):
        Chain(policy(SESSION), SECRETS)


async def test_a_chain_under_another_policy_keeps_what_it_knows_and_describes_people_as_that_one_does() -> None:
    app = 'http app { base env APP_URL; }\nidentity session { http app GET "/me" forward header "cookie"; user = reply.id; }'
    before = policy(app)
    async with site() as at:
        at.answer = says({"id": "42"})
        first = Chain(before, {"APP_URL": at.url})
        second = first.under(policy(app, GUEST))
        for each in (first, second):
            found = await each.identify(shown(cookie="session=a"))
            assert isinstance(found, Person)
            assert found.user == "42"
        assert at.count == 1
        assert await first.identify(shown()) == NOBODY
        assert await second.identify(shown()) == Person(user="")
        assert first.shares(second)
        assert not first.shares(Chain(before, {"APP_URL": at.url}))
        await first.close()


@pytest.mark.parametrize("shows", [{}, {"authorization": "a"}, {"x_token": "b"}, {"authorization": "b"}])
async def test_with_keys_of_its_own_a_chain_knows_at_once_what_it_would_find_out(shows: Mapping[str, str]) -> None:
    headers = {name: f"Bearer {token(of)}" if name == "authorization" else token(of) for name, of in shows.items()}
    for identities in ((A, B), (B, A), (B, GUEST), (GUEST,)):
        links, credentials = chain(*identities), shown(FULL, **headers)
        found = chain(*identities).known(credentials)
        assert [await links.identify(credentials), links.known(credentials), await links.identify(credentials)] == [found] * 3


async def test_a_token_that_was_verified_is_known_at_once_whoever_published_its_key() -> None:
    async with serving(PUBLISHED, SESSION) as (app, links):
        bearer = shown(authorization="Bearer " + sign({"aud": "realtime"}, private("P-256"), "ES256", kid="one"))
        assert links.known(bearer) is None
        assert await links.identify(bearer) == links.known(bearer) == Person(user="42")
        assert await links.recall(bearer, "42") == Person(user="42")
        assert app.count == 1


async def test_a_token_behind_an_application_is_not_known_before_that_was_asked() -> None:
    async with serving(SESSION, B) as (app, links):
        both = shown(cookie="s=1", x_token=token("b"))
        for _ in range(2):
            assert links.known(both) is None
            assert getattr(await links.identify(both), "user", None) == "ada"
        assert app.count == 1


def test_what_waits_has_no_result_at_once() -> None:
    with pytest.raises(RuntimeError, match="it waits"):
        result(asyncio.sleep(0))


async def test_where_others_have_to_be_asked_nobody_is_known_at_once() -> None:
    for identity in (SESSION, PUBLISHED):
        async with serving(identity) as (app, links):
            assert links.known(shown(cookie="s=1")) is None
            assert app.count == 0
