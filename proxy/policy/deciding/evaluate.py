"""Evaluates an expression exactly, node by node: with CEL's absorption of errors and with facts that are not there yet.

It runs where the compiled function raised, and wherever a trace is wanted. An outcome is a value or one of
`Failure` (a CEL error), `Loss` (a fact whose source failed, never absorbed) and `Need` (facts to load first: the
evaluation goes on behind them, so that all that can still matter is asked for at once).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from proxy.policy import functions, operations
from proxy.policy.checking.world import Binding, Code
from proxy.policy.deciding.context import Context, LostFact, Missing, argument, meta
from proxy.policy.decision import FactKey
from proxy.policy.names import BUILTINS, reader
from proxy.policy.operations import Failed
from proxy.policy.reading import syntax
from proxy.policy.types import BOOL, Fit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A CEL error."""

    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A fact was read whose source failed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Facts that must be loaded first."""

    keys: frozenset[FactKey]


Outcome = object
"""A JSON value, or `Failure`, `Loss`, `Need`."""

Watch = Callable[[syntax.Expression, Outcome], None]
_ABNORMAL = (Failure, Loss, Need)
_READERS = {name: reader(name) for name in BUILTINS if name not in ("meta", "vars", "claims", "reply")}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statics:
    """What evaluations of one policy set share."""

    bindings: Sequence[Binding]
    arguments: Mapping[str, tuple[Fit, ...]]
    patterns: Mapping[int, Any]
    meta: Fit | None


def exact(code: Code, context: Context, statics: Statics, watch: Watch | None = None) -> Any:  # noqa: ANN401 - a JSON value
    """The value of a checked expression; raises `Failed`, `LostFact` or `Missing`."""
    found = Exact(context, statics, code, watch).evaluate(code.node)
    match found:
        case Failure():
            raise Failed(found.why)
        case Loss():
            raise LostFact
        case Need():
            raise Missing(found.keys)
    return operations.truth(found) if code.type == BOOL else found


class Exact:
    """One evaluation of one expression."""

    def __init__(self, context: Context, statics: Statics, code: Code, watch: Watch | None = None) -> None:
        self.context, self.statics, self.code, self.watch = context, statics, code, watch
        self.lets = {statics.bindings[slot].name: statics.bindings[slot] for slot in code.uses.direct}
        self.variables: dict[str, object] = {}

    def evaluate(self, node: syntax.Expression) -> Outcome:
        """The outcome of a node."""
        do: Callable[[Any], Outcome] = getattr(self, f"_{type(node).__name__.lower()}")
        try:
            found = do(node)
        except Failed as failed:
            found = Failure(why=str(failed))
        if self.watch:
            self.watch(node, found)
        return found

    def _strict(self, nodes: Iterable[syntax.Expression], do: Callable[..., Outcome]) -> Outcome:
        """`do` with the values of all nodes: the first that fails or is lost decides, needs add up."""
        values: list[object] = []
        needs: frozenset[FactKey] = frozenset()
        for node in nodes:
            found = self.evaluate(node)
            if isinstance(found, Need):
                needs |= found.keys
            elif isinstance(found, _ABNORMAL):
                return Need(keys=needs) if needs else found
            else:
                values.append(found)
        return Need(keys=needs) if needs else do(*values)

    def _literal(self, node: syntax.Literal) -> Outcome:
        return node.value

    def _paren(self, node: syntax.Paren) -> Outcome:
        return self.evaluate(node.of)

    def _name(self, node: syntax.Name) -> Outcome:
        if node.id in self.variables:
            return self.variables[node.id]
        if node.id in self.lets:
            return self._let(self.lets[node.id])
        if node.id == "meta":
            return meta(self.context, self.statics.meta)
        if node.id == "vars":
            return self.context.vars
        if node.id in ("claims", "reply") or (node.id == "data" and self.code.payload):
            return self.context.payload
        return _READERS[node.id](self.context.request)

    def _let(self, binding: Binding) -> Outcome:
        memory = self.context.exact
        if memory is None:
            memory = self.context.exact = {}
        if binding.slot not in memory:
            memory[binding.slot] = Exact(self.context, self.statics, binding.value, self.watch).evaluate(binding.value.node)
        return memory[binding.slot]

    def _member(self, node: syntax.Member) -> Outcome:
        return self._strict((node.of,), lambda of: operations.member(of, node.name.text))

    def _index(self, node: syntax.Index) -> Outcome:
        return self._strict((node.of, node.index), operations.index)

    def _has(self, node: syntax.Has) -> Outcome:
        return self._strict((node.of,), lambda of: operations.has(of, node.name.text))

    def _unary(self, node: syntax.Unary) -> Outcome:
        return self._strict((node.of,), operations.negation if node.op == "!" else operations.minus)

    def _binary(self, node: syntax.Binary) -> Outcome:
        return self._strict((node.left, node.right), operations.BINARY[node.op])

    def _chain(self, node: syntax.Chain) -> Outcome:
        return _absorb((self.evaluate(term) for term in node.terms), ending=node.op == "||")

    def _conditional(self, node: syntax.Conditional) -> Outcome:
        test = self.evaluate(node.test)
        if isinstance(test, Need):
            branches = (self.evaluate(node.then), self.evaluate(node.other))
            return Need(keys=test.keys.union(*(b.keys for b in branches if isinstance(b, Need))))
        if isinstance(test, _ABNORMAL):
            return test
        return self.evaluate(node.then if operations.truth(test) else node.other)

    def _call(self, node: syntax.Call) -> Outcome:
        fits = self.statics.arguments.get(node.name)
        if fits is None:
            return self._strict(node.arguments, functions.FUNCTIONS[node.name])
        return self._strict(node.arguments, lambda *values: self._fact(node.name, fits, values))

    def _fact(self, name: str, fits: tuple[Fit, ...], values: tuple[object, ...]) -> Outcome:
        key = (name, *(argument(fit, value) for fit, value in zip(fits, values, strict=True)))
        try:
            return self.context.fact(key)
        except LostFact:
            return Loss()
        except Missing as missing:
            return Need(keys=missing.keys)

    def _method(self, node: syntax.Method) -> Outcome:
        if node.name.text == "matches":
            search = self.statics.patterns[id(node.arguments[0])].search
            return self._strict((node.of,), lambda of: search(functions.text(of)) is not None)
        return self._strict((node.of, *node.arguments), functions.METHODS[node.name.text])

    def _macro(self, node: syntax.Macro) -> Outcome:
        over = self.evaluate(node.of)
        if isinstance(over, _ABNORMAL):
            return over
        bodies = (self._body(node, item) for item in functions.elements(over))
        if node.name.text == "exists_one":
            return _exactly_one(bodies)
        return _absorb(bodies, ending=node.name.text == "exists")

    def _body(self, node: syntax.Macro, item: object) -> Outcome:
        self.variables[node.variable.text] = item
        try:
            return self.evaluate(node.body)
        finally:
            del self.variables[node.variable.text]

    def _listof(self, node: syntax.ListOf) -> Outcome:
        return self._strict(node.items, lambda *values: list(values))

    def _mapof(self, node: syntax.MapOf) -> Outcome:
        keys = [key.value for key, _ in node.entries]
        return self._strict((item for _, item in node.entries), lambda *values: dict(zip(keys, values, strict=True)))


def _absorb(outcomes: Iterable[Outcome], *, ending: bool) -> Outcome:
    """`||` (`ending` true) or `&&`: the ending value absorbs errors on either side, a lost fact is never absorbed.

    Behind a fact that is not there yet nothing is certain but what else must be loaded.
    """
    failure: Failure | None = None
    needs: frozenset[FactKey] = frozenset()
    for found in outcomes:
        if isinstance(found, Need):
            needs |= found.keys
        elif isinstance(found, Loss) or found is ending:
            return Need(keys=needs) if needs else found
        elif isinstance(found, Failure):
            failure = found
        elif found is not (not ending):
            failure = Failure(why="expected bool")
    if needs:
        return Need(keys=needs)
    return failure or (not ending)


def _exactly_one(outcomes: Iterable[Outcome]) -> Outcome:
    count = 0
    for found in outcomes:
        if isinstance(found, _ABNORMAL):
            return found
        count += operations.truth(found)
    return count == 1
