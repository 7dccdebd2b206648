import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from proxy.demo import player
from proxy.demo.player import Notes, Player
from proxy.demo.stage import Places, Stage, Step, Unexpected, must
from proxy.policy.decision import Allow, Decision, Deny, Request

PLACES = Places(
    service="http://127.0.0.1:9",
    centrifugo="http://127.0.0.1:9",
    orders_key="k",
    application_key="k",
    database=Path("nowhere/demo.db"),
    policies=Path("nowhere"),
)
ALLOW = Allow(rule="chat:doc-{doc}/publish/[1]", at="chat.policy:9", revision="r", facts={})
DENY = Deny(reason="suspended", rule="deny/suspended", at="base.policy:3")


class Theatre:
    """A player whose steps make the decisions that they are told to make."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.shown = io.StringIO()

    def step(self, *made: tuple[Request, Decision], op: str | None = None, reason: str = "allowed") -> Step:
        async def play(_stage: Stage) -> str:
            for request, decision in made:
                self.notes(request, decision)
            return "seen [so]"

        return Step(title="A [step]", play=play, op=op, reason=reason)

    async def plays(self, *steps: Step, terminal: bool = False) -> bool:
        console = Console(file=self.shown, width=200, force_terminal=terminal, no_color=False)
        return await Player(PLACES, self.notes, console).play(steps)


def asked(op: str, **rest: str) -> Request:
    return Request(op=op, **{"user": "42", **rest})  # type: ignore[arg-type]  # strings all


async def test_a_step_is_shown_with_its_decision_rule_and_line() -> None:
    theatre = Theatre()
    assert await theatre.plays(theatre.step((asked("publish", channel="chat:doc-7"), ALLOW), op="publish"))
    assert theatre.shown.getvalue().splitlines()[:3] == [
        "  1 \u2713 A [step]",
        "      seen [so]",
        "      allow by chat:doc-{doc}/publish/[1] (chat.policy:9): user 42 publish chat:doc-7",
    ]
    assert "All 1 steps went as they must." in theatre.shown.getvalue()


async def test_the_transport_is_shown_where_it_is_known() -> None:
    theatre = Theatre()
    assert await theatre.plays(theatre.step((asked("publish", channel="chat:doc-7", transport="sse"), ALLOW), op="publish"))
    assert "user 42 publish chat:doc-7 over sse\n" in theatre.shown.getvalue()


async def test_a_refusal_is_shown_with_its_reason() -> None:
    theatre = Theatre()
    assert await theatre.plays(theatre.step((asked("connect"), DENY), op="connect", reason="suspended"))
    assert "deny as suspended by deny/suspended (base.policy:3): user 42 connect" in theatre.shown.getvalue()


async def test_a_refusal_that_no_rule_makes_names_none() -> None:
    theatre = Theatre()
    request = Request(op="publish", service="orders", channel="chat:doc-7")
    assert await theatre.plays(theatre.step((request, Deny(reason="no_rule")), op="publish", reason="no_rule"))
    assert "deny as no_rule: service orders publish chat:doc-7\n" in theatre.shown.getvalue()


async def test_without_a_decision_to_rest_on_a_step_needs_none() -> None:
    theatre = Theatre()
    assert await theatre.plays(theatre.step())
    assert "seen [so]\n\nAll" in theatre.shown.getvalue()


async def test_the_last_of_several_decisions_that_fit_is_shown() -> None:
    theatre = Theatre()
    made = [(asked("subscribe", channel=channel), ALLOW) for channel in ("a", "b")]
    assert await theatre.plays(theatre.step(*made, (asked("connect"), ALLOW), op="subscribe"))
    assert "subscribe b" in theatre.shown.getvalue()
    assert "subscribe a" not in theatre.shown.getvalue()


async def test_another_decision_than_the_step_must_rest_on_is_a_failure() -> None:
    theatre = Theatre()
    assert not await theatre.plays(theatre.step((asked("subscribe"), ALLOW), op="subscribe", reason="no_rule"), theatre.step())
    assert "no decision about subscribe with the reason no_rule; those made: subscribe: allowed" in theatre.shown.getvalue()
    assert "  2 " not in theatre.shown.getvalue()


async def test_a_decision_of_an_earlier_step_does_not_count() -> None:
    theatre = Theatre()
    assert not await theatre.plays(theatre.step((asked("connect"), ALLOW)), theatre.step(op="connect"))
    assert "those made: none" in theatre.shown.getvalue()


def raising(error: Exception) -> Callable[[Stage], Awaitable[str]]:
    async def play(_stage: Stage) -> str:
        raise error

    return play


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unexpected("saw [x]"), "saw [x]"),
        (TimeoutError(), "it took too long"),
        (httpx.ConnectError(""), "ConnectError"),
        (KeyError("token"), "'token'"),
    ],
)
async def test_a_step_that_goes_wrong_is_red_and_the_last(error: Exception, told: str) -> None:
    theatre = Theatre()
    assert not await theatre.plays(Step(title="Bad", play=raising(error)), theatre.step(), terminal=True)
    assert theatre.shown.getvalue() == f"\x1b[31m  1 \u2717 Bad: {told}\x1b[0m\n"


async def test_a_step_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "SLOWEST", 0.01)
    theatre = Theatre()

    async def hang(_stage: Stage) -> str:
        await asyncio.Event().wait()
        return ""

    assert not await theatre.plays(Step(title="Slow", play=hang))
    assert "it took too long" in theatre.shown.getvalue()


def test_what_must_hold_and_does_is_passed_over() -> None:
    must(holds=True, seen="")
    with pytest.raises(Unexpected, match="saw this"):
        must(holds=None, seen="this")
