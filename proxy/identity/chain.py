"""The chain of identities: the first that knows the credential decides who it is."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Literal

from proxy.errors import SetupFault
from proxy.identity.guest import GUEST
from proxy.identity.jwt import Claims, Tokens, issuer
from proxy.policy.declared import GuestIdentity, HttpIdentity, Identity, Place
from proxy.policy.policy import Person, Policy, Seen


@dataclasses.dataclass(slots=True, kw_only=True)
class Credentials:
    """What a client shows: header names in lower case, the connect data, the client's name and version. Not frozen, as `Request`."""

    headers: Mapping[str, str]
    data: object = None
    name: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It is nobody, or nobody can say who it is."""

    reason: Literal["no_identity", "fact_error"]


NOBODY = Refusal(reason="no_identity")


class Chain:
    """The identities of a policy, in order.

    A token that one of them knows and refuses ends the chain: a bad credential does not make a guest. `clock` gives epoch seconds.
    Raises `SetupFault` for keys that cannot be used and for kinds of identities that are not supported yet.
    """

    def __init__(self, policy: Policy, secrets: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._clock = clock
        self._links = [_tokens(identity, secrets, clock) for identity in policy.identities]
        self._issuers = {tokens.issuer for tokens in self._links if tokens}

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        """Who it is. The guest is a person with the user `""`; without a guest identity, no credential is a refusal."""
        for tokens in self._links:
            found = self._bearer(tokens, credentials) if tokens else GUEST
            if found is not None:
                return found
        return NOBODY

    def _bearer(self, tokens: Tokens, credentials: Credentials) -> Person | Refusal | None:
        for place in tokens.places:
            if token := find(place, credentials):
                said = issuer(token)
                if said == tokens.issuer:
                    return self._person(tokens.name, tokens.claims(token), credentials)
                if said not in self._issuers:
                    return NOBODY
        return None

    def _person(self, name: str, claims: Claims | None, credentials: Credentials) -> Person | Refusal:
        if claims is None:
            return NOBODY
        seen = Seen(source=claims, headers=credentials.headers, data=credentials.data, name=credentials.name, version=credentials.version)
        person = self._policy.person(name, seen)
        if person is None or (person.expires_at is not None and person.expires_at <= self._clock()):
            return NOBODY
        return person


def find(place: Place, credentials: Credentials) -> str:
    """The token that stands in `place`, or `""`; of two cookies of one name the first counts, as the more specific (RFC 6265 §5.4)."""
    if place.kind == "header":
        return _header(place.name, credentials.headers.get(place.name, ""))
    if place.kind == "cookie":
        return _cookie(place.name, credentials.headers.get("cookie", ""))
    return _datum(place.name, credentials.data)


def _header(name: str, value: str) -> str:
    if name != "authorization":
        return value
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(wanted: str, header: str) -> str:
    for pair in header.split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == wanted:
            return value.strip().strip('"')
    return ""


def _datum(path: str, data: object) -> str:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, str) else ""


def _tokens(identity: Identity, secrets: Mapping[str, str], clock: Callable[[], float]) -> Tokens | None:
    if isinstance(identity, HttpIdentity):
        raise SetupFault(f"the policy's identity {identity.name} asks over http, which is not supported yet: use jwt or guest")
    return None if isinstance(identity, GuestIdentity) else Tokens(identity, secrets, clock)
