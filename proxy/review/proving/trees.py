"""What no policy knows before it is asked: requests and facts as trees of which only the members that are asked for are known.

Each member is an uninterpreted function of the arguments of its fact, so that two reads of one fact are one value.
"""

from collections.abc import Hashable, Mapping
from typing import Final

import z3

from proxy.policy.types import ANY, BOOL, DOUBLE, INT, INT_MAX, INT_MIN, NULL, STRING, ListOf, MapOf, Nullable, Record, Type
from proxy.review.proving.logic import FALSE, TRUE, choice, every, opposite, some
from proxy.review.proving.values import KINDS, Judged, Kind, Scalar, Value, of

Arguments = tuple[z3.ExprRef, ...]

_SORTS: Final[Mapping[Kind, z3.SortRef]] = {"bool": z3.BoolSort(), "int": z3.IntSort(), "double": z3.RealSort(), "string": z3.StringSort()}
_KIND: Final[Mapping[Type, Kind]] = {BOOL: "bool", INT: "int", DOUBLE: "double", STRING: "string", NULL: "null"}


class Node:
    """A place in a tree: what was asked for below it, and of what its lists were asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, Node] = {}
        self.items: list[tuple[Kind, z3.ExprRef]] = []
        self.sized = False


class World:
    """Everything that formulas of one question are about; `axioms` hold in every world, `calls` are the facts that were asked for.

    `opaque` are expressions of which nothing is known, in words, by the names of their values.
    """

    def __init__(self) -> None:
        self.axioms: list[z3.BoolRef] = []
        self.roots: dict[str, Node] = {}
        self.calls: dict[tuple[str, tuple[int, ...]], tuple[Node, Arguments]] = {}
        self.opaque: dict[str, str] = {}
        self._free: dict[Hashable, str] = {}
        self._bounded: set[int] = set()

    def root(self, name: str) -> Node:
        """The root of this name."""
        return self.roots.setdefault(name, Node(name))

    def flag(self, name: str, arguments: Arguments = ()) -> z3.BoolRef:
        """Something that is so or not."""
        return apply(name, arguments, z3.BoolSort())

    def text(self, name: str) -> Value:
        """A text of the request."""
        return Scalar(kind="string", of=z3.String(name))

    def call(self, fact: str, name: str, arguments: Arguments) -> Node:
        """The value of a fact for these arguments; `name` is that of its tree."""
        node = self.root(name)
        self.calls[fact, tuple(each.get_id() for each in arguments)] = (node, arguments)
        return node

    def unknown(self, key: Hashable, shown: str) -> str:
        """The name of the value of an expression that is not looked into."""
        name = self._free.setdefault(key, f"unknown!{len(self._free)}")
        self.opaque[name] = shown
        return name

    def bound(self, term: z3.ArithRef, low: int, high: int | None, *, loose: bool = False) -> z3.ArithRef:
        """The term, which is within bounds; a `loose` one only of payloads that parsers read in one way."""
        if term.get_id() not in self._bounded:
            self._bounded.add(term.get_id())
            within = every((term >= low, *([term <= high] if high is not None else [])))
            self.axioms.append(some((self.flag("ambiguous"), within)) if loose else within)
        return term


def apply(name: str, arguments: Arguments, sort: z3.SortRef) -> z3.ExprRef:
    """A function of this name with these arguments; a constant without."""
    if not arguments:
        return z3.Const(name, sort)
    return z3.Function(name, *(each.sort() for each in arguments), sort)(*arguments)


class Tree:
    """A value of which only the type is known; `fitted` means that numbers are read from JSON as the type has them."""

    def __init__(self, world: World, node: Node, type_: Type, arguments: Arguments = (), *, fitted: bool = False) -> None:
        self._world, self.node, self.arguments, self._fitted = world, node, arguments, fitted
        self.type = type_
        self._type = type_.of if isinstance(type_, Nullable) else type_

    @property
    def kinds(self) -> Mapping[Kind, z3.BoolRef]:
        """That of the type, or any."""
        if self._type == ANY:
            return {kind: self._number() == place for place, kind in enumerate(KINDS)}
        kind: Kind = "list" if isinstance(self._type, ListOf) else _KIND.get(self._type, "map")
        if not isinstance(self.type, Nullable):
            return {kind: TRUE}
        null = self._number() == 0
        return {"null": null, kind: opposite(null)}

    @property
    def nan(self) -> z3.BoolRef:
        """Never: JSON has no such number."""
        return FALSE

    def term(self, kind: Kind) -> z3.ExprRef:
        """The scalar below this node."""
        if self._fitted and kind == "int" and self._type == INT:
            return choice(self._number() == KINDS.index("double"), z3.ToInt(self._scalar("double")), self._scalar("int"))
        if self._fitted and kind == "double" and self._type == DOUBLE:
            return choice(self._number() == KINDS.index("int"), z3.ToReal(self._scalar("int")), self._scalar("double"))
        return self._scalar(kind)

    def member(self, name: str) -> "tuple[z3.BoolRef, Tree]":
        """The child of this name, by the type of its parent."""
        child = self.node.children.setdefault(name, Node(f"{self.node.name}.{name}"))
        present = self._world.flag(f"{child.name}!has", self.arguments)
        match self._type:
            case Record() if name in self._type.fields:
                member = self._type.fields[name]
                return present if member.optional else TRUE, self._below(child, member.type)
            case MapOf():
                return present, self._below(child, self._type.of)
            case _:
                return present, self._below(child, ANY)

    def among(self, item: Value) -> Judged:
        """Lists of scalars are sets to this question; of others nothing is known."""
        kind = _KIND.get(self._type.of) if isinstance(self._type, ListOf) else None
        if kind is None or kind == "null":
            return Judged(free=TRUE)
        held = self._apply(f"!set:{kind}", z3.ArraySort(_SORTS[kind], z3.BoolSort()))
        if kind in item.kinds:
            self.node.items.append((kind, item.term(kind)))
        unlike = some(of(item, each) for each in KINDS if each not in (kind, "null"))
        return Judged(free=unlike, holds=every((of(item, kind), z3.Select(held, item.term(kind)))) if kind in item.kinds else FALSE)

    def size(self) -> z3.ArithRef | None:
        """A number that is not tied to the members."""
        self.node.sized = True
        return self._world.bound(self._apply("!size", z3.IntSort()), 0, None)

    def _below(self, child: Node, type_: Type) -> "Tree":
        return Tree(self._world, child, type_, self.arguments, fitted=self._fitted)

    def _number(self) -> z3.ArithRef:
        return self._world.bound(self._apply("!kind", z3.IntSort()), 0, len(KINDS) - 1)

    def _scalar(self, kind: Kind) -> z3.ExprRef:
        found = self._apply(f"!{kind}", _SORTS[kind])
        return self._world.bound(found, INT_MIN, INT_MAX, loose=self.node.name.startswith("data")) if kind == "int" else found

    def _apply(self, part: str, sort: z3.SortRef) -> z3.ExprRef:
        return apply(self.node.name + part, self.arguments, sort)


class Unknown(Tree):
    """What comes of an expression into which nobody looks: any value, also a double that is no number."""

    @property
    def nan(self) -> z3.BoolRef:
        """Perhaps."""
        return self._world.flag(f"{self.node.name}!nan")
