"""Plays the scenario and shows each step with the decision that it rests on."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from centrifuge import CentrifugeError
from httpx import HTTPError
from rich.console import Console
from rich.markup import escape

from proxy.demo.stage import Places, Stage, Step, Unexpected
from proxy.policy.decision import Allow, Decision, Request

SLOWEST: Final = 30.0
"""Seconds that a step may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A decision and what was asked."""

    request: Request
    decision: Decision

    def fits(self, step: Step) -> bool:
        """Whether it is the decision that the step rests on."""
        return self.request.op == step.op and self.decision.reason == step.reason


class Notes:
    """The decisions of the running service since they were last taken; it is the gate's `watch`."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []

    def __call__(self, request: Request, decision: Decision) -> None:
        """Note one decision."""
        self._noted.append(Noted(request=request, decision=decision))

    def take(self) -> Sequence[Noted]:
        """Give what was noted, and begin anew."""
        noted, self._noted = self._noted, []
        return noted


class Player:
    """Plays one step after the other and stops at the first that goes wrong, for the rest builds on it."""

    def __init__(self, places: Places, notes: Notes, console: Console) -> None:
        self._places = places
        self._notes = notes
        self._console = console

    async def play(self, steps: Sequence[Step]) -> bool:
        """Play all steps; whether everything went as it must."""
        stage = Stage(self._places)
        try:
            for number, step in enumerate(steps, 1):
                if not await self._step(number, step, stage):
                    return False
        finally:
            await stage.close()
            self._notes.take()
        self._say(f"\n[green]All {len(steps)} steps went as they must.[/]")
        return True

    async def _step(self, number: int, step: Step, stage: Stage) -> bool:
        self._notes.take()
        try:
            async with asyncio.timeout(SLOWEST):
                seen = await step.play(stage)
            noted = self._rests(step)
        except (Unexpected, TimeoutError, OSError, HTTPError, CentrifugeError, StopAsyncIteration, LookupError, ValueError) as error:
            self._say(f"[red]{number:3} \u2717 {escape(step.title)}: {escape(_told(error))}[/]")
            return False
        self._show(number, step, seen, noted)
        return True

    def _rests(self, step: Step) -> Noted | None:
        if step.op is None:
            return None
        noted = self._notes.take()
        for each in reversed(noted):
            if each.fits(step):
                return each
        made = ", ".join(f"{each.request.op}: {each.decision.reason}" for each in noted) or "none"
        message = f"no decision about {step.op} with the reason {step.reason}; those made: {made}"
        raise Unexpected(message)

    def _show(self, number: int, step: Step, seen: str, noted: Noted | None) -> None:
        self._say(f"{number:3} [green]\u2713[/] [bold]{escape(step.title)}[/]")
        self._say(f"      [dim]{escape(seen)}[/]")
        if noted is not None:
            self._say(f"      {_decided(noted)}")

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False)


def _decided(noted: Noted) -> str:
    request, decision = noted.request, noted.decision
    who = f"service {request.service}" if request.service else f"user {request.user}"
    over = request.transport and f"over {request.transport}"  # hooks know it, token endpoints and the gateway do not
    asked = " ".join(part for part in (who, request.op, request.channel or request.method, over) if part)
    effect = "[green]allow[/]" if isinstance(decision, Allow) else f"[yellow]deny[/] as {escape(decision.reason)}"
    rule = f" by [cyan]{escape(decision.rule)}[/] ({escape(decision.at or '')})" if decision.rule else ""
    return f"{effect}{rule}: {escape(asked)}"


def _told(error: BaseException) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
