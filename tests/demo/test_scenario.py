from collections.abc import AsyncIterator

import pytest
from centrifuge import Publication

from proxy.demo import scenario
from proxy.demo.clients import Ear, soon
from proxy.demo.data import BEN
from proxy.demo.stage import CHAT, Stage, Unexpected
from tests.demo.test_player import PLACES


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage(PLACES)
    yield made
    await made.close()


async def test_a_message_that_should_have_been_refused_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def publish(_channel: str, _data: object) -> None:
        """Publish nothing, and say that it went well."""

    for app in (stage.ben, stage.cleo):
        monkeypatch.setattr(app.client, "publish", publish)
    with pytest.raises(Unexpected, match="it was published"):
        await scenario.write_badly(stage)


async def test_a_token_for_a_suspended_user_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def token() -> str:
        return "t"

    monkeypatch.setattr(stage.sam, "token", token)
    with pytest.raises(Unexpected, match="Sam got a token"):
        await scenario.suspended(stage)


async def test_what_was_written_before_is_passed_over(stage: Stage) -> None:
    ear = stage.ears[BEN.id, CHAT] = Ear()
    for text in ("before", "this", "after"):
        ear.publications.put_nowait(Publication(offset=1, data={"text": text}, info=None, tags={}, delta=False))
    await stage.reads(stage.ben, "this")
    assert (await soon(ear.publications)).data["text"] == "after"


def test_every_step_but_those_without_a_decision_names_the_operation() -> None:
    assert [step.title for step in scenario.STEPS if step.op is None] == [
        "Ann, Ben, Cleo, Dee and Sam sign in",
        "Somebody guesses the key of the order system",
    ]
