import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.policy.decision import Allow
from proxy.policy.policy import Person
from proxy.settings import Algorithm
from proxy.tokens.keys import Key, read
from proxy.tokens.mint import Minter
from proxy.tokens.verify import verify
from tests.tokens.live import CHANNEL, Proof, Server, Service, said, written
from tests.tokens.samples import ASYMMETRIC, KEY, KINDS, key, pem, public

FAMILIES = {"secret": "hmac_secret_key", "RSA": "rsa_public_key"}
PERSON = Person(user="42", meta={"roles": ["x"]}, info={"name": "Ada"})
STATIC = [algorithm for algorithm in KINDS if algorithm != "EdDSA"]
CHOSEN: list[Algorithm] = ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]

pytestmark = [pytest.mark.live, pytest.mark.parametrize("version", ["6.9.1", "5.4.9"])]


def static(algorithm: Algorithm) -> Proof:
    """The key as it stands in Centrifugo's configuration."""
    kind = KINDS[algorithm]
    return {FAMILIES.get(kind, "ecdsa_public_key"): KEY if kind == "secret" else public(kind)}


def minter(signing: Key | None = None, age_s: int = 0) -> Minter:
    return Minter(signing or key(), 600, 60, lambda: (int(time.time()) - age_s) * 1000)


def allow(**given: object) -> Allow:
    return Allow(rule="r", at="a:1", revision="1", facts={}, **given)  # type: ignore[arg-type]  # fields by name


def accepted(version: str, config: Path, signing: Key) -> None:
    """Centrifugo's own checkers accept both kinds of tokens."""
    channels = {CHANNEL: allow(info={"role": "editor"}, data=[1]), "notifications#42": allow()}
    full = minter(signing).connection(PERSON, allow(channels=channels, expire_ms=3_600_000, jitter=10)).token
    code, told = said(version, config, "checktoken", full)
    assert (code, "valid token for user 42" in told, '"roles"' in told, '"role"' in told) == (0, True, True, True), told
    decided = allow(info={"role": "editor"}, data={"x": 1}, expire_ms=300_000)
    code, told = said(version, config, "checksubtoken", minter(signing).subscription("42", CHANNEL, decided).token)
    assert (code, "valid subscription token for user" in told, CHANNEL in told) == (0, True, True), told


@pytest.mark.parametrize("algorithm", STATIC)
def test_centrifugo_accepts_tokens_with_the_key_in_its_configuration(version: str, algorithm: Algorithm, tmp_path: Path) -> None:
    accepted(version, written(version, tmp_path, static(algorithm)), key(algorithm))


def test_centrifugo_accepts_the_token_of_a_guest(version: str, tmp_path: Path) -> None:
    config = written(version, tmp_path, static("HS256"))
    code, told = said(version, config, "checktoken", minter().connection(Person(user=""), allow()).token)
    assert (code, "valid token" in told) == (0, True), told


def test_centrifugo_refuses_what_is_over_forged_or_of_the_other_kind(version: str, tmp_path: Path) -> None:
    config, other = written(version, tmp_path, static("HS256")), read("K", "o" * 32)
    for command, token in (
        ("checktoken", minter(age_s=700).connection(PERSON, allow()).token),
        ("checktoken", minter(other).connection(PERSON, allow()).token),
        ("checktoken", minter().subscription("42", CHANNEL, allow()).token),
        ("checksubtoken", minter(age_s=70).subscription("42", CHANNEL, allow()).token),
        ("checksubtoken", minter().connection(PERSON, allow()).token),
    ):
        assert said(version, config, command, token)[0] == 1


def test_what_centrifugo_generates_is_verified(version: str, tmp_path: Path) -> None:
    config, keys = written(version, tmp_path, static("HS256")), [read("A", "o" * 32), read("B", KEY)]
    code, token = said(version, config, "gentoken", "-u", "42", "-t", "60", "-q")
    found = verify(token.strip(), keys, time.time())
    assert (code, found.trouble, found.key, found.channel, found.claims["sub"]) == (0, None, "B", "", "42")
    assert verify(token.strip(), keys, time.time() + 61).trouble == "it has expired"
    assert verify(token.strip(), keys[:1], time.time()).trouble == "no key here has signed it"
    code, token = said(version, config, "gensubtoken", "-u", "42", "-s", CHANNEL, "-t", "-1", "-q")
    found = verify(token.strip(), keys, time.time())
    assert (code, found.trouble, found.channel, "exp" in found.claims) == (0, None, CHANNEL, False)


