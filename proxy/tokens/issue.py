"""The use cases of the two token endpoints: who asks, may they, here is the token."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import Malformed
from proxy.gate import Gate
from proxy.identity.chain import Credentials, Refusal
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Person
from proxy.tokens.mint import Issued, Minter

MAX_CHANNELS = 100
"""Channels that one request may ask tokens for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No token: `reason` is one of a decision."""

    reason: str


class Identifier(Protocol):
    """Who says whose a credential is."""

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        """Find out who shows these credentials."""


class Ledger(Protocol):
    """Where it is written down what tokens grant, so that it can be taken back."""

    def minted(self, request: Request, allow: Allow, token: str, usable_s: int, end_s: int | None) -> None:
        """A token was issued: its `jti`, until when it can be used, and when what it opens ends, in epoch seconds."""


class Issuer:
    """Issues what the policy allows, by the rules that the hooks follow; there is no `client` and no `transport` yet.

    `clock` gives epoch milliseconds.
    """

    def __init__(self, gate: Gate, chain: Identifier, minter: Minter, clock: Callable[[], int], ledger: Ledger) -> None:
        self._gate = gate
        self._chain = chain
        self._minter = minter
        self._clock = clock
        self._ledger = ledger

    async def connection(self, credentials: Credentials) -> Issued | Denied:
        """A connection token for whoever these credentials belong to."""
        person = await self._chain.identify(credentials)
        if isinstance(person, Refusal):
            return Denied(reason=person.reason)
        asked = Request(
            op="connect",
            user=person.user,
            meta=person.meta,
            headers=credentials.headers,
            data=credentials.data,
            name=credentials.name,
            version=credentials.version,
            timestamp_ms=self._clock(),
        )
        decision = await self._gate.decide(asked)
        if isinstance(decision, Deny):
            return Denied(reason=decision.reason)
        return self._noted(asked, decision, self._minter.connection(person, decision))

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
        now_ms = self._clock()
        asked = [Request(op="subscribe", user=person.user, channel=channel, meta=person.meta, timestamp_ms=now_ms) for channel in channels]
        decided = await asyncio.gather(*map(self._gate.decide, asked))
        answers: dict[str, Issued | Denied] = {}
        for channel, request, decision in zip(channels, asked, decided, strict=True):
            if isinstance(decision, Deny):
                answers[channel] = Denied(reason=decision.reason)
            else:
                if answers:
                    await asyncio.sleep(0)  # a hundred signatures with RSA take longer than others should wait
                answers[channel] = self._noted(request, decision, self._minter.subscription(person.user, channel, decision))
        return answers

    def _noted(self, request: Request, allow: Allow, issued: Issued) -> Issued:
        self._ledger.minted(request, allow, issued.jti, issued.usable_s, issued.end_s)
        return issued
