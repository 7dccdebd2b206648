"""A command of a connected client: asked of the gate, answered with what it grants or with a refusal."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from proxy.hooks.answers import Answers
from proxy.hooks.ports import Clock, Decider
from proxy.policy.decision import Allow, Deny, Request
from proxy.wire.replies import Refused, Reply

_Asked = TypeVar("_Asked")
_Granted = TypeVar("_Granted", bound=Reply)


class Command(ABC, Generic[_Asked, _Granted]):
    """One kind of command; subclasses say what is asked and what is granted."""

    def __init__(self, gate: Decider, answers: Answers, clock: Clock) -> None:
        self._gate = gate
        self._answers = answers
        self._clock = clock

    @abstractmethod
    def ask(self, command: _Asked, now_ms: int) -> Request:
        """What the gate is asked."""

    @abstractmethod
    def grant(self, allow: Allow, asked: Request) -> _Granted | Refused:
        """What an allowed command is answered."""

    def now(self, command: _Asked) -> _Granted | Refused | None:
        """Answer the hook if nothing has to be waited for, else None; nothing has happened then."""
        asked = self.ask(command, self._clock())
        found = self._gate.now(asked)
        return None if found is None else self._reply(found, asked)

    async def __call__(self, command: _Asked) -> _Granted | Refused:
        """Answer the hook."""
        asked = self.ask(command, self._clock())
        return self._reply(await self._gate.decide(asked), asked)

    def _reply(self, found: Allow | Deny, asked: Request) -> _Granted | Refused:
        if found.__class__ is Allow:
            return self.grant(found, asked)
        return self._answers.command(found)  # type: ignore[arg-type]  # the other of the two
