"""What expressions come to: a value, an error, or a fact that is lost; errors are absorbed as the exact evaluation absorbs them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import z3

from proxy.review.proving.logic import FALSE, TRUE, every, opposite, some
from proxy.review.proving.operators import Result, unlike
from proxy.review.proving.values import Choice, Scalar, Value, of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """When the expression errs, when it loses a fact, and its value if neither; both exclude each other."""

    err: z3.BoolRef = FALSE
    lost: z3.BoolRef = FALSE
    value: Value

    @property
    def fine(self) -> z3.BoolRef:
        """When there is a value."""
        return opposite(some((self.err, self.lost)))

    @property
    def true(self) -> z3.BoolRef:
        """When it is a condition that holds."""
        return self._condition(holds=True)

    @property
    def false(self) -> z3.BoolRef:
        """When it is a condition that does not hold."""
        return self._condition(holds=False)

    def _condition(self, *, holds: bool) -> z3.BoolRef:
        if "bool" not in self.value.kinds:
            return FALSE
        term = self.value.term("bool")
        return every((self.fine, of(self.value, "bool"), term if holds else opposite(term)))


def strict(parts: Sequence[Outcome], do: Callable[..., Result], free: Callable[[], Outcome]) -> Outcome:
    """`do` with all values; the first that has none decides. `free` is an outcome of which nothing is known."""
    errs, lost, before = [], [], TRUE
    for part in parts:
        errs.append(every((before, part.err)))
        lost.append(every((before, part.lost)))
        before = every((before, part.fine))
    found = do(*(part.value for part in parts))
    if z3.is_false(found.free):
        return Outcome(err=some((*errs, every((before, found.err)))), lost=some(lost), value=found.value)
    unknown = free()
    err = some((every((opposite(found.free), found.err)), every((found.free, unknown.err))))
    value = unknown.value if z3.is_true(found.free) else Choice(test=found.free, then=unknown.value, other=found.value)
    return Outcome(err=some((*errs, every((before, err)))), lost=some(lost), value=value)


def chained(parts: Iterable[Outcome], *, ending: bool) -> Outcome:
    """`||` (`ending` is true) or `&&`: the ending value absorbs errors on either side, a lost fact ends it and is never absorbed."""
    lost, ended, failed = FALSE, FALSE, FALSE
    for part in parts:
        going = opposite(some((lost, ended)))
        lost = some((lost, every((going, part.lost))))
        failed = some((failed, part.err, every((part.fine, unlike(part.value, "bool")))))
        ended = some((ended, every((going, part.true if ending else part.false))))
    holds = ended if ending else opposite(ended)
    return Outcome(err=every((failed, opposite(some((lost, ended))))), lost=lost, value=Scalar(kind="bool", of=holds))


def chosen(test: Outcome, then: Outcome, other: Outcome) -> Outcome:
    """`test ? then : other`."""
    yes, no = test.true, test.false
    return Outcome(
        err=some((test.err, every((test.fine, unlike(test.value, "bool"))), every((yes, then.err)), every((no, other.err)))),
        lost=some((test.lost, every((yes, then.lost)), every((no, other.lost)))),
        value=Choice(test=yes, then=then.value, other=other.value),
    )


def counted(parts: Sequence[Outcome]) -> Outcome:
    """`exists_one`: the first part without a value decides."""
    errs, lost, before, held = [], [], TRUE, []
    for part in parts:
        errs.append(every((before, some((part.err, every((part.fine, unlike(part.value, "bool"))))))))
        lost.append(every((before, part.lost)))
        before = every((before, some((part.true, part.false))))
        held.append(part.true)
    one = z3.PbEq([(each, 1) for each in held], 1) if held else FALSE
    return Outcome(err=some(errs), lost=some(lost), value=Scalar(kind="bool", of=one))
