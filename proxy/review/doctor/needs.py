"""What a policy needs of Centrifugo: which operations in which namespaces, which hooks, headers and how much time."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.policy.checking.plan import Obligations, Plan
from proxy.policy.checking.world import Code
from proxy.policy.declared import HttpIdentity, JwtIdentity
from proxy.policy.patterns import Parameter, Pattern
from proxy.policy.policy import Policy

Channels = Mapping[str, Plan]
"""What a pattern allows, by operation."""

_RENEWED: Final = {"refresh": "connect", "sub_refresh": "subscribe"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What the policy says of the channels of one namespace; `name` is "" for channels without one."""

    name: str
    patterns: tuple[tuple[str, Channels], ...]

    @property
    def operations(self) -> frozenset[str]:
        """The operations for which there is a rule."""
        return frozenset(op for _, plans in self.patterns for op, plan in plans.items() if plan.rules)

    def wider(self, operation: str) -> str:
        """The first pattern whose subscribers may be refused the operation (presence, history) by the policy, or "" if there is none."""
        return next((text for text, plans in self.patterns if not _for_subscribers(plans, operation)), "")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a policy needs; `floating` are patterns whose channels may lie in any namespace.

    `headers` are the headers (lower case) by which clients may be known when they connect, `slowest_ms` the longest that facts may take
    to load, by event, `meta` the events whose rules read `meta`.
    """

    spaces: Mapping[str, Space]
    floating: tuple[tuple[str, Channels], ...]
    rpcs: tuple[str, ...]
    lease: bool
    guests: bool
    headers: tuple[str, ...]
    slowest_ms: Mapping[str, int]
    meta: frozenset[str]

    def space(self, name: str) -> Space:
        """What is said of a namespace, by its own patterns and by those that may lie anywhere."""
        own = self.spaces[name].patterns if name in self.spaces else ()
        return Space(name=name, patterns=(*own, *self.floating))


def needs(policy: Policy, boundary: str = ":") -> Needs:
    """Read the needs of a policy; `boundary` ends the namespace in the name of a channel (Centrifugo's `channel.namespace_boundary`)."""
    plans = policy.decider.plans
    spaces: dict[str, list[tuple[str, Channels]]] = {}
    floating = []
    for pattern, channels in plans.channels:
        name = namespace(pattern, boundary)
        if name is None:
            floating.append((pattern.text, channels))
        else:
            spaces.setdefault(name, []).append((pattern.text, channels))
    codes = _codes(policy)
    return Needs(
        spaces={name: Space(name=name, patterns=tuple(patterns)) for name, patterns in spaces.items()},
        floating=tuple(floating),
        rpcs=tuple(plans.rpcs),
        lease=plans.connect.expire_ms is not None or any(person.expire is not None for person in plans.people.values()),
        guests=policy.guests,
        headers=tuple(dict.fromkeys(_headers(policy))),
        slowest_ms={event: max((_slowest(policy, code) for code in found), default=0) for event, found in codes.items()},
        meta=frozenset(event for event, found in codes.items() if any("meta" in code.uses.names for code in found)),
    )


def namespace(pattern: Pattern, boundary: str) -> str | None:
    """The namespace of all channels of a pattern, "" for none, None when they may lie in several."""
    before = ""
    for piece in pattern.pieces:
        if isinstance(piece, str):
            head, found, _ = (before + piece).partition(boundary)
            if found:
                return None if "{" in before else head.removeprefix("$")
            before += piece
        elif piece.kind == "rest" or boundary != ":":
            # Only the rest of a name holds the usual boundary; another one may stand in every parameter.
            return None
        else:
            before += _shown(piece)
    return ""


def _shown(parameter: Parameter) -> str:
    return f"{{{parameter.name}}}"


def _codes(policy: Policy) -> dict[str, list[Code]]:
    plans = policy.decider.plans
    connect = plans.connect
    found: dict[str, list[Code]] = {"connect": [*_of(connect.plan), *connect.channels, *([connect.data] if connect.data else [])]}
    found["rpc"] = [
        code for rpc in plans.rpcs.values() for code in (*_of(rpc.plan), *([rpc.answer.value] if rpc.answer.value is not None else []))
    ]
    for _, channels in plans.channels:
        for op, plan in channels.items():
            found.setdefault(op, []).extend(_of(plan))
    return found | {event: found[op] for event, op in _RENEWED.items() if op in found}


def _of(plan: Plan) -> Iterator[Code]:
    for deny in plan.denies:
        yield deny.when
    for rule in plan.rules:
        if rule.when is not None:
            yield rule.when
        yield from rule.obligations.codes


def _slowest(policy: Policy, code: Code) -> int:
    # Facts that wait for each other are loaded one after the other.
    return code.uses.depth * max((policy.facts[name].timeout_ms for name in code.uses.facts), default=0)


def _headers(policy: Policy) -> Iterator[str]:
    for identity in policy.identities:
        match identity:
            case JwtIdentity(places=places):
                yield from ("cookie" if place.kind == "cookie" else place.name for place in places if place.kind != "data")
            case HttpIdentity(forwards=forwards):
                yield from forwards


def _unconditional(when: Code | None, obligations: Obligations) -> bool:
    return when is None and not obligations.codes


def _for_subscribers(plans: Channels, operation: str) -> bool:
    """Whether the policy lets everybody who may subscribe do this, too."""
    joined, asked = plans.get("subscribe", Plan()), plans.get(operation, Plan())
    if not joined.rules:
        return True
    if {deny.id for deny in asked.denies} - {deny.id for deny in joined.denies}:
        return False
    if any(_unconditional(rule.when, rule.obligations) for rule in asked.rules):
        return True
    # One statement for both operations has one condition.
    conditions = {id(rule.when.node) for rule in asked.rules if rule.when is not None}
    return all(rule.when is not None and id(rule.when.node) in conditions for rule in joined.rules)
