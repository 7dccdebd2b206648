"""What a policy names outside of itself: each is tried, and what is wrong is said where it is named."""

import asyncio
import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from proxy.errors import FactFault, SetupFault
from proxy.facts import sources
from proxy.gateway.keys import Keys
from proxy.identity.chain import Chain
from proxy.policy.declared import Database, Fact, HttpIdentity, PythonSource, SqlSource
from proxy.policy.findings import Finding, Position
from proxy.policy.policy import Policy
from proxy.policy.reading import statements
from proxy.policy.reading.parse import parse_file
from proxy.stores.remote import Remote

UNUSABLE: Final = "unusable"
"""A variable is missing, or its value cannot be used."""
UNREACHABLE: Final = "unreachable"
"""Nothing answers, or what answers is no use."""
BAD_QUERY: Final = "bad-query"
"""The database does not understand a query, or its columns do not suit the type."""

_NAMED: Final = (statements.Database, statements.Http, statements.Identity, statements.Fact, statements.Service)

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some of a policy's facts and databases."""

    databases: Mapping[str, Database]
    facts: Mapping[str, Fact]


async def tried(policy: Policy, files: Mapping[str, bytes], variables: Mapping[str, str]) -> Sequence[Finding]:
    """What does not work of what the policy names, with the values of `variables`; `files` are those that the policy was loaded from.

    Databases are connected to and every query is prepared, nothing is read; applications and key sets are asked; functions are imported
    and not called. It takes as long as the slowest, a few seconds at most.
    """
    survey = _Survey(policy, files, variables)
    databases = (survey.database(each) for each in policy.databases.values())
    remotes = (survey.remote(name) for name in policy.remotes)
    await asyncio.gather(*databases, *remotes, survey.identities())
    survey.functions()
    survey.services()
    return survey.findings


class _Survey:
    def __init__(self, policy: Policy, files: Mapping[str, bytes], variables: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._policy, self._variables = policy, variables
        self._places = _places(files)

    async def database(self, database: Database) -> None:
        """Connect, and let the database prepare the query of each of its facts."""
        place = ("database", database.name)
        own = {fact.name: fact for fact in self._policy.facts.values() if _database(fact) == database.name}
        part = _Part(databases={database.name: database}, facts=own)
        facts = self._built(place, partial(sources.build, part, self._variables))
        if facts is None:
            return
        try:
            await facts.ping()
            for name, trouble in (await facts.probe()).items():
                if trouble:
                    self._find(
                        BAD_QUERY, ("fact", name), trouble, "correct the query, or the type: a record is read from columns of its names"
                    )
        except FactFault as fault:
            self._find(UNREACHABLE, place, str(fault), f"start it, or correct the variable {database.url.name}")
        finally:
            await facts.close()

    async def remote(self, name: str) -> None:
        """Ask an application at its base address; any answer will do."""
        declared = self._policy.remotes[name]
        remote = self._built(("http", name), partial(Remote, declared, self._variables))
        if remote is None:
            return
        try:
            await remote.reach()
        except FactFault as fault:
            self._find(UNREACHABLE, ("http", name), str(fault), f"start it, or correct the variable {declared.base.name}")
        finally:
            await remote.close()

    async def identities(self) -> None:
        """Read the keys of identities, and fetch those that stand elsewhere."""
        for identity in self._policy.identities:
            if isinstance(identity, HttpIdentity):
                continue  # its application is tried as such
            alone = copy.copy(self._policy)
            alone.identities = (identity,)
            place = ("identity", identity.name)
            chain = self._built(place, partial(Chain, alone, self._variables))
            if chain is None:
                continue
            trouble = (await chain.probe()).get(identity.name)
            if trouble:
                self._find(UNREACHABLE, place, trouble, "start what serves the keys, or correct their address")
            await chain.close()

    def functions(self) -> None:
        """Import what facts are computed by."""
        for fact in self._policy.facts.values():
            if isinstance(fact.source, PythonSource):
                part = _Part(databases={}, facts={fact.name: fact})
                self._built(("fact", fact.name), partial(sources.build, part, {}))

    def services(self) -> None:
        """Read the keys of services, which may not be shared."""
        services = self._policy.services.values()
        before = len(self.findings)
        for service in services:
            self._built(("service", service.name), partial(Keys, [service], self._variables))
        if services and len(self.findings) == before:
            self._built(("service", next(iter(services)).name), partial(Keys, services, self._variables))

    def _built(self, place: tuple[str, str], build: Callable[[], T]) -> T | None:
        try:
            return build()
        except SetupFault as fault:
            self._find(UNUSABLE, place, str(fault), "")
            return None

    def _find(self, id_: str, place: tuple[str, str], message: str, hint: str) -> None:
        self.findings.append(Finding(id=id_, at=self._places[place], message=message, hint=hint))


def _places(files: Mapping[str, bytes]) -> Mapping[tuple[str, str], Position]:
    """Where the files name what, by kind and name."""
    names = [name for name in files if name.endswith(".policy") and not name.endswith(".test.policy")]
    every = [statement for name in names for statement in parse_file(name, files[name].decode())[0].statements]
    return {(type(each).__name__.lower(), each.name.text): each.name.at for each in every if isinstance(each, _NAMED)}


def _database(fact: Fact) -> str | None:
    return fact.source.database if isinstance(fact.source, SqlSource) else None
