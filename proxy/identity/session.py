"""Sessions of an application: it is asked who a request's headers belong to, and its answer counts for a short time."""

import asyncio
import dataclasses
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import orjson

from proxy.errors import FactFault
from proxy.policy.declared import HttpIdentity
from proxy.stores.remote import Remote

KNOWN_S: Final = 10.0
"""Seconds that an answer "this user" counts; a sign-out is seen after that at the latest."""
UNKNOWN_S: Final = 2.0
"""Seconds that an answer "not mine" counts: who has just signed in is not kept out."""
MAX_KEPT: Final = 16_384
"""Answers that are kept; the least recently used go first."""
MAX_KEPT_BYTES: Final = 2048
"""Length of an answer that is kept, as JSON; together with the number it bounds the memory."""
FAILURES: Final = 5
"""Failures one after the other that make the application count as away."""
AWAY_S: Final = 1.0
"""Seconds for which an application that is away is not asked at all."""

_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the application said: `reply` is its JSON value, `known` is whether it knows the credential."""

    known: bool
    reply: object = None


class Session:
    """Asks one application, once for all who show the same credential at the same time.

    Answers are kept under a keyed hash of the credential, never under itself. After `FAILURES` failures in a row it fails at once for
    `AWAY_S`. `now` gives seconds that only go forward.
    """

    def __init__(self, identity: HttpIdentity, remote: Remote, now: Callable[[], float] = time.monotonic) -> None:
        self.name = identity.name
        self.remote = remote
        self._path, self._forwards = identity.path, identity.forwards
        self._now = now
        self._key = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[float, Answer]] = OrderedDict()
        self._flights: dict[bytes, asyncio.Task[Answer | FactFault]] = {}
        self._failures = 0
        self._away_until = 0.0

    async def ask(self, headers: Mapping[str, str]) -> Answer | None:
        """What the application says about these headers; None when none of those that it gets is there.

        Raises `FactFault` when it fails, is late, or answers neither 200 with JSON nor 401 nor 403.
        """
        shown = {name: headers[name] for name in self._forwards if headers.get(name)}
        if not shown:
            return None
        digest = hashlib.blake2b(orjson.dumps(shown), key=self._key, digest_size=32).digest()
        kept = self._kept.get(digest)
        if kept and kept[0] > self._now():
            self._kept.move_to_end(digest)
            return kept[1]
        flight = self._flights.get(digest) or self._launch(digest, shown)
        # One who stops waiting takes nothing from the others.
        await asyncio.wait({flight})
        if flight.cancelled():
            raise FactFault(f"identity {self.name}: stopped")
        answer = flight.result()
        if isinstance(answer, FactFault):
            raise answer
        return answer

    async def close(self) -> None:
        """End the questions in flight and close the connections."""
        flights = [*self._flights.values()]
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)
        await self.remote.close()

    def _launch(self, digest: bytes, shown: Mapping[str, str]) -> asyncio.Task[Answer | FactFault]:
        if self._now() < self._away_until:
            raise FactFault(f"identity {self.name}: the application is away")
        flight = self._flights[digest] = asyncio.create_task(self._fly(digest, shown))
        flight.add_done_callback(lambda _: self._flights.pop(digest))
        return flight

    async def _fly(self, digest: bytes, shown: Mapping[str, str]) -> Answer | FactFault:
        asked_at = self._now()
        try:
            status, reply = await self.remote.get(self._path, shown)
        except FactFault as fault:
            return self._failed(fault)
        if status != HTTPStatus.OK and status not in _REFUSED:
            return self._failed(FactFault(f"identity {self.name}: the reply has status {status}"))
        self._failures = 0
        answer = Answer(known=status == HTTPStatus.OK, reply=reply)
        self._keep(digest, answer, asked_at)
        return answer

    def _failed(self, fault: FactFault) -> FactFault:
        self._failures += 1
        if self._failures >= FAILURES:
            self._away_until = self._now() + AWAY_S
        return fault

    def _keep(self, digest: bytes, answer: Answer, asked_at: float) -> None:
        if len(orjson.dumps(answer.reply)) <= MAX_KEPT_BYTES:
            self._kept[digest] = (asked_at + (KNOWN_S if answer.known else UNKNOWN_S), answer)
            self._kept.move_to_end(digest)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
