"""From a policy's declarations to its facts: which loader reads which database."""

from collections.abc import Mapping
from typing import Protocol

from proxy.errors import SetupFault
from proxy.facts.cache import Facts
from proxy.facts.sql import Database, Query
from proxy.policy import declared


class Declarations(Protocol):
    """What a policy says about facts."""

    @property
    def databases(self) -> Mapping[str, declared.Database]:
        """Databases by name."""

    @property
    def facts(self) -> Mapping[str, declared.Fact]:
        """Facts by name."""


def build(policy: Declarations, variables: Mapping[str, str]) -> Facts:
    """The facts of `policy`, with the databases that `variables` (the environment) point to; connects to nothing yet.

    Raises `SetupFault` for a missing variable, an unusable URL and a kind of source that cannot be loaded yet.
    """
    databases = {name: Database(name, _url(database, variables)) for name, database in policy.databases.items()}
    loaders = {name: _loader(fact, databases) for name, fact in policy.facts.items()}
    return Facts(policy.facts, loaders, tuple(databases.values()))


def _url(database: declared.Database, variables: Mapping[str, str]) -> str:
    url = variables.get(database.url.name) or database.url.default
    if not url:
        raise SetupFault(
            f"the policy's database {database.name} needs the environment variable {database.url.name}: "
            "set it to a URL such as sqlite:///path/to/file"
        )
    return url


def _loader(fact: declared.Fact, databases: Mapping[str, Database]) -> Query:
    source = fact.source
    if isinstance(source, declared.SqlSource):
        return Query(fact, source.query, databases[source.database])
    kind = "http" if isinstance(source, declared.HttpSource) else "python"
    raise SetupFault(f"the policy's fact {fact.name} comes from {kind}, which is not supported yet: use sql")
