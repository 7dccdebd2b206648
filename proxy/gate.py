"""The one way to a decision: the policy, the facts it asks for, and the limit of the rule that holds."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Protocol, cast

from proxy.errors import StoreFault
from proxy.facts.turns import FIRST
from proxy.policy.deciding.decide import Outcome
from proxy.policy.decision import Allow, Deny, FactKey, Known, Limit, Lost, NeedFacts, Request
from proxy.policy.policy import Policy

ROUNDS = 4
"""How often facts are loaded for one decision."""

BLOCKED = "blocked"
"""The reason of a refusal to a user that is kept out whatever the policy says; it is answered like a deny."""

Watch = Callable[[Request, Allow | Deny], None]
"""Sees every decision as it is made; must be quick and must not raise."""


class Source(Protocol):
    """Where facts come from."""

    def get(self, key: FactKey, /) -> Known | Lost | None:
        """The fact if it is at hand; never waits."""

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        """All these facts, concurrently; a source that fails gives `Lost`, never an exception."""


class Limits(Protocol):
    """Where rate limits are counted."""

    def take(self, limit: Limit) -> bool:
        """Takes one token; False when there is none."""


class SharedLimits(Protocol):
    """Where rate limits of several replicas are counted together."""

    async def take(self, limit: Limit) -> bool:
        """Takes one token; False when there is none; raises `StoreFault` when nobody can say."""


class _Loaded:
    """The facts loaded for one decision, before those at hand, so that all of its rounds see the same."""

    __slots__ = ("_found", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._found: dict[FactKey, Known | Lost] = {}

    def get(self, key: FactKey, /) -> Known | Lost | None:
        return self._found.get(key) or self._source.get(key)

    async def load(self, keys: Collection[FactKey]) -> None:
        found = await self._source.load(keys)
        self._found.update({key: found.get(key) or Lost(why="not loaded") for key in keys})


class Gate:
    """Decides requests; hooks, token endpoints and gateway all ask here. `barred` are the users that are blocked, services never.

    With `shared`, limits are counted there instead of in `limits`; where that cannot be done, the rule's fact counts as lost.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        source: Source,
        limits: Limits,
        shared: SharedLimits | None = None,
        watch: Watch | None = None,
        barred: Collection[object] = (),
    ) -> None:
        self.policy, self.source, self._limits, self._shared = policy, source, limits, shared
        self._watch, self.barred = watch, barred

    def now(self, request: Request) -> Allow | Deny | None:
        """The decision if all that it needs is at hand, facts and limits; else None, and nothing has happened."""
        if self.barred and request.user in self.barred:
            return self._settled(request, self._kept_out())
        found = self.policy.decide(request, self.source)
        if found.__class__ is NeedFacts or (self._shared is not None and _limited(request, found)):
            return None
        return self._settled(request, found)  # type: ignore[arg-type]  # the other two

    async def decide(self, request: Request) -> Allow | Deny:
        """The decision; waits only when a fact must be loaded first, or a shared limit be asked."""
        if self.bars(request.user):
            return self._settled(request, self._kept_out())
        policy, source = self.policy, self.source
        found = policy.decide(request, source)
        if isinstance(found, NeedFacts):
            found = await _after_loading(policy, source, request, found)
        if self._shared is not None and (limit := _limited(request, found)):
            return self._told(request, await _taken(self._shared, limit, cast("Allow", found)))
        return self._settled(request, found)

    def bars(self, user: str | None) -> bool:
        """Whether the user is kept out, whatever the policy says."""
        return user in self.barred

    @property
    def revision(self) -> str:
        """That of the policy in force."""
        return self.policy.revision

    def swap(self, policy: Policy, source: Source) -> None:
        """Decide by another policy and its facts from now on; a decision that is being made is finished by the one it began with."""
        self.policy, self.source = policy, source

    def _kept_out(self) -> Deny:
        return Deny(reason=BLOCKED, revision=self.policy.revision)

    def _settled(self, request: Request, found: Allow | Deny) -> Allow | Deny:
        """Takes from the limit of the rule that holds, last of all; a renewal takes nothing from what was granted before."""
        limit = _limited(request, found)
        if limit is not None and not self._limits.take(limit):
            found = _spent(found, "limit")
        return self._told(request, found)

    def _told(self, request: Request, found: Allow | Deny) -> Allow | Deny:
        if self._watch is not None:
            self._watch(request, found)
        return found


async def _after_loading(policy: Policy, source: Source, request: Request, found: NeedFacts) -> Allow | Deny:
    FIRST.set(request.renewed is not None)
    facts = _Loaded(source)
    for _ in range(ROUNDS):
        await facts.load(found.keys)
        again = policy.decide(request, facts)
        if not isinstance(again, NeedFacts):
            return again
        found = again
    return Deny(reason="fact_error", revision=policy.revision, detail="facts kept asking for more facts")


def _limited(request: Request, found: Outcome) -> Limit | None:
    """Give the limit that a decision takes from; a renewal takes from none."""
    return found.limit if found.__class__ is Allow and found.limit is not None and request.renewed is None else None


async def _taken(shared: SharedLimits, limit: Limit, found: Allow) -> Allow | Deny:
    try:
        return found if await shared.take(limit) else _spent(found, "limit")
    except StoreFault as fault:
        return dataclasses.replace(_spent(found, "fact_error"), detail=str(fault))


def _spent(found: Allow | Deny, reason: str) -> Deny:
    return Deny(reason=reason, rule=found.rule, at=found.at, revision=found.revision, facts=found.facts)
