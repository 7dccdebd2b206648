"""Evaluates an expression exactly, node by node: with CEL's absorption of errors and with facts that are not there yet.

It runs where the compiled function raised, and wherever a trace is wanted. An outcome is a value or one of
`Failure` (a CEL error), `Loss` (a fact whose source failed, never absorbed) and `Need` (facts to load first: the
evaluation goes on behind them, so that all that can still matter is asked for at once).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from proxy.policy import functions, meter, operations, prices
from proxy.policy.checking.world import Binding, Code
from proxy.policy.deciding.context import Context, LostFact, Missing, argument
from proxy.policy.deciding.context import meta as fitted
from proxy.policy.deciding.weight import constant, weight
from proxy.policy.decision import FactKey
from proxy.policy.failure import Exhausted, Failed
from proxy.policy.names import BUILTINS, SOURCES, reader
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
_ABNORMAL: frozenset[type] = frozenset((Failure, Loss, Need))
_READERS = {name: reader(name) for name in BUILTINS if name not in {"meta", "vars", *SOURCES}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statics:
    """What evaluations of one policy set share."""

    bindings: Sequence[Binding]
    arguments: Mapping[str, tuple[Fit, ...]]
    patterns: Mapping[int, Any]
    meta: Fit | None


def exact(code: Code, context: Context, statics: Statics, watch: Watch | None = None) -> Any:  # noqa: ANN401 - a JSON value
    """The value of a checked expression; raises `Failed`, `LostFact` or `Missing`."""
    found = Exact(context, statics, code, watch).whole(code.node)
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

    __slots__ = ("code", "context", "lets", "macros", "statics", "variables", "watch")

    def __init__(self, context: Context, statics: Statics, code: Code, watch: Watch | None = None) -> None:
        self.context, self.statics, self.code, self.watch = context, statics, code, watch
        self.lets = {statics.bindings[slot].name: statics.bindings[slot] for slot in code.uses.direct}
        self.variables: dict[str, object] = {}
        self.macros = 0

    def whole(self, node: syntax.Expression) -> Outcome:
        """The outcome of the whole expression, a failure also when the steps of the decision are spent in it."""
        try:
            return self.evaluate(node)
        except Exhausted as exhausted:
            found = Failure(why=str(exhausted))
            if self.watch:
                self.watch(node, found)
            return found

    def evaluate(self, node: syntax.Expression) -> Outcome:
        """The outcome of a node; raises `Exhausted`."""
        try:
            found = _KINDS[node.__class__](self, node)
        except Exhausted:
            raise
        except Failed as failed:
            found = Failure(why=str(failed))
            if self.macros:
                self.context.spend(meter.FAILURE)
        if self.watch:
            self.watch(node, found)
        return found

    def _strict(self, nodes: Iterable[syntax.Expression], do: Callable[..., Outcome]) -> Outcome:
        """`do` with the values of all nodes: the first that fails or is lost decides, needs add up."""
        values: list[object] = []
        needs: frozenset[FactKey] = frozenset()
        for node in nodes:
            found = self.evaluate(node)
            if found.__class__ not in _ABNORMAL:
                values.append(found)
            elif isinstance(found, Need):
                needs |= found.keys
            else:
                return Need(keys=needs) if needs else found
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
            return fitted(self.context, self.statics.meta)
        if node.id == "vars":
            return self.context.vars
        if node.id in SOURCES or (node.id == "data" and self.code.payload):
            return self.context.payload
        return _READERS[node.id](self.context.request)

    def _let(self, binding: Binding) -> Outcome:
        context, slot = self.context, binding.slot
        if slot in context.lets:
            return context.lets[slot]
        if context.unknown is None:
            context.unknown = {}
        if slot in context.unknown:
            return context.unknown[slot]
        found = Exact(context, self.statics, binding.value, self.watch).evaluate(binding.value.node)
        (context.unknown if found.__class__ in _ABNORMAL else context.lets)[slot] = found
        return found

    def _member(self, node: syntax.Member) -> Outcome:
        return self._strict((node.of,), lambda of: operations.member(of, node.name.text))

    def _index(self, node: syntax.Index) -> Outcome:
        return self._strict((node.of, node.index), self._paying("index") if self.macros else operations.index)

    def _has(self, node: syntax.Has) -> Outcome:
        return self._strict((node.of,), lambda of: operations.has(of, node.name.text))

    def _unary(self, node: syntax.Unary) -> Outcome:
        return self._strict((node.of,), operations.negation if node.op == "!" else operations.minus)

    def _binary(self, node: syntax.Binary) -> Outcome:
        left = self.evaluate(node.left)
        if left.__class__ in _ABNORMAL and not isinstance(left, Need):
            return left
        right = self.evaluate(node.right)
        if isinstance(left, Need):
            return Need(keys=left.keys | right.keys) if isinstance(right, Need) else left
        return right if right.__class__ in _ABNORMAL else self._operate(node, left, right)

    def _operate(self, node: syntax.Binary, left: object, right: object) -> Outcome:
        op = node.op
        if op == "in" and constant(node.right):
            return operations.within(meter.FREE, left, right)
        if self.macros and op in prices.PAYING:
            return prices.PAYING[op](self.context, left, right)
        if op in operations.METERED:
            return operations.METERED[op](self.context, left, right)
        return operations.BINARY[op](left, right)

    def _paying(self, name: str) -> Callable[..., Outcome]:
        return functools.partial(prices.PAYING[name], self.context)

    def _chain(self, node: syntax.Chain) -> Outcome:
        return _absorb((self.evaluate(term) for term in node.terms), ending=node.op == "||")

    def _conditional(self, node: syntax.Conditional) -> Outcome:
        test = self.evaluate(node.test)
        if isinstance(test, Need):
            branches = (self.evaluate(node.then), self.evaluate(node.other))
            return Need(keys=test.keys.union(*(b.keys for b in branches if isinstance(b, Need))))
        if test.__class__ in _ABNORMAL:
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
        name = node.name.text
        do = self._paying(name) if self.macros and name in prices.PAYING else functions.METHODS.get(name, functions.matches)
        if name == "matches":
            pattern = self.statics.patterns[id(node.arguments[0])]
            return self._strict((node.of,), lambda of: do(of, pattern))
        return self._strict((node.of, *node.arguments), do)

    def _macro(self, node: syntax.Macro) -> Outcome:
        over = self.evaluate(node.of)
        if over.__class__ in _ABNORMAL:
            return over
        bodies = (self._body(node, item) for item in prices.visited(self.context, over, weight(node.body)))
        if node.name.text == "exists_one":
            return _exactly_one(bodies)
        return _absorb(bodies, ending=node.name.text == "exists")

    def _body(self, node: syntax.Macro, item: object) -> Outcome:
        self.variables[node.variable.text] = item
        self.macros += 1
        try:
            return self.evaluate(node.body)
        finally:
            self.macros -= 1
            del self.variables[node.variable.text]

    def _listof(self, node: syntax.ListOf) -> Outcome:
        return self._strict(node.items, lambda *values: list(values))

    def _mapof(self, node: syntax.MapOf) -> Outcome:
        keys = [key.value for key, _ in node.entries]
        return self._strict((item for _, item in node.entries), lambda *values: dict(zip(keys, values, strict=True)))


_KINDS: Mapping[type, Callable[[Exact, Any], Outcome]] = {
    kind: getattr(Exact, f"_{kind.__name__.lower()}") for kind in get_args(syntax.Expression)
}


def _absorb(outcomes: Iterable[Outcome], *, ending: bool) -> Outcome:
    """`||` (`ending` true) or `&&`: the ending value absorbs errors on either side, a lost fact is never absorbed.

    Behind a fact that is not there yet nothing is certain but what else must be loaded.
    """
    failure: Failure | None = None
    needs: frozenset[FactKey] = frozenset()
    for found in outcomes:
        if found is (not ending):
            continue
        if isinstance(found, Need):
            needs |= found.keys
        elif isinstance(found, Loss) or found is ending:
            return Need(keys=needs) if needs else found
        else:
            failure = found if isinstance(found, Failure) else Failure(why="expected bool")
    if needs:
        return Need(keys=needs)
    return failure or (not ending)


def _exactly_one(outcomes: Iterable[Outcome]) -> Outcome:
    count = 0
    for found in outcomes:
        if found.__class__ in _ABNORMAL:
            return found
        count += operations.truth(found)
    return count == 1
