"""The use cases of the two token endpoints: who asks, may they, here is the token."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proxy.errors import Malformed
from proxy.gate import Gate
from proxy.identity.chain import Chain, Credentials, Refusal
from proxy.policy.decision import Deny, Request
from proxy.policy.policy import Person
from proxy.tokens.mint import Issued, Minter

MAX_CHANNELS = 100
"""Channels that one request may ask tokens for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No token: `reason` is one of a decision."""

    reason: str


class Issuer:
    """Issues what the policy allows, by the rules that the hooks follow; there is no `client` and no `transport` yet.

    `clock` gives epoch milliseconds.
    """

    def __init__(self, gate: Gate, chain: Chain, minter: Minter, clock: Callable[[], int]) -> None:
        self._gate = gate
        self._chain = chain
        self._minter = minter
        self._clock = clock

    async def connection(self, credentials: Credentials) -> Issued | Denied:
        """A connection token for whoever these credentials belong to."""
        person = await self._chain.identify(credentials)
        if isinstance(person, Refusal):
            return Denied(reason=person.reason)
        decision = await self._gate.decide(
            Request(
                op="connect",
                user=person.user,
                meta=person.meta,
                headers=credentials.headers,
                data=credentials.data,
                name=credentials.name,
                version=credentials.version,
                timestamp_ms=self._clock(),
            )
        )
        return Denied(reason=decision.reason) if isinstance(decision, Deny) else self._minter.connection(person, decision)

    async def subscription(self, credentials: Credentials, channels: Sequence[str]) -> Mapping[str, Issued | Denied] | Denied:
        """A token or a refusal for each channel; one refusal for all when it is nobody.

        Raises `Malformed` for no channels, more than `MAX_CHANNELS`, one twice, and names that are no strings.
        """
        if not 0 < len(channels) <= MAX_CHANNELS:
            raise Malformed(f"ask for 1 to {MAX_CHANNELS} channels")
        if not all(isinstance(channel, str) for channel in channels) or len(set(channels)) < len(channels):
            raise Malformed("channels are strings, each once")
        person = await self._chain.identify(credentials)
        if isinstance(person, Refusal):
            return Denied(reason=person.reason)
        decided = await asyncio.gather(*(self._subscription(person, channel) for channel in channels))
        return dict(zip(channels, decided, strict=True))

    async def _subscription(self, person: Person, channel: str) -> Issued | Denied:
        request = Request(op="subscribe", user=person.user, channel=channel, meta=person.meta, timestamp_ms=self._clock())
        decision = await self._gate.decide(request)
        return Denied(reason=decision.reason) if isinstance(decision, Deny) else self._minter.subscription(person.user, channel, decision)
