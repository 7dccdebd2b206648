"""Turns checked expressions into formulas, node by node, beside the exact evaluation (`proxy.policy.deciding.evaluate`).

What cannot be written as a formula becomes a value of which nothing is known, the same wherever the same expression stands: what
is proven so holds all the more, and what is refuted must be confirmed by a decision.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import z3

from proxy.policy.checking.world import Code
from proxy.policy.names import BUILTINS, MAPS
from proxy.policy.policy import Policy
from proxy.policy.reading import syntax
from proxy.policy.types import ANY, BOOL, INT, STRING, MapOf, Type
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import Key
from proxy.review.proving import functions, operators
from proxy.review.proving.logic import FALSE, TRUE, every, opposite, some, told
from proxy.review.proving.operators import Result
from proxy.review.proving.outcomes import Outcome, chained, chosen, counted, strict
from proxy.review.proving.trees import Tree, Unknown, World
from proxy.review.proving.values import Built, Kind, Value, constant, of
from proxy.review.wording import worded

_PARAMETERS: Final[Mapping[Type, Kind]] = {BOOL: "bool", INT: "int", STRING: "string"}
_TYPES: Final[Mapping[str, Type]] = {name: each.type for name, each in BUILTINS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where an expression stands: what names mean there. `payload` is `data` as the rule's schema has it, `digest` names that schema."""

    names: Mapping[str, Value]
    payload: Value | None = None
    digest: str = ""
    place: str = ""
    """Tells the values of `vars` from those at other places."""


class Formulas:
    """The expressions of one policy in one world."""

    def __init__(self, policy: Policy, world: World, stand: Stand) -> None:
        self._policy, self._world, self._stand = policy, world, stand
        self._statics = policy.decider.statics
        self._lets: dict[int, Outcome] = {}

    def outcome(self, code: Code) -> Outcome:
        """What the expression comes to."""
        return _Walk(self, code).outcome(code.node)

    def let(self, slot: int) -> Outcome:
        """What a let comes to; computed once, as in a decision."""
        if slot not in self._lets:
            self._lets[slot] = self.outcome(self._statics.bindings[slot].value)
        return self._lets[slot]

    def name(self, name: str, code: Code) -> Outcome:
        """A name of the request."""
        if name == "data" and code.payload and self._stand.payload is not None:
            return Outcome(value=self._stand.payload)
        if name in self._stand.names:
            return Outcome(value=self._stand.names[name])
        if name == "meta":
            return self._meta()
        if name == "user":
            return Outcome(value=self._world.text("user"))
        kind = MapOf(of=STRING) if name in MAPS else _TYPES[name]
        err = FALSE if BUILTINS[name].sure else self._world.flag(f"{name}!absent")
        return Outcome(err=err, value=Tree(self._world, self._world.root(name), kind))

    def _meta(self) -> Outcome:
        declared = self._policy.meta
        value = Tree(self._world, self._world.root("meta"), declared or ANY)
        if declared is None:
            self._world.axioms.append(opposite(of(value, "null")))
        return Outcome(err=self._world.flag("meta!misfit") if declared else FALSE, value=value)

    def fact(self, name: str, values: Sequence[Value]) -> tuple[Result, z3.BoolRef]:
        """A fact: when its arguments do not fit, and when it is lost."""
        fact = self._policy.facts[name]
        kinds = [_PARAMETERS[each] for each in fact.takes]
        err = some(opposite(of(value, kind)) for value, kind in zip(values, kinds, strict=True))
        if not all(kind in value.kinds for value, kind in zip(values, kinds, strict=True)):
            return Result(err=TRUE), FALSE
        arguments = tuple(value.term(kind) for value, kind in zip(values, kinds, strict=True))
        node = self._world.call(name, f"{name}:{fact.type}", arguments)
        return Result(err=err, value=Tree(self._world, node, fact.type, arguments)), self._world.flag(f"{name}!lost", arguments)

    def free(self, key: Key, shown: str, *, lost: bool = False) -> Outcome:
        """An outcome of which nothing is known."""
        name = self._world.unknown(key, shown)
        value = Unknown(self._world, self._world.root(name), ANY)
        err, gone = self._world.flag(f"{name}!errs"), self._world.flag(f"{name}!lost") if lost else FALSE
        return Outcome(err=every((err, opposite(gone))), lost=gone, value=value)

    def binding(self, name: str, code: Code) -> int | None:
        """The slot of the let that a name means in an expression."""
        return next((slot for slot in code.uses.direct if self._statics.bindings[slot].name == name), None)

    def spelled(self, node: syntax.Expression, code: Code, variables: Mapping[str, Hashable]) -> Key:
        """The expression with its lets resolved; equal keys have equal values at one place."""

        def named(name: syntax.Name) -> Key:
            if name.id in variables:
                return ("item", variables[name.id])
            slot = self.binding(name.id, code)
            if slot is None:
                told = {"data": self._stand.digest if code.payload else "", "vars": self._stand.place}
                return ("name", name.id, told.get(name.id, ""))
            binding = self._statics.bindings[slot].value
            return self.spelled(binding.node, binding, {})

        return spelling.whole(node, named)


