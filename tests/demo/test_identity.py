import jwt

from proxy.demo.data import ANN
from proxy.demo.identity import AUDIENCE, ISSUER, LIFETIME, Provider
from proxy.identity.chain import Chain, Credentials
from proxy.policy.policy import Person
from tests.demo.policies import demo


def test_a_token_says_who_it_is_and_how_long() -> None:
    provider = Provider(clock=lambda: 1_000.9)
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(provider.token(ANN), provider.key, ["ES256"], audience=AUDIENCE, issuer=ISSUER, options=options)  # type: ignore[arg-type]  # as documented
    assert claims == {"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "name": "Ann", "iat": 1_000, "exp": 1_000 + LIFETIME}


async def test_the_demo_policy_knows_who_signed_in_by_cookie() -> None:
    provider = Provider()
    chain = Chain(demo(), {"DEMO_IDENTITY_KEY": provider.key})
    person = await chain.identify(Credentials(headers={"cookie": f"centrigate_demo={provider.token(ANN)}"}))
    assert isinstance(person, Person)
    assert (person.user, person.info) == ("42", {"name": "Ann"})


async def test_a_token_of_another_run_is_worth_nothing() -> None:
    chain = Chain(demo(), {"DEMO_IDENTITY_KEY": Provider().key})
    found = await chain.identify(Credentials(headers={"cookie": f"centrigate_demo={Provider().token(ANN)}"}))
    assert not isinstance(found, Person)
