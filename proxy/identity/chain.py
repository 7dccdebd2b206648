"""The chain of identities: the first that knows the credential decides who it is."""

import asyncio
import copy
import dataclasses
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Literal, TypeVar

from proxy.errors import FactFault
from proxy.identity.guest import GUEST
from proxy.identity.jwks import KeySet
from proxy.identity.jwt import Fixed, Keys, Tokens, issuer
from proxy.identity.keys import declared
from proxy.identity.session import Session
from proxy.policy.declared import HttpIdentity, Identity, JwtIdentity, Place
from proxy.policy.policy import Person, Policy, Seen
from proxy.stores.remote import Remote

T = TypeVar("T")


@dataclasses.dataclass(slots=True, kw_only=True)
class Credentials:
    """What a client shows: header names in lower case, the connect data, the client's name and version. Not frozen, as `Request`."""

    headers: Mapping[str, str]
    data: object = None
    name: str = ""
    version: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It is nobody, or nobody can say who it is; `detail` is for operators."""

    reason: Literal["no_identity", "fact_error"]
    detail: str = ""


NOBODY = Refusal(reason="no_identity")
"""What every credential gets that does not count, whatever is wrong with it."""


class Chain:
    """The identities of a policy, in order.

    A token that one of them knows and refuses ends the chain: a bad credential does not make a guest. An identity that cannot be asked
    ends it, too. `variables` hold keys and addresses, `clock` gives epoch seconds. Raises `SetupFault` for those that cannot be used.
    """

    def __init__(self, policy: Policy, variables: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._clock = clock
        links = [_link(identity, policy, variables, clock) for identity in policy.identities]
        self._links = [link for link in links if link]
        self._issuers = {link.issuer for link in self._links if isinstance(link, Tokens)}
        self._alone = all(isinstance(link, Tokens) and isinstance(link.keys, Fixed) for link in self._links)

    def under(self, policy: Policy) -> "Chain":
        """The same chain for a policy that declares the same identities and applications: it keeps its keys and connections."""
        other = copy.copy(self)
        other._policy = policy  # noqa: SLF001 - a copy of its own
        return other

    def shares(self, other: "Chain") -> bool:
        """Whether closing one closes the other."""
        return self._links is other._links  # noqa: SLF001 - of the same kind

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        """Who it is. The guest is a person with the user `""`; without a guest identity, no credential is a refusal."""
        found = self._recalled(credentials) or (await self._ask(credentials))[0]
        return found or (GUEST if self._policy.guests else NOBODY)

    def known(self, credentials: Credentials) -> Person | Refusal | None:
        """Who it is, as `identify` says, None where somebody may have to be asked; never waits."""
        return self._recalled(credentials) or (result(self.identify(credentials)) if self._alone else None)

    async def recall(self, credentials: Credentials, user: str) -> Person | Refusal | None:
        """Who it is now whom a connection was granted to as `user`; None when nothing is shown that could say it.

        Sessions that the application no longer knows refuse everybody but a guest.
        """
        if known := self._recalled(credentials):
            return known
        found, asked = await self._ask(credentials)
        return found or (NOBODY if asked and user else None)

    async def probe(self) -> Mapping[str, str]:
        """What is wrong with each identity that asks others, by its name; `""` for nothing."""
        troubles = await asyncio.gather(*(_probe(link) for link in self._links))
        return {link.name: trouble for link, trouble in zip(self._links, troubles, strict=True)}

    async def close(self) -> None:
        """End what is in flight and close all connections."""
        await asyncio.gather(*(link.keys.close() if isinstance(link, Tokens) else link.close() for link in self._links))

    def _recalled(self, credentials: Credentials) -> Person | Refusal | None:
        """Who it is by the first token that is shown, if that was verified before."""
        for link in self._links:
            if not isinstance(link, Tokens):
                return None
            for place in link.places:
                if token := find(place, credentials):
                    claims = link.recalled(token)
                    return None if claims is None else self._person(link.name, claims, credentials)
        return None

    async def _ask(self, credentials: Credentials) -> tuple[Person | Refusal | None, bool]:
        """Who it is, None if no identity knows; and whether an application was asked that did not know."""
        asked = False
        try:
            for link in self._links:
                if isinstance(link, Tokens):
                    found = await self._bearer(link, credentials)
                elif answer := await link.ask(credentials.headers):
                    asked = True
                    found = self._person(link.name, answer.reply, credentials) if answer.known else None
                else:
                    found = None
                if found:
                    return found, asked
        except FactFault as fault:
            return Refusal(reason="fact_error", detail=str(fault)), asked
        return None, asked

    async def _bearer(self, tokens: Tokens, credentials: Credentials) -> Person | Refusal | None:
        for place in tokens.places:
            if token := find(place, credentials):
                said = issuer(token)
                if said == tokens.issuer:
                    claims = await tokens.claims(token)
                    return NOBODY if claims is None else self._person(tokens.name, claims, credentials)
                if said not in self._issuers:
                    return NOBODY
        return None

    def _person(self, name: str, source: object, credentials: Credentials) -> Person | Refusal:
        seen = Seen(source=source, headers=credentials.headers, data=credentials.data, name=credentials.name, version=credentials.version)
        person = self._policy.person(name, seen)
        if person is None or (person.expires_at is not None and person.expires_at <= self._clock()):
            return NOBODY
        return person


def result(work: Coroutine[object, None, T]) -> T:
    """What is the result of something that does not wait; raises `RuntimeError` for what does, and ends it."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    work.close()
    raise RuntimeError("it waits")


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


def _link(identity: Identity, policy: Policy, variables: Mapping[str, str], clock: Callable[[], float]) -> Tokens | Session | None:
    if isinstance(identity, HttpIdentity):
        return Session(identity, Remote(policy.remotes[identity.remote], variables))
    if isinstance(identity, JwtIdentity):
        return Tokens(identity, _keys(identity, variables), clock)
    return None


def _keys(identity: JwtIdentity, variables: Mapping[str, str]) -> Keys:
    if isinstance(identity.keys, str):
        return KeySet(identity.name, identity.keys, identity.algorithms)
    return Fixed(declared(identity, identity.keys, variables))


async def _probe(link: Tokens | Session) -> str:
    try:
        await (link.keys.probe() if isinstance(link, Tokens) else link.remote.reach())
    except FactFault as fault:
        return str(fault)
    return ""
