"""Prolonging what has come to its end: connections and subscriptions alike.

Centrifugo prolongs by 60 s, again and again, what it gets no answer for; so every state of ours has an answer.
"""

import dataclasses

from proxy.hooks.answers import UNDECIDED
from proxy.hooks.leases import MOMENT_S, renewal
from proxy.hooks.ports import Clock, Decider, Grace, Renewed
from proxy.policy.decision import UNCHANGED, Allow, Request


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prolonged:
    """It lives on until `expire_at`, epoch seconds; `info` replaces what others see of it, None leaves it."""

    expire_at: int
    info: object = None


class Renewals:
    """Decides again about what is to be prolonged; `grace` says how long it may go on without a decision."""

    def __init__(self, gate: Decider, grace: Grace, clock: Clock) -> None:
        self._gate = gate
        self._grace = grace
        self._clock = clock

    async def decide(self, key: Renewed, request: Request) -> Prolonged | None:
        """Prolong what the policy still allows, for its lease; None when it has to end."""
        now_ms = request.timestamp_ms = self._clock()
        decision = await self._gate.decide(request)
        if not isinstance(decision, Allow) and decision.reason in UNDECIDED:
            return self.undecided(key)
        self._grace.settle(key)
        if not isinstance(decision, Allow):
            return None
        info = None if decision.info is UNCHANGED else decision.info
        return Prolonged(expire_at=renewal(decision, now_ms), info=info)

    def undecided(self, key: Renewed) -> Prolonged | None:
        """Prolong for a moment within the grace, because nobody can decide now; None when the grace is over."""
        return Prolonged(expire_at=self._clock() // 1000 + MOMENT_S) if self._grace.extends(key) else None
