"""Decides grants again when something that they rest on has changed, and has those ended that are allowed no more."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

from proxy.grants.endings import Endings
from proxy.grants.grant import Grant, Key, topics
from proxy.grants.pause import pause
from proxy.grants.registry import Registry
from proxy.policy.decision import Allow, Deny, Request

TOGETHER: Final = 128
"""Decisions made at a time: enough to load their facts together, few enough to let hooks in between."""

AGAIN_S: Final = 2.0
"""Seconds until a grant that could not be decided is asked again."""

UNDECIDED: Final = frozenset({"fact_error", "overload"})
"""Reasons that say nothing about a grant."""

SWEEP_S: Final = 10.0
"""Seconds between two looks for grants that ended by themselves."""


class Decider(Protocol):
    """Where decisions come from."""

    async def decide(self, request: Request) -> Allow | Deny:
        """Decide one request; a renewal takes nothing from the limit of its rule."""

    @property
    def revision(self) -> str:
        """That of the policy in force."""

    @property
    def barred(self) -> Collection[object]:
        """The users that are kept out whatever the policy says."""


class Redecision:
    """Grants that are to be asked again, each once; a second change during the first has them asked once more.

    `grace_s` is how long a grant lives on while it cannot be decided, `clock` gives epoch milliseconds.
    """

    def __init__(self, registry: Registry, endings: Endings, gate: Decider, clock: Callable[[], int], grace_s: int) -> None:
        self.asked = 0
        self.idle = asyncio.Event()
        """Set while nothing waits and nothing is being asked, but for what could not be decided."""
        self.idle.set()
        self._registry = registry
        self._endings = endings
        self._gate = gate
        self._clock = clock
        self._grace_ms = grace_s * 1000
        self._waiting: dict[Key, int] = {}
        self._undecided: dict[Key, tuple[int, int]] = {}
        self._asking: set[Key] = set()
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Give how many wait to be asked."""
        return len(self._waiting) + len(self._undecided)

    def hold(self, grants: Collection[Grant]) -> None:
        """Keep new grants; those whose ground shifted while they were being decided are asked again at once."""
        self._endings.lift(grants)
        shifted = self._registry.hold(grants)
        revision, barred = self._gate.revision, self._gate.barred or ()
        shifted += [grant for grant in grants if grant.revision != revision or grant.user in barred]
        if self._asking:
            self._asking.difference_update(grant.key for grant in grants)
        if shifted:
            self.ask(shifted)

    def release(self, key: Key) -> None:
        """Forget a grant that was not prolonged."""
        self._registry.release(key)

    def ask(self, grants: Iterable[Grant]) -> int:
        """Have grants asked again, for a cause that happened now; gives their number."""
        now_ms = self._clock()
        before = len(self._waiting)
        for grant in grants:
            self._waiting.setdefault(grant.key, now_ms)
        if self._waiting:
            self.idle.clear()
            self._wake.set()
        return len(self._waiting) - before

    async def run(self) -> None:
        """Ask what waits, for ever; now and then forget the grants that ended by themselves."""
        loop = asyncio.get_running_loop()
        again_s = sweep_s = 0.0
        while True:
            if not self._waiting:
                self.idle.set()
                await pause(self._wake, AGAIN_S if self._undecided else SWEEP_S)
            if loop.time() >= sweep_s:
                self._registry.expire()
                sweep_s = loop.time() + SWEEP_S
            if loop.time() >= again_s:
                self._waiting.update({key: cause_ms for key, (cause_ms, _) in self._undecided.items() if key not in self._waiting})
                again_s = loop.time() + AGAIN_S
            batch = list(islice(self._waiting.items(), TOGETHER))
            for key, _ in batch:
                del self._waiting[key]
            await asyncio.gather(*(self._ask(key, cause_ms) for key, cause_ms in batch))

    async def _ask(self, key: Key, cause_ms: int) -> None:
        grant = self._registry.get(key)
        if grant is None:
            self._undecided.pop(key, None)
            return
        self.asked += 1
        now_ms = self._clock()
        self._asking.add(key)
        decision = await self._gate.decide(grant.request(now_ms))
        held = self._registry.get(key)  # before it is looked whether it was renewed, since that may only have been noted yet
        if key in self._asking and held is grant:  # else it ended or was renewed, and was decided for that
            self._settle(grant, decision, cause_ms, now_ms)
        self._asking.discard(key)

    def _settle(self, grant: Grant, decision: Allow | Deny, cause_ms: int, now_ms: int) -> None:
        if isinstance(decision, Allow):
            self._undecided.pop(grant.key, None)
            self._endings.lift((grant,))
            # not through `hold`: what changed meanwhile waits already
            rests = topics(decision.facts.values())
            self._registry.hold([replace(grant, rule=decision.rule, revision=decision.revision, topics=rests, decided_ms=now_ms)])
            return
        if decision.reason in UNDECIDED:
            _, since_ms = self._undecided.setdefault(grant.key, (cause_ms, now_ms))
            if now_ms - since_ms < self._grace_ms:
                return
        self._undecided.pop(grant.key, None)
        self._endings.end(grant, cause_ms)
