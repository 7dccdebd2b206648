"""Pairs what two policies decide: for each operation on channels that both know, on those that one knows, and for all the rest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.policy.checking.plan import Plan
from proxy.policy.decision import OPERATIONS
from proxy.policy.overlap import Undecided, overlap, witness
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.review.comparing import spelling
from proxy.review.comparing.course import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One operation on one target in both policies; `ids` name the units as `proxy.policy.difference.Digests` does.

    `channels` are patterns that the channel matches, `asked` the members of a request that name the target.
    """

    operation: str
    target: str
    ids: tuple[str, str]
    units: tuple[Unit | None, Unit | None]
    asked: Mapping[str, Any]
    channels: tuple[Pattern, ...] = ()
    absent: str = "no_channel"
    """The reason where a policy has no such unit."""


def pairs(old: Policy, new: Policy) -> Iterator[Pair]:
    """Give every pair of which at least one side can allow something."""
    before, after = old.decider.plans, new.decider.plans
    connects = tuple(Unit(plan=each.plan, late=each.data) for each in (before.connect, after.connect))
    yield Pair(operation="connect", target="", ids=("connect", "connect"), units=(connects[0], connects[1]), asked={"op": "connect"})
    yield from _channels(before.channels, after.channels)
    for method in _both(before.rpcs, after.rpcs):
        found = [plans.rpcs.get(method) for plans in (before, after)]
        units = [Unit(plan=each.plan, late=each.answer.value) if each else None for each in found]
        id_ = f"rpc/{method}"
        yield Pair(
            operation="rpc",
            target=method,
            ids=(id_, id_),
            units=(units[0], units[1]),
            asked={"op": "rpc", "method": method},
            absent="no_method",
        )
    for name in _both(before.services, after.services):
        yield from _methods(name, before.services.get(name), after.services.get(name))


def _methods(name: str, before: Mapping[str, Plan] | None, after: Mapping[str, Plan] | None) -> Iterator[Pair]:
    for method in _both(before or {}, after or {}):
        plans = [each[method] if each is not None else None for each in (before, after)]
        units = [Unit(plan=plan) if plan is not None else None for plan in plans]
        if any(plan.rules for plan in plans if plan):
            patterns = dict.fromkeys(rule.pattern for plan in plans if plan for rule in plan.rules if rule.pattern)
            id_ = f"service/{name}/{method}"
            yield Pair(
                operation=method,
                target=f"service {name}",
                ids=(id_, id_),
                units=(units[0], units[1]),
                asked={"service": name, "method": method},
                channels=tuple(patterns),
                absent="no_identity",
            )


_Channels = Sequence[tuple[Pattern, Mapping[str, Plan]]]


def _channels(before: _Channels, after: _Channels) -> Iterator[Pair]:
    """Patterns that differ in names only belong together; the others are compared wherever a channel matches two, or one alone."""
    frames = {spelling.frame(pattern): (pattern, plans) for pattern, plans in after}
    alone, known = [], set()
    for pattern, plans in before:
        frame = spelling.frame(pattern)
        if frame in frames:
            known.add(frame)
            yield from _operations((pattern, plans), frames[frame], _shown(pattern), (pattern, frames[frame][0]))
        else:
            alone.append((pattern, plans))
    fresh = [(pattern, plans) for frame, (pattern, plans) in frames.items() if frame not in known]
    for one in alone:
        for other in fresh:
            channel = overlap(one[0], other[0]) if _near(one[0], other[0]) else None
            if channel is not None:
                yield from _operations(one, other, channel, (one[0], other[0]))
    for pattern, plans in alone:
        yield from _operations((pattern, plans), None, _beside(pattern, [p for p, _ in fresh]), (pattern,))
    for pattern, plans in fresh:
        yield from _operations(None, (pattern, plans), _beside(pattern, [p for p, _ in alone]), (pattern,))


_Entry = tuple[Pattern, Mapping[str, Plan]]


def _operations(before: _Entry | None, after: _Entry | None, channel: str | None, channels: tuple[Pattern, ...]) -> Iterator[Pair]:
    if channel is None:
        return
    names = [entry[0].text if entry else "" for entry in (before, after)]
    target = " → ".join(dict.fromkeys(name for name in names if name))
    for op in OPERATIONS:
        units = [entry and Unit(plan=entry[1][op], pattern=entry[0]) for entry in (before, after)]
        if any(unit.plan.rules for unit in units if unit):
            yield Pair(
                operation=op,
                target=target,
                ids=(f"{names[0]}/{op}", f"{names[1]}/{op}"),
                units=(units[0], units[1]),
                asked={"op": op, "channel": channel},
                channels=channels,
            )


def _near(one: Pattern, other: Pattern) -> bool:
    return one.head.startswith(other.head) or other.head.startswith(one.head)


def _beside(pattern: Pattern, others: Sequence[Pattern]) -> str | None:
    """A channel of the pattern that none of the others matches."""
    near = [other for other in others if _near(pattern, other)]
    try:
        return witness([pattern], near)
    except Undecided:
        return _shown(pattern)


def _shown(pattern: Pattern) -> str | None:
    """A channel of the pattern, a readable one."""
    return overlap(pattern, pattern)


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [*before, *(name for name in after if name not in before)]
