"""What the blocks of a policy set stand on: its statements, the lets and denies of its top level, and those of blocks."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from proxy.policy.checking import declare, lint
from proxy.policy.checking.allows import operations
from proxy.policy.checking.flow import NOTHING, Known, learn
from proxy.policy.checking.infer import condition, infer
from proxy.policy.checking.plan import DenyPlan
from proxy.policy.checking.world import Binding, Book, Code, Scope
from proxy.policy.decision import OPERATIONS, REASONS
from proxy.policy.findings import Position
from proxy.policy.names import BUILTINS, HIDDEN, HOOKS
from proxy.policy.reading import statements
from proxy.policy.reading.syntax import Text
from proxy.policy.types import Type

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A checked deny: its plan, its operations and what it proves when it does not hold."""

    plan: DenyPlan
    operations: frozenset[str]
    known: Known


class Ground:
    """The ground of one policy set; `types` are the narrower types of built-in names."""

    def __init__(self, nodes: Sequence[statements.Statement], files: Mapping[str, bytes], book: Book) -> None:
        self.nodes, self.files, self.book = nodes, files, book
        self.types: dict[str, Type] = {}
        self.lets: dict[str, Binding] = {}
        self.guards: list[Guard] = []

    def all(self, kind: type[T]) -> list[T]:
        """The statements of one kind, in order."""
        return [n for n in self.nodes if isinstance(n, kind)]

    def named(self, kind: type[T], word: str) -> dict[str, T]:
        """The statements of one kind by name, which each has once."""
        found: dict[str, T] = {}
        declare.unique([n.name for n in self.all(kind)], self.book, word)  # type: ignore[attr-defined]  # kinds with a name
        for node in self.all(kind):
            found.setdefault(node.name.text, node)  # type: ignore[attr-defined]  # likewise
        return found

    def lay(self) -> None:
        """Checks the lets and denies of the top level."""
        self._lets(self.all(statements.Let), self.lets, {})
        self._denies(self.all(statements.Deny), HOOKS, "deny", self.guards, self.lets, {})

    def block(self, nodes: Sequence[object], types: Mapping[str, Type], prefix: str) -> tuple[dict[str, Binding], list[Guard]]:
        """The lets and denies of a channel or rpc block, with those of the top level before them."""
        lets, guards = dict(self.lets), list(self.guards)
        self._lets([n for n in nodes if isinstance(n, statements.Let)], lets, types)
        denies = [n for n in nodes if isinstance(n, statements.Deny)]
        self._denies(denies, OPERATIONS, prefix, guards, lets, types)
        return lets, guards

    def once(self, texts: Iterable[Text], kind: str) -> None:
        """Demands that the strings that name blocks of one kind differ."""
        seen: dict[str, Position] = {}
        for text in texts:
            if text.value in seen:
                self.book.find("duplicate-name", text.at, f'the {kind} "{text.value}" is at {seen[text.value]} already')
            seen.setdefault(text.value, text.at)

    def _lets(self, nodes: Iterable[statements.Let], lets: dict[str, Binding], types: Mapping[str, Type]) -> None:
        for node in nodes:
            declare.unique([node.name], self.book, "let", HIDDEN, lets, self.book.parameters)
            scope = Scope(where=frozenset(), types={**self.types, **types}, lets=lets, block="vars" in types)
            value = infer(node.value, self.book, scope)
            where = frozenset.intersection(
                frozenset(BUILTINS["timestamp_ms"].where),
                *(BUILTINS[name].where for name in value.uses.names),
            )
            binding = Binding(name=node.name.text, at=node.name.at, slot=len(self.book.bindings), value=value, where=where)
            self.book.bindings.append(binding)
            lets[node.name.text] = binding

    def _denies(
        self,
        nodes: Sequence[statements.Deny],
        allowed: Sequence[str],
        prefix: str,
        guards: list[Guard],
        lets: Mapping[str, Binding],
        types: Mapping[str, Type],
    ) -> None:
        declare.unique([node.name for node in nodes], self.book, "deny", REASONS)
        proven: dict[frozenset[str], Known] = {}
        for node in nodes:
            where = frozenset(operations(node.operations, allowed, self.book) if node.operations else allowed)
            scope = Scope(where=where, types={**self.types, **types}, lets=lets, block="vars" in types)
            if where not in proven:
                proven[where] = NOTHING.union(*(g.known for g in guards if where <= g.operations))
            when = condition(node.when, self.book, scope, proven[where])
            lint.deny(node, when.uses.names, when.uses.facts, self.book)
            guard = _guard(node, when, where, f"{prefix}/{node.name.text}")
            guards.append(guard)
            if guard.known:
                proven = {those: known | guard.known if those <= where else known for those, known in proven.items()}


def _guard(node: statements.Deny, when: Code, where: frozenset[str], id_: str) -> Guard:
    plan = DenyPlan(
        id=id_,
        at=f"{node.at.file}:{node.at.line}",
        reason=node.name.text,
        when=when,
        looks="data" in when.uses.names,
    )
    return Guard(plan=plan, operations=where, known=learn(node.when, outcome=False))
