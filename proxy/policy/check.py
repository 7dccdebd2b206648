"""Checks a whole policy set: every finding at once, and the plans when there is no error."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from proxy.policy import clauses, declare, identify, lint, statements
from proxy.policy.allows import operations
from proxy.policy.blocks import Blocks
from proxy.policy.decision import OPERATIONS, REASONS
from proxy.policy.declared import Database, Fact, Identity, Logging, Remote, Service
from proxy.policy.findings import Position
from proxy.policy.flow import NOTHING, Known, learn
from proxy.policy.infer import condition, infer
from proxy.policy.names import BUILTINS, HIDDEN, HOOKS
from proxy.policy.plan import DenyPlan, PersonPlan, Plans
from proxy.policy.syntax import Text, Word
from proxy.policy.types import Record, Type
from proxy.policy.world import Binding, Book, Code, Scope

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A checked deny: its plan, its operations and what it proves when it does not hold."""

    plan: DenyPlan
    operations: frozenset[str]
    known: Known


class Checker:
    """One pass over the statements of a policy set, in the order in which they depend on each other."""

    def __init__(self, nodes: Sequence[statements.Statement], files: Mapping[str, bytes], book: Book) -> None:
        self.nodes, self.files, self.book = nodes, files, book
        self.types: dict[str, Type] = {}
        self.lets: dict[str, Binding] = {}
        self.guards: list[Guard] = []

    def all(self, kind: type[T]) -> list[T]:
        """The statements of one kind, in order."""
        return [n for n in self.nodes if isinstance(n, kind)]

    def check(self) -> Set:
        """The checked set; it can be used only if the book holds no error."""
        databases = self._named(statements.Database, "database")
        remotes = self._named(statements.Http, "http")
        meta = self._meta()
        facts = self._facts(databases, remotes)
        self._lets(self.all(statements.Let), self.lets, {})
        self._denies(self.all(statements.Deny), HOOKS, "deny", self.guards, self.lets, {})
        identities, people = self._identities(remotes, meta)
        blocks = Blocks(self, guests=any(type(i).__name__ == "GuestIdentity" for i in identities))
        channels, connect, rpcs = blocks.channels(), blocks.connect(), blocks.rpcs(remotes)
        services, methods = blocks.services()
        lint.unused(self.book.bindings, facts, self.book)
        return Set(
            databases={n: declare.database(d, self.book) for n, d in databases.items()},
            remotes={n: declare.remote(r, self.book) for n, r in remotes.items()},
            facts={f.name: f for _, f in facts},
            identities=identities,
            services=services,
            logging=self._logging(),
            meta=meta,
            plans=Plans(channels=channels, connect=connect, rpcs=rpcs, services=methods, people=people, lets=len(self.book.bindings)),
        )

    def _named(self, kind: type[T], word: str) -> dict[str, T]:
        found: dict[str, T] = {}
        declare.unique([n.name for n in self.all(kind)], (), self.book, word)  # type: ignore[attr-defined]  # kinds with a name
        for node in self.all(kind):
            found.setdefault(node.name.text, node)  # type: ignore[attr-defined]  # likewise
        return found

    def _meta(self) -> Record | None:
        node = declare.single(statements.Meta, self.nodes, self.book)
        if node is None:
            return None
        record = declare.record(node.fields, self.book)
        self.types["meta"] = record
        return record

    def _facts(self, databases: Iterable[str], remotes: Iterable[str]) -> list[tuple[statements.Fact, Fact]]:
        nodes = self.all(statements.Fact)
        declare.unique([n.name for n in nodes], HIDDEN, self.book, "fact")
        out = []
        for node in nodes:
            self.book.parameters[node.name.text] = declare.parameters(node, self.book)
            self.book.facts[node.name.text] = declare.fact(node, self.book, databases, remotes)
            out.append((node, self.book.facts[node.name.text]))
        return out

    def _lets(self, nodes: Iterable[statements.Let], lets: dict[str, Binding], types: Mapping[str, Type]) -> None:
        for node in nodes:
            self._hides_nothing(node.name, lets)
            scope = Scope(where=frozenset(), types={**self.types, **types}, lets=lets, block="vars" in types)
            value = infer(node.value, self.book, scope)
            where = frozenset.intersection(
                frozenset(BUILTINS["timestamp_ms"].where),
                *(BUILTINS[name].where for name in value.uses.names),
            )
            binding = Binding(name=node.name.text, at=node.name.at, slot=len(self.book.bindings), value=value, where=where)
            self.book.bindings.append(binding)
            lets[node.name.text] = binding

    def _hides_nothing(self, name: Word, lets: Iterable[str]) -> None:
        declare.unique([name], {*HIDDEN, *lets, *self.book.parameters}, self.book, "let")

    def block(self, nodes: Sequence[object], types: Mapping[str, Type], prefix: str) -> tuple[dict[str, Binding], list[Guard]]:
        """The lets and denies of a channel or rpc block, with those of the top level before them."""
        lets, guards = dict(self.lets), list(self.guards)
        self._lets([n for n in nodes if isinstance(n, statements.Let)], lets, types)
        denies = [n for n in nodes if isinstance(n, statements.Deny)]
        self._denies(denies, OPERATIONS, prefix, guards, lets, types)
        return lets, guards

    def _denies(
        self,
        nodes: Iterable[statements.Deny],
        allowed: Sequence[str],
        prefix: str,
        guards: list[Guard],
        lets: Mapping[str, Binding],
        types: Mapping[str, Type],
    ) -> None:
        seen: set[str] = set()
        for node in nodes:
            declare.unique([node.name], {*REASONS, *seen}, self.book, "deny")
            seen.add(node.name.text)
            where = frozenset(operations(node.operations, allowed, self.book) if node.operations else allowed)
            scope = Scope(where=where, types={**self.types, **types}, lets=lets, block="vars" in types)
            before = NOTHING.union(*(g.known for g in guards if where <= g.operations))
            when = condition(node.when, self.book, scope, before)
            lint.deny(node, when.uses.names, when.uses.facts, self.book)
            guards.append(_guard(node, when, where, f"{prefix}/{node.name.text}"))

    def _identities(self, remotes: Iterable[str], meta: Record | None) -> tuple[tuple[Identity, ...], dict[str, PersonPlan]]:
        nodes = self.all(statements.Identity)
        declare.unique([n.name for n in nodes], (), self.book, "identity")
        identify.order(nodes, self.book)
        checked = [identify.identity(n, self.book, remotes, meta) for n in nodes]
        return tuple(i for i, _ in checked), {i.name: plan for i, plan in checked}

    def _logging(self) -> Logging:
        node = declare.single(statements.Log, self.nodes, self.book)
        found = node.clauses if node else ()
        sample = declare.single(clauses.Sample, found, self.book)
        paths = [path for c in found if isinstance(c, clauses.Mask) for path in c.paths]
        return Logging(mask=tuple(tuple(w.text for w in path) for path in paths), sample=sample.percent if sample else 100.0)

    def blocks_once(self, texts: Iterable[Text], kind: str) -> None:
        """Demands that the strings that name blocks of one kind differ."""
        seen: dict[str, Position] = {}
        for text in texts:
            if text.value in seen:
                self.book.find("duplicate-name", text.at, f'the {kind} "{text.value}" is at {seen[text.value]} already')
            seen.setdefault(text.value, text.at)


def _guard(node: statements.Deny, when: Code, where: frozenset[str], id_: str) -> Guard:
    plan = DenyPlan(
        id=id_,
        at=f"{node.at.file}:{node.at.line}",
        reason=node.name.text,
        when=when,
        looks="data" in when.uses.names,
    )
    return Guard(plan=plan, operations=where, known=learn(node.when, outcome=False))
