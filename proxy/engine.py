"""What is in force: a policy with its facts, its identities and the keys of its services. Another takes its place in one step."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.errors import FactFault
from proxy.facts import sources
from proxy.facts.cache import Facts
from proxy.gate import Gate, Limits, SharedLimits, Watch
from proxy.gateway.keys import Keys
from proxy.identity.chain import Chain, Credentials, Refusal
from proxy.policy.declared import Service
from proxy.policy.difference import changed
from proxy.policy.policy import Person, Policy
from proxy.stores.remote import Remote

LINGER_S: Final = 10.0
"""Seconds that what is no longer in force stays open for the decisions that began with it; none takes longer."""

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A policy with what it was made ready with; `remotes` are its HTTP applications by name."""

    policy: Policy
    remotes: Mapping[str, Remote]
    facts: Facts
    chain: Chain
    keys: Keys


def ready(policy: Policy, variables: Mapping[str, str], before: Edition | None = None) -> Edition:
    """Make a policy ready; what `before` declares alike is taken over from it, with all that it knows. Connects to nothing yet.

    Raises `SetupFault` for what cannot be used.
    """
    old = before.policy if before else None
    keys = Keys(policy.services.values(), variables)
    alike = old is not None and old.remotes == policy.remotes
    remotes = before.remotes if before and alike else {name: Remote(each, variables) for name, each in policy.remotes.items()}
    data = old is not None and alike and (old.databases, old.facts) == (policy.databases, policy.facts)
    facts = before.facts if before and data else sources.build(policy, variables, remotes)
    people = old is not None and alike and old.identities == policy.identities
    chain = before.chain.under(policy) if before and people else Chain(policy, variables)
    return Edition(policy=policy, remotes=remotes, facts=facts, chain=chain, keys=keys)


class Listener(Protocol):
    """Who has to know when the ground of decisions shifts; must be quick and must not raise."""

    def invalidated(self, topics: frozenset[str]) -> None:
        """Facts with these topics have changed."""

    def missed(self, facts: frozenset[str]) -> None:
        """Facts with these names may have changed."""

    def changed(self, differs: Callable[[str], bool]) -> None:
        """Another policy comes into force at once; `differs` tells of a rule's id whether what the rule allowed may be refused by it."""


class Engine:
    """Asks the edition in force, for those who must not care which one it is."""

    def __init__(
        self,
        policy: Policy,
        variables: Mapping[str, str],
        limits: Limits,
        shared: SharedLimits | None,
        watch: Watch,
        barred: Collection[object],
    ) -> None:
        """`listener` must be set before `start`."""
        self.edition = ready(policy, variables)
        self.gate = Gate(policy=policy, source=self.edition.facts, limits=limits, shared=shared, watch=watch, barred=barred)
        self.listener: Listener
        self._variables = variables
        self._retiring: set[asyncio.Task[None]] = set()

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        """Find out who shows these credentials."""
        return await self.edition.chain.identify(credentials)

    def known(self, credentials: Credentials) -> Person | Refusal | None:
        """Find it out if nobody has to be asked, else None."""
        return self.edition.chain.known(credentials)

    async def recall(self, credentials: Credentials, user: str) -> Person | Refusal | None:
        """Find out who shows them now, since `user` was connected by them; None when they say nothing."""
        return await self.edition.chain.recall(credentials, user)

    def service(self, credential: str | None) -> Service | None:
        """Give the service that the presented key belongs to."""
        return self.edition.keys.service(credential)

    def resting_on(self, facts: frozenset[str]) -> frozenset[str]:
        """Give what may rest on facts with these names, as the ids of its rules begin."""
        return self.edition.policy.resting_on(facts)

    def reads(self, operation: str) -> frozenset[str]:
        """Give the names that the rules for `connect` or `subscribe` may look at."""
        return self.edition.policy.reads[operation]

    def forget(self, topics: Iterable[str]) -> int:
        """Drop the facts with these topics and give the number of those that were cached."""
        return self.edition.facts.invalidate(topics)

    def doubt(self) -> None:
        """Drop every fact, since what was said of them may have been missed."""
        self.edition.facts.forget(frozenset(self.edition.policy.facts))

    async def forward(self, remote: str, path: str, told: Mapping[str, object]) -> object:
        """Give what an application of the policy replies to this; raises `FactFault`, also for one that it no longer names."""
        application = self.edition.remotes.get(remote)
        if application is None:
            raise FactFault(f"http {remote}: the policy does not name it any more")
        return await application.post(path, told)

    async def ping(self) -> None:
        """Return when every source of facts answers; raises `FactFault` for one that does not."""
        await self.edition.facts.ping()

    async def start(self) -> None:
        """Begin to listen to the sources that tell what changes."""
        await self._listen(self.edition.facts)

    async def take(self, policy: Policy) -> None:
        """Put a policy in force; raises `SetupFault`, and nothing has changed then."""
        before = self.edition
        after = ready(policy, self._variables, before)
        if after.facts is not before.facts:
            await self._listen(after.facts)
        self.listener.changed(changed(before.policy, policy))  # before it is, so that what was allowed by now counts as of the former
        self.edition = after
        self.gate.swap(policy, after.facts)
        retiring = asyncio.create_task(_retire(before, after))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """End what is in flight and close all connections."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await _close(self.edition, None)

    async def _listen(self, facts: Facts) -> None:
        facts.on_invalidated, facts.on_missed = self.listener.invalidated, self.listener.missed
        await facts.start()


async def _retire(before: Edition, after: Edition) -> None:
    try:
        await asyncio.sleep(LINGER_S)
    finally:
        await _close(before, after)


async def _close(edition: Edition, successor: Edition | None) -> None:
    """Close what the successor did not take over."""
    if successor is None or edition.facts is not successor.facts:
        await edition.facts.close()
    if successor is None or not edition.chain.shares(successor.chain):
        await edition.chain.close()
    if successor is None or edition.remotes is not successor.remotes:
        await asyncio.gather(*(remote.close() for remote in edition.remotes.values()))
