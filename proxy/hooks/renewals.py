"""Prolonging what has come to its end: connections and subscriptions alike.

Centrifugo prolongs by 60 s, again and again, what it gets no answer for; so every state of ours has an answer.
"""

import dataclasses

from proxy.hooks.answers import UNDECIDED
from proxy.hooks.leases import MOMENT_S, renewal
from proxy.hooks.ports import Clock, Decider, Grace, Ledger, Renewed
from proxy.policy.decision import UNCHANGED, Allow, Request
from proxy.policy.policy import Person


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prolonged:
    """It lives on until `expire_at`, epoch seconds; `info` replaces what others see of it, None leaves it."""

    expire_at: int
    info: object = None


class Renewals:
    """Decides again about what is to be prolonged; `grace` says how long it may go on without a decision."""

    def __init__(self, gate: Decider, grace: Grace, clock: Clock, ledger: Ledger) -> None:
        self._gate = gate
        self._grace = grace
        self._clock = clock
        self._ledger = ledger

    async def decide(self, key: Renewed, request: Request, person: Person | None = None) -> Prolonged | None:
        """Prolong what the policy still allows, for its lease and no longer than `person` is known; None when it has to end."""
        now_ms = request.timestamp_ms = self._clock()
        decision = await self._gate.decide(request)
        if not isinstance(decision, Allow) and decision.reason in UNDECIDED:
            return self.undecided(key)
        if not isinstance(decision, Allow):
            self.ended(key)
            return None
        self._grace.settle(key)
        prolonged = _prolonged(decision, person, now_ms)
        note = self._ledger.subscribed if request.channel else self._ledger.connected
        note(request, decision, prolonged.expire_at)
        return prolonged

    def ended(self, key: Renewed) -> None:
        """Forget what ends."""
        self._grace.settle(key)
        self._ledger.ended(*key)

    def undecided(self, key: Renewed) -> Prolonged | None:
        """Prolong for a moment within the grace, because nobody can decide now; None when the grace is over."""
        if self._grace.extends(key):
            return Prolonged(expire_at=self._clock() // 1000 + MOMENT_S)
        self._ledger.ended(*key)
        return None


def _prolonged(allow: Allow, person: Person | None, now_ms: int) -> Prolonged:
    known_as = person.info if person else UNCHANGED
    info = known_as if allow.info is UNCHANGED else allow.info
    end = renewal(allow, now_ms)
    if person and person.expires_at is not None:
        end = min(end, person.expires_at)
    return Prolonged(expire_at=end, info=None if info is UNCHANGED else info)
