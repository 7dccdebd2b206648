"""Compares two policies by what they decide: who gains, who loses, what is only written otherwise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from proxy.policy.checking.plan import RulePlan
from proxy.policy.decision import Allow, Deny
from proxy.policy.difference import Digests
from proxy.review.comparing import answers, duties
from proxy.review.comparing.branches import Branch, TooMany, branches
from proxy.review.comparing.changes import Change, Comparison, Kind, Version
from proxy.review.comparing.course import Course, End, Granted, Refused
from proxy.review.comparing.declarations import declarations
from proxy.review.comparing.documents import Documents
from proxy.review.comparing.logic import Key
from proxy.review.comparing.units import Pair, pairs
from proxy.review.comparing.witness import Search, Witness, usual
from proxy.review.comparing.wording import condition
from proxy.review.comparing.world import World

SHOWN: Final = 3
"""Requests that are shown of one kind in one unit."""

TRIED: Final = 12
"""Ways of one kind in one unit for which a request is looked for."""

_Group = tuple[Kind, str, str]
"""Ways that belong together: their kind, the rule that is gained or lost, what else differs."""


Beyond = Callable[[Pair], Sequence[Witness] | None]
"""Says of a unit with too many cases what is newly allowed and newly denied: nothing if that is proven, None if nobody knows."""


def compare(
    old: Version,
    new: Version,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    beyond: Beyond = lambda _pair: None,
) -> Comparison:
    """Compare; `progress` is told how many units are done, and of how many."""
    comparer = _Comparer(old, new, beyond)
    found = list(pairs(old.policy, new.policy))
    changes: list[Change] = []
    rewritten: list[str] = []
    for number, pair in enumerate(found, 1):
        differing = [] if comparer.alike(pair) else [*comparer.changes(pair)]
        changes += differing
        if not differing and comparer.rewritten(pair):
            rewritten.append(f"{pair.operation} {pair.target}".strip())
        progress(number, len(found))
    touched = {(change.operation, change.target) for change in changes}
    return Comparison(
        changes=tuple(changes),
        declared=tuple(declarations(old.policy, new.policy)),
        rewritten=tuple(rewritten),
        same=len(found) - len(rewritten) - len(touched),
    )


class _Comparer:
    """Compares unit by unit."""

    def __init__(self, old: Version, new: Version, beyond: Beyond) -> None:
        self._beyond = beyond
        self._policies = old.policy, new.policy
        self._digests = Digests(old.policy), Digests(new.policy)
        self._documents = Documents((old.files, new.files))
        self._guests = old.policy.guests is not new.policy.guests
        self._typed = self._guests or old.policy.meta != new.policy.meta
        names = old.policy.facts.keys() & new.policy.facts.keys()
        self._moved = {name for name in names if old.policy.facts[name] != replace(new.policy.facts[name], fit=old.policy.facts[name].fit)}

    def alike(self, pair: Pair) -> bool:
        """Whether both sides are the same but for their layout."""
        return not self._typed and not self._differs(pair)

    def rewritten(self, pair: Pair) -> bool:
        """Whether the rules themselves are written otherwise."""
        facts = {name for unit in pair.units if unit for code in unit.codes for name in code.uses.facts}
        return self._differs(pair) and not facts & self._moved

    def _differs(self, pair: Pair) -> bool:
        first, second = (digests.own(id_) for digests, id_ in zip(self._digests, pair.ids, strict=True))
        return first != second

    def changes(self, pair: Pair) -> Iterator[Change]:
        """What differs in a unit."""
        sides = zip(self._policies, pair.units, strict=True)
        names, guests = self._documents.names, self._guests
        courses = [Course(p, side, unit, names, guests=guests, absent=pair.absent) for side, (p, unit) in enumerate(sides)]
        hidden = courses[0].barred & courses[1].barred
        groups: dict[_Group, list[Branch]] = {}
        try:
            for branch in branches(courses):
                for group in _groups(pair, courses, branch):
                    groups.setdefault(group, []).append(branch)
        except TooMany:
            yield from self._unfinished(pair)
        for (kind, _, detail), ways in groups.items():
            ways.sort(key=_oddity)
            yield from self._shown(Change(kind=kind, operation=pair.operation, target=pair.target, detail=detail), pair, ways, hidden)
        for kind, detail in answers.compared(self._policies, pair):
            yield Change(kind=kind, operation=pair.operation, target=pair.target, detail=detail)

    def _unfinished(self, pair: Pair) -> Iterator[Change]:
        """What can be said of a unit with too many cases; what comes with a grant is then not compared."""
        bare, detail = Change(kind="not compared", operation=pair.operation, target=pair.target), "there are too many cases"
        found = self._beyond(pair)
        for each in found or ():
            kind: Kind = "newly allowed" if isinstance(each.after, Allow) else "newly denied"
            yield replace(bare, kind=kind, before=_named(each.before), after=_named(each.after), witness=each)
        if found is not None:
            detail += "; who is allowed is the same" if not found else "; one request each is shown"
        yield replace(bare, detail=detail)

    def _shown(self, bare: Change, pair: Pair, ways: Sequence[Branch], hidden: frozenset[Key]) -> Iterator[Change]:
        """The change for each of the first ways that some request is found to take; for one way if there is none."""
        found: list[Change] = []
        for way in ways[:TRIED]:
            witness = self._witness(pair, way) if len(found) < _shown(bare) else None
            if witness is not None:
                change = replace(bare, when=condition(way, pair, hidden), witness=witness)
                found.append(replace(change, before=_named(witness.before), after=_named(witness.after)))
        if not found:
            unproven = replace(bare, when=condition(ways[0], pair, hidden))
            found = [replace(unproven, before=_ended(ways[0].before), after=_ended(ways[0].after))]
        yield from found[:-1]
        yield replace(found[-1], more=len(ways) - len(found))

    def _witness(self, pair: Pair, way: Branch) -> Witness | None:
        asked = usual(pair.asked, self._policies)
        on = [key[2] for key, found in way.answers.items() if key[0] == "on" and found]
        if "service" in asked and pair.channels:
            off = [key[2] for key, found in way.answers.items() if key[0] == "on" and not found]
            asked = {**asked, "channel": answers.channel(on, off)}
        digests = [question.key[1] for question in way.questions if question.key[0] == "fits"]
        search = Search(self._policies, self._documents.samples(digests))
        found = search.find(World(asked=asked, channels=tuple(on) or pair.channels), way.questions, way.answers)
        return found if found and (_same(found.before, way.before) and _same(found.after, way.after)) else None


def _groups(pair: Pair, courses: Sequence[Course], branch: Branch) -> Iterator[_Group]:
    before, after = branch.before, branch.after
    if isinstance(before, Refused):
        if isinstance(after, Granted):
            yield "newly allowed", after.rule, ""
        elif before.reason != after.reason and all(pair.units):
            yield "refused otherwise", "", ""
    elif isinstance(after, Refused):
        yield "newly denied", before.rule, ""
    else:
        old, new = (_rule(unit.plan.rules, end.rule) for unit, end in zip(pair.units, (before, after), strict=True) if unit)
        spelled = courses[0].spelled[before.rule], courses[1].spelled[after.rule]
        yield from ((kind, "", detail) for kind, detail in duties.compared(old.obligations, new.obligations, spelled))


def _shown(change: Change) -> int:
    return SHOWN if change.kind in ("newly allowed", "newly denied") else 1


def _rule(rules: Sequence[RulePlan], id_: str) -> RulePlan:
    return next(rule for rule in rules if rule.id == id_)


def _oddity(way: Branch) -> tuple[int, int]:
    """How far a way is from what usually happens."""
    odd = sum(each.usual is not None and way.answers[each.key] is not each.usual for each in way.questions)
    return odd, len(way.questions)


def _same(decision: Allow | Deny, end: End) -> bool:
    if isinstance(decision, Allow):
        return end == Granted(rule=decision.rule)
    return isinstance(end, Refused) and end.reason == decision.reason


def _named(decision: Allow | Deny) -> str:
    """The rule that allows and where it stands, or the reason of a refusal with what gave it."""
    if isinstance(decision, Allow):
        return f"allowed by {decision.rule} ({decision.at})" if decision.at else f"allowed by {decision.rule}"
    return f"denied: {decision.reason}" + (f" ({decision.at})" if decision.at else "")


def _ended(end: End) -> str:
    return f"allowed by {end.rule}" if isinstance(end, Granted) else f"denied: {end.reason}"
