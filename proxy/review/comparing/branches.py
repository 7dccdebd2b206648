"""Every way in which two decisions can end, by the answers that lead there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.review.comparing.course import Course, End, sides
from proxy.review.comparing.logic import Answers, Question, Unanswered
from proxy.review.comparing.theory import possible

MOST: Final = 4_000
"""Ways that are looked at; of units with more it is said that they are not compared to the end."""


class TooMany(Exception):
    """There are more ways than are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One way: the answers in the order in which they were needed, with their questions, and both ends."""

    answers: Answers
    questions: tuple[Question, ...]
    before: End
    after: End


def branches(courses: Sequence[Course]) -> Iterator[Branch]:
    """Give the ways, what is usual first; raises `TooMany`. A way may be one that no request takes."""
    waiting: list[tuple[Answers, tuple[Question, ...]]] = [({}, ())]
    looked = 0
    while waiting:
        answers, questions = waiting.pop()
        looked += 1
        if looked > MOST:
            raise TooMany
        try:
            before, after = sides(courses, answers)
        except Unanswered as unanswered:
            question = unanswered.question
            first = question.usual is not False
            for found in (not first, first):
                wider = {**answers, question.key: found}
                if possible(wider, question.key):
                    waiting.append((wider, (*questions, question)))
        else:
            yield Branch(answers=answers, questions=questions, before=before, after=after)
