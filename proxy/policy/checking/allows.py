"""Checks allow rules: operations, conditions, schemas."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from proxy.policy.checking import lint
from proxy.policy.checking.duties import WITH_DATA, Duties, base
from proxy.policy.checking.flow import NOTHING, Known, learn
from proxy.policy.checking.infer import condition
from proxy.policy.checking.plan import Checked, RulePlan
from proxy.policy.checking.world import Binding, Book, Scope, meant
from proxy.policy.patterns import BadPattern, Pattern, RepeatedName
from proxy.policy.patterns import parse as parse_pattern
from proxy.policy.reading import obligations
from proxy.policy.reading.syntax import Text, Word
from proxy.policy.schemas import BadSchema, Schema, compile_schema
from proxy.policy.types import ANY, Member, Record, Type


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What the rules of one block share; `id` makes a rule's id of an operation and a name."""

    id: Callable[[str, str], str]
    types: Mapping[str, Type]
    lets: Mapping[str, Binding]
    guards: tuple[tuple[frozenset[str], Known], ...] = ()
    scope: bool = False

    def known(self, where: frozenset[str]) -> Known:
        """What earlier denies prove for all of these operations."""
        return NOTHING.union(*(known for operations, known in self.guards if where <= operations))


def operations(words: Iterable[Word], allowed: Iterable[str], book: Book) -> list[str]:
    """The known operations among the words; findings for the others."""
    out: list[str] = []
    for word in words:
        if word.text not in allowed:
            book.find("unknown-operation", word.at, f'there is no operation "{word.text}" here', meant(word.text, allowed))
        elif word.text in out:
            book.find("duplicate-name", word.at, f"{word.text} stands twice")
        else:
            out.append(word.text)
    return out


def pattern(text: Text, book: Book) -> Pattern | None:
    """A channel pattern, or a finding."""
    try:
        return parse_pattern(text.value)
    except RepeatedName as error:
        book.find("duplicate-name", text.at, str(error))
    except BadPattern as error:
        book.find("bad-pattern", text.at, str(error))
    return None


def variables(found: Pattern | None) -> Type:
    """The type of `vars`."""
    if found is None:
        return ANY
    return Record(fields={p.name: Member(type=p.type) for p in found.pieces if not isinstance(p, str)})


class Allows:
    """Checks the rules of a policy set; schemas are compiled once each."""

    def __init__(self, book: Book, files: Mapping[str, bytes]) -> None:
        self.book, self.files = book, files
        self._schemas: dict[str, Schema | None] = {}

    def check(self, nodes: Iterable[obligations.Allow], operation: Callable[[obligations.Allow], list[str]], block: Block) -> list[Checked]:
        """The rules of one block in order, one for each operation; ids count the unnamed ones."""
        out: list[Checked] = []
        ordinals: dict[str, int] = {}
        names: set[str] = set()
        for node in nodes:
            if node.name is not None and node.name.text in names:
                self.book.find("duplicate-name", node.name.at, f'there is a rule "{node.name.text}" in this block already')
            names.add(node.name.text if node.name else "")
            for op, plan in self._rule(node, operation(node), block):
                ordinals[op] = ordinals.get(op, 0) + 1
                id_ = block.id(op, node.name.text if node.name else str(ordinals[op]))
                out.append(Checked(operation=op, node=node, plan=dataclasses.replace(plan, id=id_)))
        lint.unreachable(out, self.book)
        return out

    def _rule(self, node: obligations.Allow, ops: list[str], block: Block) -> Iterable[tuple[str, RulePlan]]:
        where = frozenset(ops)
        on = pattern(node.pattern, self.book) if node.pattern else None
        schema = self._schema(node)
        scope = self._scope(node, where, block, on, schema)
        known = block.known(where)
        when = None
        if node.when is not None:
            when = condition(node.when, self.book, scope, known)
            known |= learn(node.when, outcome=True)
        duties = Duties(self.book, node, ops, scope)
        duties.check(known)
        for op in ops:
            own = schema if base(op) in WITH_DATA else None
            obligations = duties.of(op)
            codes = (*((when,) if when else ()), *obligations.codes)
            looks = own is not None or bool(obligations.stamp) or any("data" in code.uses.names for code in codes)
            at = f"{node.at.file}:{node.at.line}"
            yield op, RulePlan(id="", at=at, schema=own, when=when, obligations=obligations, looks=looks, pattern=on)

    def _scope(self, node: obligations.Allow, where: frozenset[str], block: Block, on: Pattern | None, schema: Schema | None) -> Scope:
        types = dict(block.types)
        if node.pattern:
            types["vars"] = variables(on)
        if schema is not None:
            types["data"] = schema.type
        return Scope(where=where, types=types, lets=block.lets, block=block.scope or node.pattern is not None, payload=schema is not None)

    def _schema(self, node: obligations.Allow) -> Schema | None:
        clause = next((o for o in node.obligations if isinstance(o, obligations.Schema)), None)
        if clause is None:
            return None
        name = clause.file.value
        if name not in self._schemas:
            self._schemas[name] = self._compiled(name, clause.file)
        return self._schemas[name]

    def _compiled(self, name: str, text: Text) -> Schema | None:
        if not (name.startswith("schemas/") and name.endswith(".json")) or name not in self.files:
            near = meant(name, [f for f in self.files if f.startswith("schemas/")])
            self.book.find("bad-schema", text.at, f'there is no schema "{name}" in this policy set', near or "put it into schemas/")
            return None
        try:
            return compile_schema(self.files[name])
        except BadSchema as error:
            self.book.find("bad-schema", text.at, f"{name}: {error}")
            return None
