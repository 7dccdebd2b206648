"""Formulas for the solver, kept small: what is plainly true or false leaves no trace."""

from collections.abc import Iterable
from typing import Final

import z3

TRUE: Final = z3.BoolVal(True)  # noqa: FBT003 - a term
FALSE: Final = z3.BoolVal(False)  # noqa: FBT003 - a term


LAST: Final = 0x1FFFF
"""The last character that texts of a policy may have here: the solver ends at 0x2ffff, and something must be left for those beyond."""


def told(value: object) -> bool:
    """Whether a value of the policy can be told to the solver as it is."""
    return not isinstance(value, str) or all(ord(character) <= LAST for character in value)


def every(terms: Iterable[z3.BoolRef]) -> z3.BoolRef:
    """Give the conjunction."""
    kept = [term for term in terms if not z3.is_true(term)]
    if any(z3.is_false(term) for term in kept):
        return FALSE
    return z3.And(kept) if len(kept) > 1 else kept[0] if kept else TRUE


def some(terms: Iterable[z3.BoolRef]) -> z3.BoolRef:
    """Give the disjunction."""
    kept = [term for term in terms if not z3.is_false(term)]
    if any(z3.is_true(term) for term in kept):
        return TRUE
    return z3.Or(kept) if len(kept) > 1 else kept[0] if kept else FALSE


def opposite(term: z3.BoolRef) -> z3.BoolRef:
    """Give the negation."""
    if z3.is_true(term) or z3.is_false(term):
        return FALSE if z3.is_true(term) else TRUE
    return term.arg(0) if z3.is_not(term) else z3.Not(term)


def implied(test: z3.BoolRef, then: z3.BoolRef) -> z3.BoolRef:
    """Give the implication."""
    return some((opposite(test), then))


def choice(test: z3.BoolRef, then: z3.ExprRef, other: z3.ExprRef) -> z3.ExprRef:
    """Give one of two terms."""
    if z3.is_true(test) or z3.is_false(test):
        return then if z3.is_true(test) else other
    return then if then.eq(other) else z3.If(test, then, other)


def string(value: str) -> z3.SeqRef:
    """Give a text as a term; the solver would read escapes into it."""
    return z3.StringVal("".join(character if "!" <= character <= "[" else f"\\u{{{ord(character):x}}}" for character in value))


def text(term: z3.SeqRef) -> str:
    """Give the text of a value of the solver, whose escapes are undone."""
    head, *rest = term.as_string().split("\\u{")
    return str(head) + "".join(chr(int(code, 16)) + after for code, _, after in (part.partition("}") for part in rest))
