"""The decision log: what was decided, with all that it rests on, so that it can be decided again.

A line holds a request as the command `decide` reads it, its answer as `decide` writes it, when and by which revision of the policy it was
made, and how old each fact was. Credentials are never in it, nor what the policy masks.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson

from proxy.errors import SetupFault
from proxy.policy.decision import Allow, Deny, Known, Lost, Request
from proxy.policy.declared import HttpIdentity, Identity, JwtIdentity, Logging
from proxy.review.lines import answer, fact_text

MOST: Final = 10_000
"""Decisions that wait to be written; more are dropped and counted."""

PAUSE_S: Final = 0.2
"""Seconds between two writes."""

CLOSE_S: Final = 5.0
"""Seconds that the last write may take."""

MASK: Final = "***"

SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-centrigate-hook-secret", "x-api-key"})
"""Headers that are never written."""

_LOG: Final = logging.getLogger(__name__)
_MEMBERS: Final = ("user", "service", "channel", "method", "key", "client", "transport", "data", "meta", "labels", "headers", "tags")
_ENTRY = tuple[Request, Allow | Deny, int]


class Rules(Protocol):
    """What a policy says about its log."""

    @property
    def logging(self) -> Logging:
        """What is masked, and which part of the allowed decisions is written."""

    @property
    def identities(self) -> Sequence[Identity]:
        """Where credentials stand."""


class Target(Protocol):
    """Where lines go."""

    def append(self, lines: Iterable[bytes], /) -> None:
        """Write them; may block; raises `OSError`."""

    def close(self) -> None:
        """Write no more."""


class Journal:
    """Takes decisions without waiting, and writes them from time to time in a thread.

    `written` and `dropped` count lines. `rules` gives what the policy in force says, `clock` epoch milliseconds, `chance` a number from
    0 to 1.
    """

    def __init__(
        self, target: Target, rules: Callable[[], Rules], clock: Callable[[], int], chance: Callable[[], float] = random.random
    ) -> None:
        self.written = self.dropped = 0
        self._target = target
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._waiting: deque[_ENTRY] = deque()

    def watch(self, request: Request, decision: Allow | Deny) -> None:
        """Note a decision: a refusal always, an allowed one as often as the policy samples."""
        if isinstance(decision, Allow) and self._chance() * 100 >= self._rules().logging.sample:
            return
        if len(self._waiting) >= MOST:
            self.dropped += 1
            return
        self._waiting.append((request, decision, self._clock()))

    async def prepare(self) -> None:
        """Open the target; raises `SetupFault`."""
        try:
            await asyncio.to_thread(self._target.append, ())
        except OSError as error:
            raise SetupFault(f"{error.filename}, where CENTRIGATE_DECISION_LOG leads, cannot be used: {error.strerror}") from None

    async def run(self) -> None:
        """Write what waits, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(PAUSE_S)
                await self._flush()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._flush()
            self._target.close()

    async def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), 1000))]
            written = 0
            try:
                written = await asyncio.to_thread(self._write, batch, self._rules())
            except OSError as error:
                _LOG.warning("the decision log cannot be written: %s", error.strerror)
            self.written += written
            self.dropped += len(batch) - written

    def _write(self, batch: Sequence[_ENTRY], rules: Rules) -> int:
        veil = Veil(rules.logging, rules.identities)
        lines = []
        for entry in batch:
            with suppress(orjson.JSONEncodeError):  # half a surrogate pair, or nested too deeply
                lines.append(line(*entry, veil))
        self._target.append(lines)
        return len(lines)


class Veil:
    """Hides what must not be written."""

    def __init__(self, logging: Logging, identities: Sequence[Identity]) -> None:
        self._paths = [*logging.mask, *_tokens(identities)]
        self._headers = SECRET | {name for identity in identities for name in _credentials(identity)}

    def over(self, root: str, value: object) -> object:
        """Give the value of `root` (`data`, `meta`, a fact's name …) without what is hidden in it."""
        for path in self._paths:
            if path[0] == root:
                value = _hidden(value, path[1:])
        return value

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Give the headers without credentials."""
        return {name: MASK if name in self._headers else value for name, value in headers.items()}


def line(request: Request, decision: Allow | Deny, at_ms: int, veil: Veil) -> bytes:
    """Write one decision, with the end of its line."""
    asked: dict[str, Any] = {name: value for name in _MEMBERS if (value := getattr(request, name)) is not None}
    asked |= {"timestamp_ms": request.timestamp_ms, **({} if request.service else {"op": request.op})}
    asked |= {name: value for name in ("name", "version", "ambiguous") if (value := getattr(request, name))}
    for name in ("data", "meta", "labels", "tags", "headers"):
        if name in asked:
            asked[name] = veil.over(name, asked[name])
    if "headers" in asked:
        asked["headers"] = veil.headers(asked["headers"])
    asked["facts"] = {fact_text(key): veil.over(str(key[0]), _value(found)) for key, found in decision.facts.items()}
    decided = answer(decision)
    for name in ("data", "tags", "info"):
        if name in decided:
            decided[name] = veil.over(name, decided[name])
    ages = {fact_text(key): at_ms - found.at_ms for key, found in decision.facts.items() if isinstance(found, Known)}
    entry = {"at_ms": at_ms, "revision": decision.revision, "request": asked, "decision": decided, "ages_ms": ages}
    return orjson.dumps(entry) + b"\n"


def _value(found: Known | Lost) -> object:
    return found.value if isinstance(found, Known) else {"$error": found.why}


def _hidden(value: object, path: Sequence[str]) -> object:
    if not path:
        return MASK
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _hidden(value[path[0]], path[1:])}
    if isinstance(value, list):
        return [_hidden(item, path) for item in value]
    return value


def _tokens(identities: Sequence[Identity]) -> Iterator[tuple[str, ...]]:
    for identity in identities:
        if isinstance(identity, JwtIdentity):
            yield from (("data", *place.name.split(".")) for place in identity.places if place.kind == "data")


def _credentials(identity: Identity) -> Iterator[str]:
    if isinstance(identity, JwtIdentity):
        yield from (place.name for place in identity.places if place.kind == "header")
    elif isinstance(identity, HttpIdentity):
        yield from identity.forwards
