"""What remains of a condition when a part of the request is known.

What can be evaluated is evaluated, by the evaluator itself; what is left is an expression with the same outcome for every request that
has these parts: a value, an error or a lost fact. Only the text of errors may differ.
"""

import dataclasses
from collections.abc import Mapping
from typing import Final, cast

from proxy.policy.checking.world import Binding, Code
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact, Failure, Loss, Need, Statics
from proxy.policy.decision import Facts, Request
from proxy.policy.findings import Position
from proxy.policy.operations import Exhausted
from proxy.policy.reading.syntax import (
    Binary,
    Call,
    Chain,
    Conditional,
    Expression,
    Has,
    Index,
    ListOf,
    Literal,
    Macro,
    MapOf,
    Member,
    Method,
    Name,
    Paren,
    Text,
    Unary,
)  # fmt: skip
from proxy.policy.reading.walk import parts, walk

_HERE: Final = Position(file="", line=1, column=1)
_OPERATORS: Final = (Unary, Chain, Binary, Conditional)
_TESTS: Final = (Chain, Unary, Has, Macro)

TRUE: Final = Literal(at=_HERE, value=True)
FALSE: Final = Literal(at=_HERE, value=False)


class Residue:
    """Reduces conditions; `known` are the built-in names that `request` and `variables` say, `facts` those at hand."""

    def __init__(
        self, statics: Statics, request: Request, known: frozenset[str], facts: Facts, variables: Mapping[str, object] | None = None
    ) -> None:
        self._statics = statics
        self._known = known if variables is None else known | {"vars"}
        self._context = Context(request, facts, {})
        self._context.vars = variables or {}

    def of(self, code: Code) -> Expression:
        """What remains of an expression, `true` or `false` where nothing does."""
        found = self._reduced(code, code.node, frozenset(), truth=True)
        return found.of if isinstance(found, Paren) else found

    def _bindings(self, code: Code) -> Mapping[str, Binding]:
        found = (self._statics.bindings[slot] for slot in code.uses.direct)
        return {binding.name: binding for binding in found}

    def _reduced(self, code: Code, node: Expression, bound: frozenset[str], *, truth: bool = False) -> Expression:  # noqa: PLR0911 - one line a kind
        """What remains of a node; `bound` are the variables of macros around it, `truth` says that nothing but a bool counts here."""
        if isinstance(node, Literal):
            return node
        if self._decidable(code, node, bound):
            found = self._value(code, node)
            if found.__class__ not in (Failure, Loss, Need):
                return quote(found)
        match node:
            case Name():
                return self._named(code, node, bound)
            case Paren():
                return _bracketed(self._reduced(code, node.of, bound, truth=truth), node)
            case Chain():
                return self._chain(code, node, bound, truth=truth)
            case Conditional():
                return self._conditional(code, node, bound, truth=truth)
            case Unary():
                return _negated(node, self._reduced(code, node.of, bound, truth=node.op == "!"))
            case _:
                return self._rebuilt(code, node, bound)

    def _decidable(self, code: Code, node: Expression, bound: frozenset[str]) -> bool:
        """Whether all that is named in a node is known; its facts may still be missing."""
        lets, inner = self._bindings(code), {each.variable.text for each, _ in walk(node) if isinstance(each, Macro)}
        for each, _ in walk(node):
            if not isinstance(each, Name) or each.id in inner:
                continue
            if each.id in bound:
                return False
            if not (lets[each.id].value.uses.names if each.id in lets else {each.id}) <= self._known:
                return False
        return True

    def _value(self, code: Code, node: Expression) -> object:
        try:
            return Exact(self._context, self._statics, code).evaluate(node)
        except Exhausted as exhausted:
            return Failure(why=str(exhausted))

    def _named(self, code: Code, node: Name, bound: frozenset[str]) -> Expression:
        """A let that the known parts change stands for itself; in a macro, whose variable it might hide, it stays a name."""
        let = self._bindings(code).get(node.id)
        if let is None or bound:
            return node
        found = self._reduced(let.value, let.value.node, frozenset())
        if found is let.value.node:
            return node
        return Paren(at=node.at, of=found) if isinstance(found, _OPERATORS) else found

    def _chain(self, code: Code, node: Chain, bound: frozenset[str], *, truth: bool) -> Expression:
        ending = node.op == "||"
        terms: list[Expression] = []
        for term in node.terms:
            found = self._reduced(code, term, bound, truth=True)
            inner = found.of if isinstance(found, Paren) else found
            if isinstance(inner, Literal) and inner.value is ending:
                # What stands before absorbs no lost fact, so that terms with facts still count.
                terms = [*(each for each in terms if self._reads(each)), inner]
                break
            if isinstance(inner, Chain) and inner.op == node.op:
                terms += inner.terms
            elif not (isinstance(inner, Literal) and inner.value is (not ending)):
                terms.append(found)
        if not terms:
            return FALSE if ending else TRUE
        if len(terms) == 1 and (truth or _sure(terms[0])):
            return terms[0]
        if len(terms) == 1:
            terms.insert(0, FALSE if ending else TRUE)
        same = len(terms) == len(node.terms) and all(one is other for one, other in zip(terms, node.terms, strict=True))
        return node if same else dataclasses.replace(node, terms=tuple(terms))

    def _conditional(self, code: Code, node: Conditional, bound: frozenset[str], *, truth: bool) -> Expression:
        test = self._reduced(code, node.test, bound, truth=True)
        if isinstance(test, Literal) and isinstance(test.value, bool):
            return self._reduced(code, node.then if test.value else node.other, bound, truth=truth)
        then, other = (self._reduced(code, branch, bound, truth=truth) for branch in (node.then, node.other))
        if test is node.test and then is node.then and other is node.other:
            return node
        return dataclasses.replace(node, test=test, then=then, other=other)

    def _reads(self, node: Expression) -> bool:
        """Whether evaluating this may read a fact."""
        named = {binding.name for binding in self._statics.bindings if binding.value.uses.facts}
        return any(
            (isinstance(each, Call) and each.name in self._statics.arguments) or (isinstance(each, Name) and each.id in named)
            for each, _ in walk(node)
        )

    def _rebuilt(self, code: Code, node: Expression, bound: frozenset[str]) -> Expression:
        inner = bound | {node.variable.text} if isinstance(node, Macro) else bound
        old = parts(node)
        new = tuple(self._reduced(code, part, inner) for part in old)
        return node if all(one is other for one, other in zip(old, new, strict=True)) else _with(node, new)


