"""From a policy's declarations to its facts: what loads which, and from where."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from proxy.errors import SetupFault
from proxy.facts import sql
from proxy.facts.cache import Facts, Loader
from proxy.facts.database import Database
from proxy.facts.http import Remote, Resource
from proxy.facts.lane import WIDTH
from proxy.facts.python import Function
from proxy.policy import declared
from proxy.policy.declared import Fact, HttpSource, SqlSource


class Declarations(Protocol):
    """What a policy says about facts."""

    @property
    def databases(self) -> Mapping[str, declared.Database]:
        """Databases by name."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """Facts by name."""


def build(policy: Declarations, variables: Mapping[str, str], remotes: Mapping[str, Remote] = {}) -> Facts:
    """The facts of `policy`, with the databases that `variables` (the environment) point to; connects to nothing yet.

    `remotes` are the policy's HTTP applications by name, which are for others to close. Raises `SetupFault` for a missing variable, an
    unusable URL, a function that cannot be imported and a database that cannot listen.
    """
    asked = {name: {fact.name for fact in policy.facts.values() if _database(fact) == name} for name in policy.databases}
    databases = {}
    for name, database in policy.databases.items():
        longest = max((policy.facts[fact].timeout_ms for fact in asked[name]), default=1)
        databases[name] = Database(name, _url(database, variables), longest)
    turns = {name: asyncio.Semaphore(WIDTH) for name in remotes}

    def loader(fact: Fact) -> Loader:
        source = fact.source
        if isinstance(source, SqlSource):
            return sql.loader(fact, source.query, databases[source.database])
        if isinstance(source, HttpSource):
            return Resource(fact, source, remotes[source.remote], turns[source.remote])
        return Function(fact, source)

    listening = ((databases[name], each.listen, frozenset(asked[name])) for name, each in policy.databases.items())
    return Facts(
        policy.facts,
        {name: loader(fact) for name, fact in policy.facts.items()},
        tuple(databases.values()),
        [database.listener(channel, facts) for database, channel, facts in listening if channel],
    )


def _database(fact: Fact) -> str | None:
    return fact.source.database if isinstance(fact.source, SqlSource) else None


def _url(database: declared.Database, variables: Mapping[str, str]) -> str:
    url = variables.get(database.url.name) or database.url.default
    if not url:
        raise SetupFault(
            f"the policy's database {database.name} needs the environment variable {database.url.name}: "
            "set it to a URL such as sqlite:///path/to/file or postgresql://user:password@host/name"
        )
    return url
