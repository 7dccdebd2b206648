"""Reads conditions as formulas, so that what means the same is spelled the same."""

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import operations
from proxy.policy.checking.world import Code
from proxy.policy.failure import Failed
from proxy.policy.meter import FREE
from proxy.policy.reading import syntax
from proxy.policy.types import ANY, BOOL, DOUBLE, INT, NULL, STRING, ListOf, MapOf, Nullable, Type
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import (
    TRUE,
    Asked,
    Choice,
    Fixed,
    Formula,
    Joined,
    Key,
    Opposite,
    Question,
    Risk,
    Risks,
    Woe,
)  # fmt: skip
from proxy.review.comparing.terms import Term, Terms, holds, null

_SCALARS: Final = (BOOL, INT, DOUBLE, STRING, NULL)
_NUMBERS: Final = (INT, DOUBLE)
_ORDER: Final = ("<", "<=", ">", ">=")


class Conditions(Terms):
    """Reads the conditions of one policy."""

    def condition(self, code: Code | None) -> Formula:
        """The formula of a whole condition; of none, `true`."""
        return TRUE if code is None else self._formula(code.node, code)

    def _formula(self, node: syntax.Expression, code: Code) -> Formula:
        match node:
            case syntax.Literal(value=bool() as value):
                return Fixed(value=value)
            case syntax.Paren():
                return self._formula(node.of, code)
            case syntax.Unary(op="!"):
                return Opposite(of=self._formula(node.of, code))
            case syntax.Chain():
                return Joined(ending=node.op == "||", terms=tuple(self._formula(term, code) for term in node.terms))
            case syntax.Conditional():
                test, then, other = (self._formula(each, code) for each in (node.test, node.then, node.other))
                return Choice(test=test, then=then, other=other)
            case _:
                return self._leaf(node, code)

    def _leaf(self, node: syntax.Expression, code: Code) -> Formula:  # noqa: PLR0911 - likewise
        match node:
            case syntax.Binary(op="=="):
                return self._same(node, code)
            case syntax.Binary(op="!="):
                return Opposite(of=self._same(node, code))
            case syntax.Binary(op="in"):
                return self._within(node, code)
            case syntax.Binary() if node.op in _ORDER:
                return self._ordered(node, code)
            case syntax.Has():
                return self._has(node, code)
            case syntax.Name() if (binding := self._let(node, code)) is not None:
                return self._formula(binding.node, binding)
            case _:
                return self._truth(self.term(node, code))

    def _truth(self, of: Term) -> Formula:
        """A value as a condition; one that may be no bool errs then."""
        question = Question(key=("true", of.key), yes=of.text, no=f"!{of.text}", test=lambda views: of.probe(views) is True)
        if of.type == BOOL:
            return Asked(question=question, risks=of.risks)
        bool_ = Question(
            key=("bool", of.key),
            yes=f"{of.text} is a bool",
            no=f"{of.text} is no bool",
            test=lambda views: isinstance(of.probe(views), bool),
            usual=True,
        )
        return Asked(question=question, risks=(*of.risks, Risk(question=bool_, when=False, woe=Woe.error)))

    def _same(self, node: syntax.Binary, code: Code) -> Formula:
        for side, other in ((node.left, node.right), (node.right, node.left)):
            value = _bare(side)
            if isinstance(value, syntax.Literal) and isinstance(value.value, bool):
                found = self.term(other, code)
                if found.type == BOOL:
                    formula = self._formula(other, code)
                    return formula if value.value else Opposite(of=formula)
        return equal(self.term(node.left, code), self.term(node.right, code))

    def _within(self, node: syntax.Binary, code: Code) -> Formula:
        item, members = self.term(node.left, code), _bare(node.right)
        if isinstance(members, syntax.ListOf) and members.items:
            terms = [self.term(each, code) for each in members.items]
            if not any(term.risks for term in terms):
                return Joined(ending=True, terms=tuple(equal(item, term) for term in terms))
        among = self.term(node.right, code)
        safe = (item.type == STRING and isinstance(among.type, MapOf)) or (
            isinstance(among.type, ListOf) and _comparable(item.type, among.type.of)
        )
        text = f"{item.text} in {among.text}"
        question = Question(
            key=("in", item.key, among.key),
            yes=text,
            no=f"!({text})",
            test=lambda views: _true(operations.within, FREE, item.probe(views), among.probe(views)),
        )
        return Asked(question=question, risks=(*item.risks, *among.risks, *(() if safe else _trouble(question, item, among))))

    def _ordered(self, node: syntax.Binary, code: Code) -> Formula:
        """`a > b` is `b < a`, and where no NaN can be, `a <= b` is `!(b < a)`."""
        left, right = self.term(node.left, code), self.term(node.right, code)
        swapped = node.op in (">", "<=")
        low, high = (right, left) if swapped else (left, right)
        if node.op in ("<=", ">=") and (_divided(left.key) or _divided(right.key)):
            return self._truth(self.opaque(node, code))
        less = _less(low, high, (*left.risks, *right.risks))
        return less if node.op in ("<", ">") else Opposite(of=less)

    def _has(self, node: syntax.Has, code: Code) -> Formula:
        of = self.term(node.of, code)
        _, risks = self.opened(of)
        return Asked(question=holds(of, node.name.text), risks=(*of.risks, *risks))


