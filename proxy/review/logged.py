"""Lines of the decision log, read back: what was asked, what was decided, and the facts of that moment."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.errors import Malformed
from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.declared import Fact
from proxy.review.lines import Given, answer, fact_text, request, strict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: `decided` has the members that the command `decide` writes, facts go by their text; times are milliseconds."""

    at_ms: int
    revision: str
    request: Request
    decided: Mapping[str, Any]
    facts: Mapping[str, object]
    ages_ms: Mapping[str, int]

    def differences(self, found: Allow | Deny) -> Iterator[str]:
        """What has to be said beside this decision on the same request, made again."""
        before = tuple(self.decided.get(name) for name in ("effect", "reason", "rule"))
        now = answer(found)
        if self.revision != found.revision:
            yield f"the policy was another one then: {self.revision}, now {found.revision}"
        if before != (now["effect"], now["reason"], now.get("rule")):
            effect, reason, rule = before
            yield f"it was decided otherwise: {effect} because {reason}" + (f" by {rule}" if rule else "")
        if self.decided.get("reason") == "limit":
            yield "the limit was used up then; here nothing is counted"


class Recalled:
    """The facts of a line of the log; one that was not read then is lost, whatever its type."""

    def __init__(self, declared: Mapping[str, Fact], entry: Entry) -> None:
        self._given, self._entry = Given(declared, entry.facts), entry

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as it was then."""
        text = fact_text(key)
        if text not in self._entry.facts:
            return Lost(why="not in the log")
        found, age = self._given.get(key), self._entry.ages_ms.get(text)
        return dataclasses.replace(found, at_ms=self._entry.at_ms - age) if isinstance(found, Known) and age is not None else found


def read(line: str) -> Entry:
    """Read a line; raises `Malformed`."""
    found = strict(line)
    try:
        asked, decided, revision = found["request"], found["decision"], found["revision"]
        facts, ages, at_ms = asked["facts"], found["ages_ms"], found["at_ms"]
        fine = isinstance(revision, str) and type(at_ms) is int and isinstance(facts, dict) and isinstance(decided["effect"], str)
        fine = fine and all(type(age) is int for age in ages.values())
    except (KeyError, TypeError, AttributeError):
        fine = False
    if not fine:
        raise Malformed("this is no line of the decision log")
    made = request(asked)
    made.ambiguous |= asked.get("ambiguous") is True
    return Entry(at_ms=at_ms, revision=revision, request=made, decided=decided, facts=facts, ages_ms=ages)
