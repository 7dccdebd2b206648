"""Lines of the decision log, read back: what was asked, what was decided, and the facts of that moment."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from proxy.errors import Malformed
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.declared import Fact
from proxy.policy.policy import Policy
from proxy.review.explain import Explanation, declared, explained, whole
from proxy.review.lines import Given, answer, fact_text, request, strict, wide
from proxy.review.masks import looked_at, masked
from proxy.review.replay import LONGEST


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: `decided` has the members that the command `decide` writes, facts go by their text; times are milliseconds."""

    at_ms: int
    revision: str
    request: Request
    decided: Mapping[str, Any]
    facts: Mapping[str, object]
    ages_ms: Mapping[str, int]

    def explained(self, policy: Policy, place: str) -> Explanation:
        """Explain the decision as the policy makes it now of what was known then; `place` says in words where the line stands."""
        facts = _Recalled(policy.facts, self)
        told = whole(policy, self.request, facts)
        notes = [place, *self._differences(told.found)]
        if hidden := looked_at(policy, self.request, facts) or facts.hidden:
            notes.append(f"{hidden}, so that it may have been otherwise")
        return explained(self.request, told, declared(policy), self.at_ms, notes)

    def _differences(self, found: Allow | Deny) -> Iterator[str]:
        """What has to be said beside the decision on the same request, made again."""
        before = tuple(self.decided.get(name) for name in ("effect", "reason", "rule"))
        if self.revision != found.revision:
            yield f"the policy was another one then: {self.revision or 'none'}, now {found.revision}"
        now = answer(found)
        if before != tuple(now.get(name) for name in ("effect", "reason", "rule")):
            effect, reason, rule = before
            yield f"it was decided otherwise: {effect} because {reason}" + (f" by {rule}" if rule else "")
        if self.decided.get("reason") == "limit":
            yield "the limit was used up then; here nothing is counted"


class _Recalled:
    """The facts of a line of the log; one that was not read then is lost, whatever its type. `hidden` names one that a mask spoilt."""

    def __init__(self, facts: Mapping[str, Fact], entry: Entry) -> None:
        self.hidden = ""
        self._given, self._entry = Given(facts, entry.facts), entry

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as it was then."""
        text = fact_text(key)
        if text not in self._entry.facts:
            return Lost(why="not in the log")
        found, age = self._given.get(key), self._entry.ages_ms.get(text)
        if isinstance(found, Lost):
            self.hidden = f"{text} is masked" if masked(self._entry.facts[text]) else self.hidden
            return found
        return found if age is None else dataclasses.replace(found, at_ms=self._entry.at_ms - age)


def lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a log, an empty one for each that is longer than `LONGEST` bytes."""
    while line := stream.readline(LONGEST):
        rest = line
        while len(rest) == LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST)
        yield line if rest is line else b""


def read(line: bytes) -> Entry:
    """Read a line; raises `Malformed`."""
    try:
        found = strict(line.decode())
        asked, decided, revision = found["request"], found["decision"], found["revision"]
        facts, ages, at_ms = asked["facts"], found["ages_ms"], found["at_ms"]
        fine = isinstance(revision, str) and isinstance(facts, dict) and isinstance(decided["effect"], str)
        fine = fine and all(type(time) is int and not wide(time) for time in (at_ms, *ages.values()))
    except (Malformed, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        fine = False
    if not fine:
        raise Malformed("this is no line of the decision log")
    made = request(asked)
    made.ambiguous |= asked.get("ambiguous") is True
    return Entry(at_ms=at_ms, revision=revision, request=made, decided=decided, facts=facts, ages_ms=ages)
