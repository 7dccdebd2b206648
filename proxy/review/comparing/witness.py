"""Finds a request that takes a given way through two policies, and lets both decide it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, cast

from proxy.errors import Malformed
from proxy.policy.decision import Allow, Deny, FactKey
from proxy.policy.policy import Policy
from proxy.review import lines
from proxy.review.comparing import spelling
from proxy.review.comparing.logic import Key, Question
from proxy.review.comparing.samples import MISSING, PLAIN, near, sample
from proxy.review.comparing.world import LOST, NOW_MS, Source, View, World, rooted

TRIES: Final = 800
"""Requests that are tried for one way at most."""

_DROPPED: Final = ("timestamp_ms", "client", "transport", "labels", "headers", "tags", "meta", "data", "name", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A request, as the command `decide` reads it, and what both policies decided."""

    request: Mapping[str, Any]
    before: Allow | Deny
    after: Allow | Deny


class Search:
    """Looks for one request: first with usual values, then with others where an answer is not the wanted one.

    `payloads` are samples of the schemas involved.
    """

    def __init__(self, policies: tuple[Policy, Policy], payloads: Sequence[object]) -> None:
        self._policies, self._payloads = policies, payloads
        self._left = 0

    def find(self, world: World, questions: Sequence[Question], answers: Mapping[Key, bool]) -> Witness | None:
        """A request that answers the questions so, or None if none was found."""
        self._left = TRIES
        found = self._settled(world, questions, answers)
        return self._decided(found) if found else None

    def _settled(self, world: World, questions: Sequence[Question], answers: Mapping[Key, bool]) -> World | None:
        wrong = self._first_wrong(world, questions, answers)
        if wrong is None:
            return world
        for other in self._others(world, questions[wrong]):
            if self._left <= 0:
                return None
            reached = self._first_wrong(other, questions, answers)
            if reached is None or reached > wrong:
                found = self._settled(other, questions, answers)
                if found:
                    return found
        return None

    def _first_wrong(self, world: World, questions: Sequence[Question], answers: Mapping[Key, bool]) -> int | None:
        self._left -= 1
        views = self._views(world)
        if views is None:
            return -1
        return next((n for n, each in enumerate(questions) if each.test(views) is not answers[each.key]), None)

    def _views(self, world: World) -> tuple[View, View] | None:
        line = world.request()
        source = Source(world, line, self._policies)
        try:
            old, new = (View(policy, line, source) for policy in self._policies)
        except Malformed:
            return None
        return old, new

    def _others(self, world: World, question: Question) -> Iterator[World]:
        """Worlds with one other value in a place that the question looks at, then with two."""
        slots = list(dict.fromkeys(_slots(question.key)))
        line = world.request()
        values = {slot: list(self._values(slot, question, world, line)) for slot in slots}
        for slot in slots:
            yield from (world.having(slot, value) for value in values[slot])
        for one in slots:
            for other in slots:
                if one != other:
                    yield from (world.having(one, a).having(other, b) for a in values[one] for b in values[other])

    def _values(self, slot: Key, question: Question, world: World, line: Mapping[str, Any]) -> Iterator[object]:
        if slot in (("name", "data"), ("payload",)):
            now = line.get("data")
            yield from ({**each, **now} for each in self._payloads if isinstance(each, dict) and isinstance(now, dict))
            yield from self._payloads
            yield {"n": 1 << 64}
        if slot[0] == "fact":
            yield LOST
        if question.key[0] in ("has", "holder", "client", "errs"):
            yield MISSING
        found = [world.known(each, line) for each in _slots(question.key) if each != slot]
        constants = [key[2] for key in spelling.inside(question.key) if key[0] == "const"]
        yield from _once(chain((value for value in found if value is not MISSING), chain.from_iterable(map(near, constants)), PLAIN))

    def _decided(self, world: World) -> Witness:
        """What both decide on the request as a line, with no more in it than they need to decide so."""
        line = world.request()
        source = Source(world, line, self._policies)
        found = self._both(line, source)
        for name in _DROPPED:
            rest = {key: value for key, value in line.items() if key != name}
            less = self._both(rest, source) if name in line else None
            if less and [_gist(each) for each in less] == [_gist(each) for each in found]:
                line, found = rest, less
        keys: dict[FactKey, None] = dict.fromkeys([*found[0].facts, *found[1].facts])
        facts = {lines.fact_text(key): source.raw(key) for key in keys}
        request = {**line, **({"facts": facts} if facts else {})}
        return self._confirmed(request)

    def _confirmed(self, request: Mapping[str, Any]) -> Witness:
        """What both decide on exactly what is shown."""
        given = request.get("facts", {})
        asked = lines.request(request)
        old, new = (cast("Allow | Deny", policy.decide(asked, lines.Given(policy.facts, given))) for policy in self._policies)
        return Witness(request=request, before=old, after=new)

    def _both(self, line: Mapping[str, Any], source: Source) -> tuple[Allow | Deny, Allow | Deny]:
        request = lines.request(line)
        old, new = (cast("Allow | Deny", p.decide(request, View(p, line, source))) for p in self._policies)
        return old, new


def _slots(key: Key) -> Iterator[Key]:
    """The places that a question looks at, those inside first."""
    match key[0]:
        case "ambiguous" | "object" | "fits":
            yield ("name", "data")
        case "client":
            yield ("name", "client")
        case "has":
            yield ("member", key[1], key[2])
    for inner in spelling.inside(key):
        if rooted(inner)[0][0] in ("name", "vars", "fact", "payload") and inner[:2] != ("name", "vars"):
            yield inner


def _once(values: Iterator[object]) -> Iterator[object]:
    seen: set[str] = set()
    for value in values:
        text = repr(value)
        if text not in seen:
            seen.add(text)
            yield value


def _gist(decision: Allow | Deny) -> object:
    """What must stay while a request is made smaller."""
    if isinstance(decision, Deny):
        return decision.reason
    return {name: value for name, value in lines.answer(decision).items() if name != "facts"}


def written(witness: Witness) -> str:
    """The request as one line of JSON."""
    return json.dumps(witness.request, ensure_ascii=False)


def usual(target: Mapping[str, Any], policies: Sequence[Policy]) -> dict[str, Any]:
    """A usual request: `target` says what is asked, of which channel, method or service."""
    if "service" in target:
        return {**target, "timestamp_ms": NOW_MS}
    metas = [sample(policy.meta) for policy in policies if policy.meta is not None]
    meta = {name: value for each in metas if isinstance(each, dict) for name, value in each.items()}
    return {"user": "ann", **target, "client": "c1", "transport": "websocket", "timestamp_ms": NOW_MS, **({"meta": meta} if metas else {})}
