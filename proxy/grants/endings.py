"""Ends what lost its right: unsubscribes and disconnects through Centrifugo's server API, again until it is done.

A grant that is a few seconds old may not have reached Centrifugo yet, and a token may be used until it is too old. What ends those is
repeated every second for so long.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, Protocol

from proxy.errors import DeliveryFault, Overload
from proxy.grants.grant import Grant, Key
from proxy.grants.pause import pause
from proxy.grants.registry import Registry
from proxy.wire.api import Command, Outcome, Result
from proxy.wire.codes import DisconnectCode

YOUNG_S: Final = 6
"""Seconds within which an allowed connect or subscribe takes effect at Centrifugo: its longest hook timeout, and some."""

AGAIN_S: Final = 1.0
"""Seconds between two attempts at the same grant."""

TOGETHER: Final = 512
"""Commands in work at a time; more wait for their turn."""

PATIENCE_S: Final = 3600
"""Seconds, from its cause on, after which a grant without an end is given up while Centrifugo cannot be reached."""

_FORBIDDEN: Final = {"code": int(DisconnectCode.FORBIDDEN), "reason": "forbidden"}


class Courier(Protocol):
    """The way to Centrifugo's server API."""

    async def send(self, command: Command, /) -> Outcome:
        """Send one command; raises `DeliveryFault` when its outcome is unknown, `Overload` when there is no room for it."""


@dataclasses.dataclass(slots=True, kw_only=True)
class _Loss:
    grant: Grant
    cause_ms: int
    final: bool
    acknowledged: bool = False


class Endings:
    """All grants that have to end, each once; what is lost again while it is being ended keeps its first cause.

    `clock` gives epoch milliseconds; `lag` is told the seconds from a cause to Centrifugo's acknowledgement.
    """

    def __init__(self, registry: Registry, courier: Courier, clock: Callable[[], int], lag: Callable[[float], None]) -> None:
        self.ended = self.failures = self.abandoned = 0
        self.idle = asyncio.Event()
        """Set while Centrifugo has acknowledged all that has to end."""
        self.idle.set()
        self._registry = registry
        self._courier = courier
        self._clock = clock
        self._lag = lag
        self._losses: dict[Key, _Loss] = {}
        self._due: dict[Key, None] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Give how many have not ended yet, or may come back."""
        return len(self._losses)

    def end(self, grant: Grant, cause_ms: int, *, final: bool = False) -> None:
        """Have a grant ended; the subscriptions of a connection end with it, and need nothing of their own.

        What is `final` is not lifted by a new grant.
        """
        key = grant.key
        if not grant.channel:
            for other in self._registry.of_holder(grant.user, grant.holder):
                if other.channel:
                    self.spare(other.key)
        elif (grant.user, grant.holder, "") in self._losses:
            return
        self._losses.setdefault(key, _Loss(grant=grant, cause_ms=cause_ms, final=final))
        self._due[key] = None
        self.idle.clear()
        self._wake.set()

    def lift(self, grants: Iterable[Grant]) -> None:
        """Stop what new grants contradict: their own end, and that of their user's tokens for the same, which they cannot be told from."""
        if not self._losses:
            return
        for grant in grants:
            own = grant.key
            for key in {own, *(other.key for other in self._registry.of_user(grant.user))}:
                loss = self._losses.get(key)
                if loss is not None and not loss.final and (key == own or (loss.grant.minted and loss.grant.channel == grant.channel)):
                    self.spare(key)

    def spare(self, key: Key) -> None:
        """Stop ending it: it is allowed again, or ends with something else."""
        self._losses.pop(key, None)
        self._due.pop(key, None)

    async def run(self) -> None:
        """End what is due, for ever."""
        loop = asyncio.get_running_loop()
        again_s = 0.0
        while True:
            if not self._due:
                if all(loss.acknowledged for loss in self._losses.values()):
                    self.idle.set()
                await pause(self._wake, AGAIN_S if self._losses else None)
            if loop.time() >= again_s:
                self._due.update(dict.fromkeys(self._losses))
                again_s = loop.time() + AGAIN_S
            self._registry.catch_up()  # what was allowed meanwhile is lifted
            due = [self._losses[key] for key in islice(self._due, TOGETHER)]
            for loss in due:
                del self._due[loss.grant.key]
            await asyncio.gather(*map(self._attempt, due))

    async def _attempt(self, loss: _Loss) -> None:
        command = self._command(loss.grant)
        try:
            done = command is None or isinstance(await self._courier.send(command), Result)
        except (DeliveryFault, Overload):
            done = False
        now_ms = self._clock()
        if not done:
            self.failures += 1
        elif not loss.acknowledged:
            loss.acknowledged = True
            self.ended += 1
            self._lag(max(now_ms - loss.cause_ms, 0) / 1000)
        if now_ms / 1000 >= self._last(loss, done=done):
            self.abandoned += not loss.acknowledged
            self._settle(loss)

    def _last(self, loss: _Loss, *, done: bool) -> float:
        """When the last attempt is made, in epoch seconds."""
        grant = loss.grant
        if done:
            return max(grant.since_ms / 1000 + YOUNG_S, grant.usable_s or 0)
        return grant.end_s or loss.cause_ms / 1000 + PATIENCE_S

    def _settle(self, loss: _Loss) -> None:
        key = loss.grant.key
        if self._losses.get(key) is not loss:
            return
        self.spare(key)
        self._registry.release(key)

    def _command(self, grant: Grant) -> Command | None:
        """What ends it. An anonymous user's token is nobody's in particular: ending it would end every guest."""
        user = grant.user
        if grant.minted and not user:
            return None
        params: dict[str, object] = {"user": user}
        if not grant.minted:
            params["client"] = grant.holder
        if grant.channel:
            return Command(method="unsubscribe", params={**params, "channel": grant.channel})
        if grant.minted:
            params["whitelist"] = [each.holder for each in self._registry.of_user(user) if self._stays(each)]
        return Command(method="disconnect", params={**params, "disconnect": _FORBIDDEN})

    def _stays(self, grant: Grant) -> bool:
        """Whether it is a connection that a hook allowed and nothing took away."""
        return not grant.channel and not grant.minted and grant.key not in self._losses