class _Walk:
    """One walk over one expression."""

    def __init__(self, formulas: Formulas, code: Code) -> None:
        self._by, self._code = formulas, code
        self._variables: dict[str, Value] = {}
        self._items: dict[str, Hashable] = {}

    def outcome(self, node: syntax.Expression) -> Outcome:  # noqa: C901, PLR0911 - one line a kind
        match node:
            case syntax.Literal():
                return Outcome(value=constant(node.value)) if told(node.value) else self._free(node)
            case syntax.Paren():
                return self.outcome(node.of)
            case syntax.Name():
                return self._name(node)
            case syntax.Member():
                return self._strict(node, (node.of,), lambda value: operators.member(value, node.name.text))
            case syntax.Has():
                return self._strict(node, (node.of,), lambda value: operators.has(value, node.name.text))
            case syntax.Index():
                return self._strict(node, (node.of, node.index), operators.index)
            case syntax.Unary():
                return self._strict(node, (node.of,), operators.negation if node.op == "!" else operators.minus)
            case syntax.Binary(op="!="):
                return self._strict(node, (replace(node, op="=="),), operators.negation)
            case syntax.Binary():
                return self._strict(node, (node.left, node.right), operators.BINARY[node.op])
            case syntax.Chain():
                return chained((self.outcome(term) for term in node.terms), ending=node.op == "||")
            case syntax.Conditional():
                return chosen(self.outcome(node.test), self.outcome(node.then), self.outcome(node.other))
            case _:
                return self._more(node)

    def _more(self, node: syntax.Call | syntax.Method | syntax.Macro | syntax.ListOf | syntax.MapOf) -> Outcome:
        match node:
            case syntax.Call():
                return self._call(node)
            case syntax.Method():
                return self._method(node)
            case syntax.Macro():
                return self._macro(node)
            case syntax.ListOf():
                return self._strict(node, node.items, lambda *values: Result(value=Built(items=values, same=operators.equal)))
            case _:
                keys = [key.value for key, _ in node.entries]
                values = [item for _, item in node.entries]
                return self._strict(node, values, lambda *found: Result(value=Built(entries=dict(zip(keys, found, strict=True)))))

    def _strict(self, node: syntax.Expression, parts: Sequence[syntax.Expression], do: Callable[..., Result]) -> Outcome:
        return strict([self.outcome(part) for part in parts], do, lambda: self._free(node))

    def _free(self, node: syntax.Expression, *, lost: bool = False) -> Outcome:
        return self._by.free(self._by.spelled(node, self._code, self._items), worded(node), lost=lost)

    def _name(self, node: syntax.Name) -> Outcome:
        if node.id in self._variables:
            return Outcome(value=self._variables[node.id])
        slot = self._by.binding(node.id, self._code)
        return self._by.name(node.id, self._code) if slot is None else self._by.let(slot)

    def _call(self, node: syntax.Call) -> Outcome:
        if node.name in functions.FUNCTIONS:
            return self._strict(node, node.arguments, functions.FUNCTIONS[node.name])
        gone = [FALSE]

        def ask(*values: Value) -> Result:
            found, gone[0] = self._by.fact(node.name, values)
            return found

        asked = strict([self.outcome(each) for each in node.arguments], ask, lambda: self._free(node))
        lost = every((asked.fine, gone[0]))
        return Outcome(err=asked.err, lost=some((asked.lost, lost)), value=asked.value)

    def _method(self, node: syntax.Method) -> Outcome:
        match node:
            case syntax.Method(name=syntax.Word(text="matches"), arguments=(syntax.Literal(value=str() as pattern),)):
                return self._strict(node, (node.of,), lambda value: functions.matched(value, pattern))
        return self._strict(node, (node.of, *node.arguments), functions.METHODS[node.name.text])

    def _macro(self, node: syntax.Macro) -> Outcome:
        """Over what is written in the policy it is as many bodies; of others nothing is known."""
        over = self.outcome(node.of)
        if not isinstance(over.value, Built) or not all(map(told, over.value.entries or ())):
            unknown = self._free(node, lost=bool(self._code.uses.facts))
            return Outcome(
                err=some((over.err, every((over.fine, unknown.err)))),
                lost=some((over.lost, every((over.fine, unknown.lost)))),
                value=unknown.value,
            )
        items = over.value.items if over.value.items is not None else [constant(key) for key in over.value.entries or ()]
        bodies = [self._body(node, item, number) for number, item in enumerate(items)]
        found = counted(bodies) if node.name.text == "exists_one" else chained(bodies, ending=node.name.text == "exists")
        fine = over.fine
        return Outcome(err=some((over.err, every((fine, found.err)))), lost=some((over.lost, every((fine, found.lost)))), value=found.value)

    def _body(self, node: syntax.Macro, item: Value, number: int) -> Outcome:
        name = node.variable.text
        self._variables[name] = item
        self._items[name] = (self._by.spelled(node.of, self._code, self._items), number)
        found = self.outcome(node.body)
        del self._variables[name], self._items[name]
        return found
