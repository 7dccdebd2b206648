"""Checks a whole policy set: every finding at once, and the plans when there is no error."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from proxy.policy.checking import declare, identify, lint
from proxy.policy.checking.blocks import Blocks
from proxy.policy.checking.ground import Ground
from proxy.policy.checking.invariants import claims
from proxy.policy.checking.plan import Claim, PersonPlan, Plans
from proxy.policy.checking.world import Book
from proxy.policy.declared import Database, Fact, GuestIdentity, Identity, Logging, Remote, Service
from proxy.policy.names import HIDDEN
from proxy.policy.reading import clauses, statements
from proxy.policy.types import Record

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A checked policy set."""

    databases: Mapping[str, Database]
    remotes: Mapping[str, Remote]
    facts: Mapping[str, Fact]
    identities: tuple[Identity, ...]
    services: Mapping[str, Service]
    logging: Logging
    meta: Record | None
    plans: Plans
    claims: tuple[Claim, ...]


class Checker:
    """One pass over the statements of a policy set, in the order in which they depend on each other."""

    def __init__(self, nodes: Sequence[statements.Statement], files: Mapping[str, bytes], book: Book) -> None:
        self.ground, self.nodes, self.book = Ground(nodes, files, book), nodes, book

    def check(self) -> Set:
        """The checked set; it can be used only if the book holds no error."""
        databases = self.ground.named(statements.Database, "database")
        remotes = self.ground.named(statements.Http, "http")
        meta = self._meta()
        facts = self._facts(databases, remotes)
        self.ground.lay()
        identities, people = self._identities(remotes, meta)
        blocks = Blocks(self.ground, guests=any(isinstance(i, GuestIdentity) for i in identities))
        channels, connect, rpcs = blocks.channels(), blocks.connect(), blocks.rpcs(remotes)
        services, methods = blocks.services()
        claimed = claims(self.ground, services)
        lint.unused(self.book.bindings, facts, self.book)
        return Set(
            databases={n: declare.database(d, self.book) for n, d in databases.items()},
            remotes={n: declare.remote(r, self.book) for n, r in remotes.items()},
            facts={f.name: f for _, f in facts},
            identities=identities,
            services=services,
            logging=self._logging(),
            meta=meta,
            plans=Plans(channels=channels, connect=connect, rpcs=rpcs, services=methods, people=people),
            claims=claimed,
        )

    def _meta(self) -> Record | None:
        node = declare.single(statements.Meta, self.nodes, self.book)
        if node is None:
            return None
        record = declare.record(node.fields, self.book)
        self.ground.types["meta"] = record
        return record

    def _facts(self, databases: Iterable[str], remotes: Iterable[str]) -> list[tuple[statements.Fact, Fact]]:
        nodes = self.ground.all(statements.Fact)
        declare.unique([n.name for n in nodes], self.book, "fact", HIDDEN)
        out = []
        for node in nodes:
            self.book.parameters[node.name.text] = declare.parameters(node, self.book)
            self.book.facts[node.name.text] = declare.fact(node, self.book, databases, remotes)
            out.append((node, self.book.facts[node.name.text]))
        return out

    def _identities(self, remotes: Iterable[str], meta: Record | None) -> tuple[tuple[Identity, ...], dict[str, PersonPlan]]:
        nodes = self.ground.all(statements.Identity)
        declare.unique([n.name for n in nodes], self.book, "identity")
        identify.order(nodes, self.book)
        checked = [identify.identity(n, self.book, remotes, meta) for n in nodes]
        return tuple(i for i, _ in checked), {i.name: plan for i, plan in checked}

    def _logging(self) -> Logging:
        node = declare.single(statements.Log, self.nodes, self.book)
        found = node.clauses if node else ()
        sample = declare.single(clauses.Sample, found, self.book)
        paths = [path for c in found if isinstance(c, clauses.Mask) for path in c.paths]
        return Logging(mask=tuple(tuple(w.text for w in path) for path in paths), sample=sample.percent if sample else 100.0)
