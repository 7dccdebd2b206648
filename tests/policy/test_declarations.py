"""What a policy declares for the layers above, and what is found in its declarations."""

import pytest

from proxy.policy.declared import HttpIdentity, HttpSource, JwtIdentity, Place, PythonSource, SqlSource, Variable
from tests.policy.policies import findings, placed, policy

PLACES = "database d { url env D; } http h { base env H; } "
JWT = 'jwt from header "Authorization", cookie "Token", data "A.b"; issuer "me"; audience "us"; algorithms ES256, RS256; '


def test_a_variable_keeps_its_default() -> None:
    loaded = policy('database a { url env A default "sqlite://"; } database b { url env B; }')
    assert loaded.databases["a"].url == Variable(name="A", default="sqlite://")
    assert loaded.databases["b"].url == Variable(name="B", default=None)


def test_an_application_has_its_address_headers_and_patience() -> None:
    loaded = policy('http a { base env A; header "X-Key" env K; timeout 3s; } http b { base env B; }')
    assert loaded.remotes["a"].base == Variable(name="A")
    assert loaded.remotes["a"].headers == (("x-key", Variable(name="K")),)
    assert (loaded.remotes["a"].timeout_ms, loaded.remotes["b"].timeout_ms) == (3000, 1000)


def test_a_fact_is_cached_as_it_says() -> None:
    text = 'cache 10s negative 2s max 7; timeout 150ms; invalidate on "a:{u}", "b";'
    fact = policy(f'{PLACES}fact f(u: string) -> bool? {{ sql d "select x where u = :u"; {text} }}').facts["f"]
    assert (fact.ttl_ms, fact.negative_ms, fact.max_entries, fact.timeout_ms) == (10_000, 2000, 7, 150)
    assert (fact.parameters, fact.topics, fact.nullable) == (("u",), ("a:{u}", "b"), True)
    assert fact.source == SqlSource(database="d", query="select x where u = :u")


def test_a_fact_that_says_nothing_is_not_cached_but_bounded() -> None:
    facts = policy('fact f() -> bool { python "m:f"; } fact g() -> bool { python "m:g"; cache 9s; }').facts
    assert (facts["f"].ttl_ms, facts["f"].negative_ms, facts["f"].max_entries, facts["f"].timeout_ms) == (0, 0, 100_000, 200)
    assert (facts["f"].topics, facts["f"].nullable, facts["f"].source) == ((), False, PythonSource(target="m:f"))
    assert (facts["g"].ttl_ms, facts["g"].negative_ms) == (9000, 9000)


@pytest.mark.parametrize("pick", ["/a/b", None])
def test_a_fact_of_an_application_has_a_path_and_a_place_in_the_reply(pick: str | None) -> None:
    clause = f' pick "{pick}"' if pick else ""
    fact = policy(f'{PLACES}fact f(u: string) -> any {{ http h GET "/u/{{u}}"{clause}; }}').facts["f"]
    assert fact.source == HttpSource(remote="h", path="/u/{u}", pick=pick)
    assert fact.nullable


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("bad-fact", 'fact f(u: §any) -> bool { python "m:f"; }'),
        ("bad-fact", 'fact f(u: §any?) -> bool { python "m:f"; }'),
        ("bad-fact", 'fact f(u: §string?) -> bool { python "m:f"; }'),
        ("bad-fact", 'fact f(u: §double) -> bool { python "m:f"; }'),
        ("unknown-name", 'fact f(u: §strin) -> bool { python "m:f"; }'),
        ("bad-fact", "fact §f() -> bool { timeout 1s; }"),
        ("bad-fact", 'fact f() -> bool { python "m:f"; §python "m:g"; }'),
    ],
)
def test_a_mistake_in_a_fact_is_found_at_its_place(wanted: str, text: str) -> None:
    found = [f for f in placed(text) if not f.startswith(("unused-fact", "fact-without-timeout"))]
    assert found == [wanted]


def test_tokens_stand_where_the_identity_says() -> None:
    found = policy(f"identity i {{ {JWT} keys env K; user = claims.sub; }}").identities
    assert found == (
        JwtIdentity(
            name="i",
            places=(Place(kind="header", name="authorization"), Place(kind="cookie", name="Token"), Place(kind="data", name="A.b")),
            issuer="me",
            audience="us",
            algorithms=("ES256", "RS256"),
            keys=Variable(name="K"),
        ),
    )


def test_a_session_is_asked_for_with_the_headers_named() -> None:
    text = 'http h { base env H; } identity s { http h GET "/me" forward header "Cookie", "X-A"; user = reply.id; }'
    assert policy(text).identities == (HttpIdentity(name="s", remote="h", path="/me", forwards=("cookie", "x-a")),)


@pytest.mark.parametrize(
    "text",
    [
        "identity §i { user = claims.sub; }",
        "identity i { guest; §guest; }",
        f"identity i {{ {JWT} keys env K; §guest; user = claims.sub; }}",
        f"identity §i {{ {JWT} keys env K; }}",
        f'identity i {{ {JWT} keys jwks §"http://localhost.example.org/jwks"; user = claims.sub; }}',
        f'identity i {{ {JWT} keys jwks §"http://127.0.0.1.example.org/jwks"; user = claims.sub; }}',
    ],
)
def test_a_mistake_in_an_identity_is_found_at_its_place(text: str) -> None:
    assert placed(text) == ["bad-identity"]


def test_an_integer_may_name_the_user_but_no_other_kind() -> None:
    assert findings(f"identity i {{ {JWT} keys env K; user = int(claims.id); }}") == []
    assert placed(f"identity i {{ {JWT} keys env K; user = §double; }}") == ["unknown-name"]
    assert placed(f"identity i {{ {JWT} keys env K; user = §1.5; }}") == ["wrong-type"]