class TestKeySet:
    @pytest.fixture
    async def service(self) -> AsyncIterator[Service]:
        async with Service(token_key=pem("Ed25519")).running() as service:
            yield service

    @pytest.mark.parametrize("algorithm", ASYMMETRIC)
    async def test_centrifugo_accepts_tokens_through_the_key_set(
        self, version: str, algorithm: Algorithm, service: Service, tmp_path: Path
    ) -> None:
        service.restart(token_key=pem(KINDS[algorithm]), token_algorithm=algorithm)
        proof = {"jwks_public_endpoint": f"{service.url}/.well-known/jwks.json"}
        async with Server.running(version, tmp_path, proof) as server:
            assert await server.outcome(await service.token(), await service.token(CHANNEL)) == "subscribed"
            assert service.fetched == 1
            strange = minter(read("K", pem("other P-256")))
            assert await server.outcome(strange.connection(PERSON, allow()).token) == 3500
            assert await server.outcome(await service.token(), strange.subscription("42", CHANNEL, allow()).token) == 103

    async def test_a_rotation_that_publishes_first_refuses_nobody(self, version: str, service: Service, tmp_path: Path) -> None:
        old, new = pem("RSA"), pem("P-256")
        service.restart(token_key=old)
        proof = {"jwks_public_endpoint": f"{service.url}/.well-known/jwks.json"}
        async with Server.running(version, tmp_path, proof) as server:
            first = await service.token()
            assert await server.outcome(first) == "connected"
            service.restart(token_key=old, token_previous_key=new)
            assert await server.outcome(await service.token()) == "connected"
            # Replicas are restarted one after the other: this one signs with the new key while another publishes.
            ahead = minter(read("K", new)).connection(PERSON, allow()).token
            assert await server.outcome(ahead) == "connected"
            service.restart(token_key=new, token_previous_key=old)
            second = await service.token()
            assert [await server.outcome(token) for token in (first, second)] == ["connected", "connected"]
            service.restart(token_key=new)
            assert await server.outcome(second) == "connected"
            # Centrifugo remembers a key for an hour after its last use: one that has leaked is gone only when it starts anew.
            assert await server.outcome(first) == "connected"
        async with Server.running(version, tmp_path, proof) as server:
            assert [await server.outcome(token) for token in (first, second)] == [3500, "connected"]

    async def test_a_key_that_signs_before_it_is_published_ends_clients(self, version: str, service: Service, tmp_path: Path) -> None:
        proof = {"jwks_public_endpoint": f"{service.url}/.well-known/jwks.json"}
        async with Server.running(version, tmp_path, proof) as server:
            early = minter(read("K", pem("P-256"))).connection(PERSON, allow()).token
            assert await server.outcome(early) == 3500
            service.restart(token_key=pem("Ed25519"), token_previous_key=pem("P-256"))
            # That it was unknown is not remembered.
            assert await server.outcome(early) == "connected"

    async def test_a_secret_is_no_part_of_the_key_set(self, version: str, service: Service, tmp_path: Path) -> None:
        service.restart(token_key=KEY)
        proof = {"jwks_public_endpoint": f"{service.url}/.well-known/jwks.json", **static("HS256")}
        async with Server.running(version, tmp_path, proof) as server:
            assert await server.outcome(await service.token()) == 3500


@pytest.mark.parametrize("algorithm", CHOSEN[:-1])
async def test_clients_connect_and_subscribe_with_what_the_endpoints_give(version: str, algorithm: Algorithm, tmp_path: Path) -> None:
    chosen = {"token_key": pem(KINDS[algorithm]), "token_algorithm": algorithm}
    async with Service(**chosen).running() as service, Server.running(version, tmp_path, static(algorithm)) as server:
        assert await server.outcome(await service.token(), await service.token(CHANNEL)) == "subscribed"


async def test_a_secret_gives_way_to_a_private_key_without_a_key_set(version: str, tmp_path: Path) -> None:
    proof = static("HS256") | static("ES256")
    async with Service(token_key=KEY).running() as service, Server.running(version, tmp_path, proof) as server:
        before = await service.token()
        service.restart(token_key=pem("P-256"), token_previous_key=KEY)
        assert [await server.outcome(token) for token in (before, await service.token())] == ["connected", "connected"]


def test_a_key_set_is_read_from_a_configuration(version: str, tmp_path: Path) -> None:
    """The names that the pages give are those of the version."""
    proof = {"jwks_public_endpoint": "http://127.0.0.1:8010/.well-known/jwks.json"}
    assert said(version, written(version, tmp_path, proof), "checkconfig")[0] == 0
