"""What remains of an expression when a part of the request is known.

What can be evaluated is evaluated, by the evaluator itself; the rest stays as it is written. A condition keeps its meaning, a lost fact
included, but for errors: they count as what they lead to.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final

from proxy.policy.checking.world import Binding, Code
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact, Failure, Loss, Need, Statics
from proxy.policy.decision import Facts, Request
from proxy.policy.failure import Exhausted
from proxy.policy.reading.syntax import Binary, Call, Chain, Conditional, Expression, Has, Literal, Macro, Name, Paren, Unary
from proxy.policy.reading.walk import parts, walk
from proxy.review.comparing.logic import Woe
from proxy.review.reaching.notation import bare, literal, quote, rebuilt, writable

_OPERATORS: Final = (Unary, Chain, Binary, Conditional)
_TESTS: Final = (Chain, Unary, Has, Macro)
_UNKNOWN: Final = Need(keys=frozenset())

Found = Expression | Woe
"""What remains, or why there never is a value."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """Where a node stands: in `code`, with `bound` variables of macros around it.

    `truth` says that nothing but a bool counts there, `want` what a condition without a value counts as; None if that is not known.
    """

    code: Code
    bound: frozenset[str] = frozenset()
    want: bool | None = None
    truth: bool = False


class Residue:
    """Reduces the expressions of one policy; `known` are the built-in names that `request` and `variables` say, `facts` those at hand.

    Without `variables`, `vars` is not known.
    """

    def __init__(
        self, statics: Statics, request: Request, known: frozenset[str], facts: Facts, variables: Mapping[str, object] | None = None
    ) -> None:
        self._statics = statics
        self._known = known if variables is None else known | {"vars"}
        self._context = Context(request, facts, {})
        self._context.vars = variables or {}
        self._reading = {binding.name for binding in statics.bindings if binding.value.uses.facts}

    def condition(self, code: Code, *, want: bool) -> Expression:
        """What remains of a condition, `true` or `false` where nothing does.

        With `want` false, as for an allow, it is true exactly where the condition is; with `want` true, as for a deny, it is false
        exactly where the condition is. An error or a lost fact is neither.
        """
        found = self._reduced(code.node, _Spot(code=code, want=want, truth=True))
        return literal(want) if isinstance(found, Woe) else bare(found)

    def value(self, code: Code) -> Found:
        """What remains of an expression whose value counts."""
        found = self._reduced(code.node, _Spot(code=code))
        return found if isinstance(found, Woe) else bare(found)

    def lets(self, code: Code, node: Expression) -> Mapping[int, Binding]:
        """The lets of `code` that a node, or what remains of them, still names, by slot."""
        found: dict[int, Binding] = {}
        waiting = [(code, node)]
        while waiting:
            where, what = waiting.pop()
            named = {each.id for each, _ in walk(what) if isinstance(each, Name)}
            for binding in self._bindings(where).values():
                if binding.name in named and binding.slot not in found:
                    found[binding.slot] = binding
                    waiting.append((binding.value, self.rest(binding)))
        return found

    def rest(self, binding: Binding) -> Expression:
        """What remains of a let."""
        found = self.value(binding.value)
        return binding.value.node if isinstance(found, Woe) else found

    def facts(self, node: Expression) -> frozenset[str]:
        """The facts that a node itself names."""
        return frozenset(each.name for each, _ in walk(node) if isinstance(each, Call) and each.name in self._statics.arguments)

    def reads(self, node: Expression) -> bool:
        """Whether evaluating this may read a fact."""
        return bool(self.facts(node)) or any(isinstance(each, Name) and each.id in self._reading for each, _ in walk(node))

    def _bindings(self, code: Code) -> Mapping[str, Binding]:
        found = (self._statics.bindings[slot] for slot in code.uses.direct)
        return {binding.name: binding for binding in found}

    def _reduced(self, node: Expression, spot: _Spot) -> Found:
        if isinstance(node, Literal):
            return literal(node.value) if isinstance(node.value, bool) else node
        return (self._evaluated(node, spot) if self._decidable(node, spot) else None) or self._opened(node, spot)

    def _evaluated(self, node: Expression, spot: _Spot) -> Found | None:
        """The value of a node of which all is known, None where facts are missing or it cannot be written."""
        found = self._value(node, spot)
        match found:
            case Need():
                return None
            case Loss():
                return Woe.lost
            case Failure():
                return Woe.error
        if spot.truth and not isinstance(found, bool):
            return Woe.error
        return quote(found) if writable(found) else None

    def _opened(self, node: Expression, spot: _Spot) -> Found:
        match node:
            case Name():
                return node
            case Paren():
                return _bracketed(self._reduced(node.of, spot), node)
            case Chain():
                return self._chain(node, spot)
            case Conditional():
                return self._conditional(node, spot)
            case Unary():
                want = not spot.want if node.op == "!" and spot.want is not None else None
                return _negated(node, self._reduced(node.of, dataclasses.replace(spot, want=want, truth=node.op == "!")))
            case _:
                return self._rebuilt(node, spot)

    def _decidable(self, node: Expression, spot: _Spot) -> bool:
        """Whether all that is named in a node is known; its facts may still be missing."""
        lets, inner = self._bindings(spot.code), {each.variable.text for each, _ in walk(node) if isinstance(each, Macro)}
        for each, _ in walk(node):
            if not isinstance(each, Name) or each.id in inner:
                continue
            if each.id in spot.bound:
                return False
            if not (lets[each.id].value.uses.names if each.id in lets else {each.id}) <= self._known:
                return False
        return True

    def _value(self, node: Expression, spot: _Spot) -> object:
        """The outcome; what takes too much work is left as it is."""
        try:
            return Exact(self._context, self._statics, spot.code).evaluate(node)
        except Exhausted:
            return _UNKNOWN

    def _chain(self, node: Chain, spot: _Spot) -> Found:
        ending = node.op == "||"
        terms: list[Expression] = []
        for place, term in enumerate(node.terms):
            found = self._reduced(term, self._term(term, spot, ending=ending, last=place == len(node.terms) - 1))
            lost = found is Woe.lost
            if isinstance(found, Woe):
                found = term if spot.want is None else literal(spot.want)
            inner = bare(found)
            if isinstance(inner, Literal) and inner.value is ending:
                # What stands before absorbs no lost fact, so that terms with facts still count.
                terms = [] if spot.want is ending else [each for each in terms if self.reads(each)]
                terms.append(inner)
                break
            if isinstance(inner, Chain) and inner.op == node.op:
                terms += inner.terms
            elif not (isinstance(inner, Literal) and inner.value is (not ending)):
                # What is left of a bracket may need none.
                terms.append(inner if found is not term and isinstance(inner, Unary | Binary) else found)
            if lost and spot.want is not None:
                break
        return _joined(node, terms, truth=spot.truth)

    def _term(self, term: Expression, spot: _Spot, *, ending: bool, last: bool) -> _Spot:
        """Where a term stands: a lost fact ends the chain, so that a term which may lose one must keep all that it means."""
        vague = spot.want is ending or last or not self.reads(term)
        return dataclasses.replace(spot, want=spot.want if vague else None, truth=True)

    def _conditional(self, node: Conditional, spot: _Spot) -> Found:
        test = self._reduced(node.test, dataclasses.replace(spot, want=None, truth=True))
        if isinstance(test, Woe):
            return test
        if isinstance(test, Literal) and isinstance(test.value, bool):
            return self._reduced(node.then if test.value else node.other, spot)
        found = [(branch, self._reduced(branch, spot)) for branch in (node.then, node.other)]
        then, other = (branch if isinstance(rest, Woe) else rest for branch, rest in found)
        if test is node.test and then is node.then and other is node.other:
            return node
        return dataclasses.replace(node, test=test, then=then, other=other)

    def _rebuilt(self, node: Expression, spot: _Spot) -> Found:
        bound = spot.bound | {node.variable.text} if isinstance(node, Macro) else spot.bound
        inner = dataclasses.replace(spot, want=None, truth=False, bound=bound)
        old = parts(node)
        found = [self._reduced(part, inner) for part in old]
        if found and isinstance(found[0], Woe):
            return found[0]
        if Woe.error in found and not isinstance(node, Macro) and not any(self.reads(part) for part in old):
            return Woe.error
        new = [part if isinstance(rest, Woe) else rest for part, rest in zip(old, found, strict=True)]
        return node if all(one is other for one, other in zip(old, new, strict=True)) else rebuilt(node, new)


def _joined(node: Chain, terms: list[Expression], *, truth: bool) -> Expression:
    neutral = literal(node.op == "&&")
    if not terms:
        return neutral
    if len(terms) == 1:
        if truth or _sure(terms[0]):
            return terms[0]
        terms = [neutral, *terms]
    same = len(terms) == len(node.terms) and all(one is other for one, other in zip(terms, node.terms, strict=True))
    return node if same else dataclasses.replace(node, terms=tuple(terms))


def _sure(node: Expression) -> bool:
    """Whether a node gives a bool or nothing."""
    if isinstance(node, Binary):
        return node.op not in ("+", "-", "*", "/", "%")
    return isinstance(node, _TESTS) or (isinstance(node, Literal) and isinstance(node.value, bool))


def _bracketed(inner: Found, node: Paren) -> Found:
    if inner is node.of:
        return node
    return Paren(at=node.at, of=inner) if isinstance(inner, _OPERATORS) else inner


def _negated(node: Unary, of: Found) -> Found:
    if isinstance(of, Woe):
        return of
    if node.op == "!" and isinstance(of, Literal) and isinstance(of.value, bool):
        return literal(not of.value)
    return node if of is node.of else dataclasses.replace(node, of=of)
