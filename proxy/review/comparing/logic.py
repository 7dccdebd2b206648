"""Conditions as formulas over questions to the request, with the errors and lost facts of the language.

A question has the answer yes or no. That an expression errs or loses a fact is asked in questions of its own, before the one it
spoils, so that two answers are enough for each and every formula has one of four verdicts.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Key = tuple[Any, ...]
"""What is asked, spelled so that equal keys have equal answers for one request."""

Answers = Mapping[Key, bool]


class Woe(enum.Enum):
    """Why a condition has no value."""

    error = "error"
    lost = "lost"


Verdict = bool | Woe


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something that a request answers; `yes` and `no` are the answers in words.

    `test` finds the answer for the two views of one request. A `mishap` answered with yes, or a `premise` answered with no, is what
    hardly ever happens.
    """

    key: Key
    yes: str = field(compare=False)
    no: str = field(compare=False)
    test: Callable[[Any], bool] = field(compare=False, repr=False)
    usual: bool | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """An answer that leaves an expression without a value."""

    question: Question
    when: bool
    woe: Woe


Risks = tuple[Risk, ...]
"""In the order of evaluation: the first that strikes counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to a question, unless something spoils it."""

    question: Question
    risks: Risks = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opposite:
    """`!of`."""

    of: "Formula"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """`&&` (`ending` is false) or `||` (`ending` is true)."""

    ending: bool
    terms: tuple["Formula", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`test ? then : other`."""

    test: "Formula"
    then: "Formula"
    other: "Formula"


Formula = Fixed | Asked | Opposite | Joined | Choice

TRUE: Final = Fixed(value=True)


class Unanswered(Exception):
    """A verdict depends on the answer to this question."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.key)
        self.question = question


def answer(question: Question, answers: Answers) -> bool:
    """The answer; raises `Unanswered`."""
    try:
        return answers[question.key]
    except KeyError:
        raise Unanswered(question) from None


def spoilt(risks: Iterable[Risk], answers: Answers) -> Woe | None:
    """What leaves an expression without a value; raises `Unanswered`."""
    for risk in risks:
        if answer(risk.question, answers) is risk.when:
            return risk.woe
    return None


def verdict(formula: Formula, answers: Answers) -> Verdict:
    """What a condition comes to, as the exact evaluation has it; raises `Unanswered`."""
    match formula:
        case Fixed():
            return formula.value
        case Asked():
            return spoilt(formula.risks, answers) or answer(formula.question, answers)
        case Opposite():
            found = verdict(formula.of, answers)
            return found if isinstance(found, Woe) else not found
        case Joined():
            return _joined(formula, answers)
        case _:
            found = verdict(formula.test, answers)
            return found if isinstance(found, Woe) else verdict(formula.then if found else formula.other, answers)


def _joined(formula: Joined, answers: Answers) -> Verdict:
    """The ending value absorbs errors on either side; a lost fact is never absorbed."""
    erred = False
    for term in formula.terms:
        found = verdict(term, answers)
        if found is Woe.lost or found is formula.ending:
            return found
        erred |= found is Woe.error
    return Woe.error if erred else not formula.ending
