"""The key set that an issuer publishes at an address (RFC 7517 §5)."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx

from proxy.errors import FactFault, SetupFault
from proxy.identity.keys import Ring, published
from proxy.stores.remote import Getter, document

TIMEOUT_S: Final = 2.0
"""Seconds that a fetch may take in all."""
FRESH_S: Final = 300.0
"""Seconds after which the set is fetched again while the one at hand counts; after twice as long a token waits for the fetch."""
INTERVAL_S: Final = 30.0
"""Seconds between two fetches at least, whatever the first one gave and however many unknown keys are named."""
RETRY_S: Final = 2.0
"""The same while there are no keys at all, as when the issuer starts later than the service."""
KEPT_S: Final = 86_400.0
"""Seconds that the last good set counts while no other can be had."""
JITTER: Final = 0.1
"""How much of a span may be cut off, so that replicas do not ask at the same moment."""

_LOG: Final = logging.getLogger(__name__)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class KeySet:
    """The keys of one issuer, fetched when they are first asked for and from then on beside the answers.

    A reply that is no key set, has no key for `algorithms`, comes late or not at all changes nothing. `now` gives seconds that only
    go forward, `spread` a number from 0 to 1. Raises `SetupFault` for an address that is not https (http: this machine only).
    """

    def __init__(
        self,
        name: str,
        address: str,
        algorithms: Sequence[str],
        *,
        now: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        if not _usable(address):
            raise SetupFault(f"the policy's identity {name} must fetch its keys over https, from an address without a user")
        self._address = address
        self._algorithms = algorithms
        self._now = now
        self._spread = spread
        self._getter = Getter(f"keys of identity {name}", TIMEOUT_S)
        self._ring: Ring | None = None
        self._body = b""
        self._fetched = self._fresh_until = self._next = -math.inf
        self._trouble = ""
        self._flight: asyncio.Task[None] | None = None

    def fresh(self) -> Ring | None:
        """The keys, or None when `ring` has to be asked."""
        return self._ring if self._now() < self._fresh_until else None

    async def ring(self, kid: str | None = None) -> Ring:
        """The keys; waits for a fetch when there are none, when they are old, and when none has the name `kid`.

        Raises `FactFault` when there are none or the last good ones are older than `KEPT_S`.
        """
        now = self._now()
        strange = self._ring is not None and not self._ring.knows(kid)
        if strange or now >= self._fresh_until:
            flight = self._flight or self._launch(now)
            if flight and (strange or now - self._fetched >= 2 * FRESH_S):
                await asyncio.wait({flight})
        if self._ring is None or self._now() - self._fetched > KEPT_S:
            raise FactFault(self._trouble or f"{self._getter.name}: not fetched")
        return self._ring

    async def probe(self) -> None:
        """Fetch the set now; raises `FactFault` if it is not usable."""
        self._take(await self._fetched_body())

    async def close(self) -> None:
        """End a fetch in flight and close the connection."""
        if self._flight:
            self._flight.cancel()
            await asyncio.wait({self._flight})
        await self._getter.close()

    def _launch(self, now: float) -> asyncio.Task[None] | None:
        if now < self._next:
            return None
        self._next = now + self._shortened(INTERVAL_S if self._ring else RETRY_S)
        self._flight = asyncio.create_task(self._fetch())
        return self._flight

    async def _fetch(self) -> None:
        try:
            self._take(await self._fetched_body())
        except FactFault as fault:
            self._trouble = str(fault)
            _LOG.warning("%s", fault)
        finally:
            self._flight = None

    async def _fetched_body(self) -> bytes:
        status, body = await self._getter.get(self._address, {})
        if status != HTTPStatus.OK:
            raise FactFault(f"{self._getter.name}: the reply has status {status}")
        return body

    def _take(self, body: bytes) -> None:
        if body != self._body:
            ring = published(document(self._getter.name, body), self._algorithms)
            if not ring.keys:
                raise FactFault(f"{self._getter.name}: the reply holds no key for {' or '.join(self._algorithms)}")
            self._ring, self._body = ring, body
        self._fetched = self._now()
        self._fresh_until = self._fetched + self._shortened(FRESH_S)

    def _shortened(self, span_s: float) -> float:
        return span_s * (1 - JITTER * self._spread())


def _usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return safe and bool(parts.hostname) and "@" not in parts.netloc
