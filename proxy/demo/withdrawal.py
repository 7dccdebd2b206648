"""The second half of the scenario: access ends when permission ends, at once and for nobody else."""

import time
from typing import Final

from centrifuge import ReplyError

from proxy.demo import data
from proxy.demo.backend import shipping
from proxy.demo.clients import App, soon
from proxy.demo.data import ANN, BEN, CLEO, DOCUMENT
from proxy.demo.stage import CHAT, Stage, Step, must
from proxy.wire.codes import DisconnectCode, ErrorCode

NEWS: Final = "news:today"

_MEMBERS: Final = "as members when member != null"
_WRITERS: Final = 'as members when member != null && member.role != "viewer"'
_SEES: Final = 'as "45" { allow presence "chat:doc-7" by "chat:doc-{doc}/presence/members"; }'
_SEES_NOT: Final = 'as "45" { deny presence "chat:doc-7" because no_rule; }'


async def reader_listens(stage: Stage) -> str:
    """Dee opens the chat."""
    await stage.dee.connect()
    ear = await stage.listen(stage.dee, CHAT)
    await soon(ear.subscribed)
    return "subscribed"


async def remove(stage: Stage) -> str:
    """Ben is no member any more."""
    must(await stage.application.carry("remove", BEN), "the call was refused")
    ended = await soon(stage.ear(stage.ben, CHAT).unsubscribed)
    after = _since(stage.application.called)
    await _read(stage, "Ben is off the document", stage.ann, stage.dee)
    return f"{after} Ben's subscription ends ({ended.code}, {ended.reason}); Ann and Dee go on reading"


async def suspend(stage: Stage) -> str:
    """Ben may do nothing any more."""
    must(await stage.application.carry("suspend", BEN), "the call was refused")
    ended = await soon(stage.ben.line.disconnected)
    must(ended.code == DisconnectCode.FORBIDDEN, ended)
    return f"{_since(stage.application.called)} Ben is disconnected: {ended.code}, {ended.reason}"


async def stay_out(stage: Stage) -> str:
    """Ben does not get back in."""
    return await stage.tokenless(stage.ben)


async def contradict(stage: Stage) -> str:
    """A changed policy that its tests contradict changes nothing."""
    before = await stage.ready(lambda told: "refused" not in told)
    stage.revision = before["policy"]
    stage.reviewer.edit("chat.policy", (_MEMBERS, _WRITERS))
    told = await stage.ready(lambda told: "refused" in told)
    must(told["policy"] == stage.revision, told)
    await stage.subscriptions[stage.dee.person.id, CHAT].unsubscribe()
    await soon(stage.ear(stage.dee, CHAT).unsubscribed)
    await stage.listen_again(stage.dee, CHAT)
    return f"Dee leaves the chat and comes back as before; /ready says: {told['refused']}"


async def agree(stage: Stage) -> str:
    """A changed policy that its tests agree with is in force."""
    began = time.monotonic()
    stage.reviewer.edit("chat.test.policy", ("  45  s-h         ---\n", "  45  ---         ---\n"), (_SEES, _SEES_NOT))
    ended = await soon(stage.ear(stage.dee, CHAT).unsubscribed)
    after = _since(began)
    told = await stage.ready(lambda told: "refused" not in told)
    must(told["policy"] != stage.revision, told)
    await _read(stage, "Dee may not read this", stage.ann)
    return f"{after} Dee's subscription ends ({ended.code}, {ended.reason}); Ann goes on reading"


async def lose_database(stage: Stage) -> str:
    """Nobody can be decided about: nobody gets in, nobody is thrown out."""
    data.take_away(stage.places.database)
    must(await stage.application.changed(f"doc:{DOCUMENT}", f"account:{ANN.id}", f"account:{CLEO.id}"), "the call was refused")
    ear = await stage.listen(stage.cleo, NEWS)
    error = await soon(ear.errors)
    must(isinstance(error, ReplyError) and error.temporary and error.code == ErrorCode.INTERNAL, error)
    await stage.orders.call("publish", shipping(ANN.id, "12347"))
    heard = await stage.hears(stage.ann, "12347")
    must(stage.ear(stage.ann, CHAT).unsubscribed.empty(), "Ann's subscription ended")
    return f"Cleo, who comes now, is told to try again; Ann stays: {heard}"


async def have_database(stage: Stage) -> str:
    """What could not be decided is decided now."""
    data.bring_back(stage.places.database)
    await soon(stage.ear(stage.cleo, NEWS).subscribed)
    await _read(stage, "Here again", stage.ann)
    return "Cleo, whose client kept asking, is subscribed"


async def restore(stage: Stage) -> str:
    """All is as it was."""
    stage.reviewer.restore()
    await stage.ready(lambda told: told["policy"] == stage.revision and "refused" not in told)
    for change in ("add", "reinstate"):
        must(await stage.application.carry(change, BEN), "the call was refused")
    await stage.ben.token()  # a new one takes back the end of the old, which the client still has
    await stage.ben.connect()
    for app in (stage.ben, stage.dee):
        await stage.listen_again(app, CHAT)
    return "Ben and Dee are back in the chat"


def _since(began: float) -> str:
    return f"after {(time.monotonic() - began) * 1000:.0f} ms"


async def _read(stage: Stage, text: str, *readers: App) -> None:
    """Ann writes, and all of these read it."""
    await stage.ann.client.publish(CHAT, {"type": "message", "text": text})
    for app in readers:
        await stage.reads(app, text)
        must(stage.ear(app, CHAT).unsubscribed.empty(), f"{app.person.name}'s subscription ended")


MORE: Final = (
    Step(title="Dee, who only reads, opens the chat", play=reader_listens, op="subscribe"),
    Step(title="Ben is removed from the document", play=remove, op="sub_refresh", reason="no_rule"),
    Step(title="Ben's account is suspended", play=suspend, op="refresh", reason="suspended"),
    Step(title="Ben asks for a new token", play=stay_out, op="connect", reason="suspended"),
    Step(title="A reviewer takes the chat from readers, but a test says otherwise", play=contradict, op="subscribe"),
    Step(title="The reviewer changes the test as well", play=agree, op="sub_refresh", reason="no_rule"),
    Step(title="The database is away", play=lose_database, op="subscribe", reason="fact_error"),
    Step(title="The database is back", play=have_database, op="subscribe"),
    Step(title="Everything becomes as it was", play=restore, op="subscribe"),
)
"""Steps that follow those of `scenario`; they leave data and policies as they were."""
