"""Takes access back: keeps what was allowed, asks again when the ground of a decision shifts, and ends what lost its right."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from proxy.grants.endings import Courier, Endings
from proxy.grants.ledger import Ledger
from proxy.grants.redecision import Decider, Redecision
from proxy.grants.registry import Registry
from proxy.policy.difference import unit

DRAIN_S: Final = 3.0
"""Seconds that the end of the service waits for what is to be asked again or ended."""


class Ground(Protocol):
    """What decisions rest on: the policy in force and its facts."""

    @property
    def gate(self) -> Decider:
        """Who decides."""

    def resting_on(self, facts: frozenset[str]) -> frozenset[str]:
        """Give what may rest on facts with these names, as the ids of its rules begin."""

    def reads(self, operation: str) -> frozenset[str]:
        """Give the names that the rules for `connect` or `subscribe` may look at."""


class Revocation:
    """The parts that take access back; `redecision` and `endings` run for ever.

    `clock` gives epoch milliseconds, `grace_s` is how long a grant lives on while it cannot be decided, `lag` is told the seconds from a
    cause to Centrifugo's acknowledgement.
    """

    def __init__(self, ground: Ground, courier: Courier, clock: Callable[[], int], grace_s: int, lag: Callable[[float], None]) -> None:
        self._ground = ground
        self.registry = Registry(clock)
        self.endings = Endings(self.registry, courier, clock, lag)
        self.redecision = Redecision(self.registry, self.endings, ground.gate, clock, grace_s)
        self.ledger = Ledger(self.redecision, ground.reads)
        self.registry.catch_up = self.ledger.write

    def invalidated(self, topics: frozenset[str]) -> None:
        """Facts with these topics have changed."""
        self.redecision.ask(self.registry.resting_on(topics))

    def missed(self, facts: frozenset[str]) -> None:
        """Facts with these names may have changed."""
        units = self._ground.resting_on(facts)
        self.registry.doubt()
        self.redecision.ask(self.registry.by_rules(lambda rule: unit(rule) in units))

    def changed(self, differs: Callable[[str], bool]) -> None:
        """Another policy comes into force at once: what the rules allowed whose id satisfies `differs` may be refused then."""
        self.redecision.ask(self.registry.by_rules(differs))

    async def drain(self) -> None:
        """Return once what is known to have lost its right has been ended, at most after `DRAIN_S`."""
        self.ledger.write()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self.redecision.idle.wait()
                await self.endings.idle.wait()