def equal(left: Term, right: Term) -> Formula:
    """`left == right`, the same whichever stands first."""
    for side, other in ((left, right), (right, left)):
        if side.key == spelling.constant(None):
            return Asked(question=null(other), risks=other.risks)
    first, second = sorted((left, right), key=lambda term: (term.key[0] == "const", repr(term.key)))
    question = Question(
        key=("==", first.key, second.key),
        yes=f"{first.text} == {second.text}",
        no=f"{first.text} != {second.text}",
        test=lambda views: _true(operations.equal, FREE, first.probe(views), second.probe(views)),
    )
    risks = (*left.risks, *right.risks)
    return Asked(question=question, risks=risks if _comparable(left.type, right.type) else (*risks, *_trouble(question, first, second)))


def _less(low: Term, high: Term, risks: Risks) -> Formula:
    """`low < high`; of ints, `4 < x` is `!(x < 5)`."""
    numbers = low.type in _NUMBERS and high.type in _NUMBERS
    question = Question(
        key=("<", low.key, high.key),
        yes=f"{low.text} < {high.text}",
        no=f"{low.text} >= {high.text}",
        test=lambda views: _true(operations.less, low.probe(views), high.probe(views)),
    )
    if low.key[0] == "const" and low.type == high.type == INT:
        edge = low.key[2] + 1
        question = Question(
            key=("<", high.key, spelling.constant(edge)),
            yes=f"{high.text} < {edge}",
            no=f"{high.text} >= {edge}",
            test=lambda views: _true(operations.less, high.probe(views), edge),
        )
        return Opposite(of=Asked(question=question, risks=risks))
    safe = numbers or low.type == high.type == STRING
    return Asked(question=question, risks=risks if safe else (*risks, *_trouble(question, *sorted((low, high), key=lambda t: repr(t.key)))))


def _trouble(question: Question, first: Term, second: Term) -> Risks:
    """That two values cannot be compared."""
    kind = {"==": "==", "in": "in"}.get(question.key[0], "order")
    incomparable = Question(
        key=("incomparable", kind, first.key, second.key),
        yes=f"{first.text} cannot be compared with {second.text}",
        no=f"{first.text} can be compared with {second.text}",
        test=lambda views: _fails(_COMPARE[kind], first.probe(views), second.probe(views)),
        usual=False,
    )
    return (Risk(question=incomparable, when=True, woe=Woe.error),)


_COMPARE: Final[dict[str, Callable[[Any, Any], object]]] = {
    "==": lambda left, right: operations.equal(FREE, left, right),
    "in": lambda left, right: operations.within(FREE, left, right),
    "order": operations.less,
}


def _fails(compare: Callable[[Any, Any], object], left: object, right: object) -> bool:
    try:
        compare(left, right)
    except Failed:
        return True
    return False


def _true(compare: Callable[..., object], *values: object) -> bool:
    try:
        return compare(*values) is True
    except Failed:
        return False


def _comparable(left: Type, right: Type) -> bool:
    """Whether `==` on two values of these types always has a value."""
    one, other = (each.of if isinstance(each, Nullable) else each for each in (left, right))
    return one != ANY and (one == other or NULL in (one, other) or (one in _NUMBERS and other in _NUMBERS)) and one in _SCALARS


def _divided(key: Key) -> bool:
    return any(inner[:2] == ("call", "/") for inner in spelling.inside(key)) or any(
        inner[:2] == ("sign", "/") for inner in spelling.inside(key)
    )


def _bare(node: syntax.Expression) -> syntax.Expression:
    while isinstance(node, syntax.Paren):
        node = node.of
    return node