def quote(value: object) -> Expression:
    """A JSON value as an expression."""
    match value:
        case list():
            return ListOf(at=_HERE, items=tuple(quote(item) for item in value))
        case dict():
            return MapOf(at=_HERE, entries=tuple((Text(at=_HERE, value=str(key)), quote(item)) for key, item in value.items()))
        case _:
            return Literal(at=_HERE, value=cast("bool | int | float | str | None", value))


def negation(node: Expression) -> Expression:
    """The opposite of a condition, with the same errors, in the shortest words."""
    match node:
        case Literal(value=bool() as value):
            return FALSE if value else TRUE
        case Unary(op="!"):
            return node.of.of if isinstance(node.of, Paren) else node.of
        case Binary(op="=="):
            return dataclasses.replace(node, op="!=")
        case Binary(op="!="):
            return dataclasses.replace(node, op="==")
        case _:
            return Unary(at=_HERE, op="!", of=Paren(at=_HERE, of=node) if isinstance(node, _OPERATORS) else node)


def joined(op: str, terms: list[Expression]) -> Expression:
    """Conditions of which all (`&&`) or any (`||`) must hold; there is at least one."""
    if len(terms) == 1:
        return terms[0]
    held = tuple(Paren(at=_HERE, of=term) if _weaker(term, op) else term for term in terms)
    return Chain(at=_HERE, op="&&" if op == "&&" else "||", terms=held)


def _weaker(term: Expression, op: str) -> bool:
    return isinstance(term, Conditional) or (isinstance(term, Chain) and term.op != op)


def _sure(node: Expression) -> bool:
    """Whether a node gives a bool or nothing."""
    if isinstance(node, Binary):
        return node.op not in ("+", "-", "*", "/", "%")
    return isinstance(node, _TESTS) or (isinstance(node, Literal) and isinstance(node.value, bool))


def _bracketed(inner: Expression, node: Paren) -> Expression:
    if inner is node.of:
        return node
    return Paren(at=node.at, of=inner) if isinstance(inner, _OPERATORS) else inner


def _negated(node: Unary, of: Expression) -> Expression:
    if node.op == "!" and isinstance(of, Literal) and isinstance(of.value, bool):
        return FALSE if of.value else TRUE
    return node if of is node.of else dataclasses.replace(node, of=of)


def _with(node: Expression, new: tuple[Expression, ...]) -> Expression:  # noqa: PLR0911 - likewise
    """The node with other parts, in their order."""
    match node:
        case Binary():
            return dataclasses.replace(node, left=new[0], right=new[1])
        case Index():
            return dataclasses.replace(node, of=new[0], index=new[1])
        case Macro():
            return dataclasses.replace(node, of=new[0], body=new[1])
        case Call():
            return dataclasses.replace(node, arguments=new)
        case Method():
            return dataclasses.replace(node, of=new[0], arguments=new[1:])
        case ListOf():
            return dataclasses.replace(node, items=new)
        case MapOf():
            return dataclasses.replace(node, entries=tuple((key, value) for (key, _), value in zip(node.entries, new, strict=True)))
        case _:
            return dataclasses.replace(cast("Member | Has", node), of=new[0])
