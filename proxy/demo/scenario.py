"""The scenario that must always work, step by step, played by real clients against a real Centrifugo."""

from http import HTTPStatus
from typing import Final

from centrifuge import ReplyError

from proxy.demo.backend import Backend, shipping
from proxy.demo.clients import App, soon
from proxy.demo.data import ANN, BEN
from proxy.demo.stage import CHAT, Stage, Step, Unexpected, must
from proxy.demo.withdrawal import MORE
from proxy.wire.codes import ErrorCode


async def sign_in(stage: Stage) -> str:
    """Everybody signs in."""
    for app in stage.people:
        response = await app.sign_in()
        cookie = response.headers.get("set-cookie", "")
        must(response.status_code == HTTPStatus.NO_CONTENT and "HttpOnly" in cookie, response)
    return "each has an HttpOnly cookie that holds a token of the demo's identity provider"


async def take_token(stage: Stage) -> str:
    """Ann's connection token."""
    return f"a token of {len(await stage.ann.token())} characters"


async def connect_socket(stage: Stage) -> str:
    """Ann connects over WebSocket, with a token."""
    context = await stage.ann.connect()
    return f"connected to Centrifugo {context.version}"


async def connect_sse(stage: Stage) -> str:
    """Ann connects over SSE, with a token."""
    return await _stream(stage.ann, "sse", token=await stage.ann.token())


async def connect_http(stage: Stage) -> str:
    """Ann connects over HTTP streaming, with a token."""
    return await _stream(stage.ann, "http_stream", token=await stage.ann.token())


async def connect_cookie(stage: Stage) -> str:
    """Ann connects without a token: her cookie reaches the connect hook."""
    return await _stream(stage.ann, "http_stream")


async def _stream(app: App, transport: str, **connect: object) -> str:
    async with app.stream(transport, **connect) as stream:
        connected = await stream.connected()
        own = await stream.subscribe(f"notifications#{app.person.id}", await app.channel_token(f"notifications#{app.person.id}"))
        must("subscribe" in own, own)
    return f"connected to Centrifugo {connected['version']} and subscribed"


async def own_notifications(stage: Stage) -> str:
    """Ann and Ben hear their own notifications."""
    await stage.ben.connect()
    for app in (stage.ben, stage.ann):
        ear = await stage.listen(app, f"notifications#{app.person.id}", with_token=True)
        await soon(ear.subscribed)
    return "subscribed with a token for that channel"


async def others_notifications(stage: Stage) -> str:
    """Ben tries Ann's notifications."""
    ear = await stage.listen(stage.ben, f"notifications#{ANN.id}", with_token=True)
    ended = await soon(ear.unsubscribed)
    must(ended.code == 1, ended)
    return f"no token; the client stops: {ended.reason}"


async def ship(stage: Stage) -> str:
    """One order is shipped."""
    reply = await stage.orders.call("publish", shipping(ANN.id, "12345"))
    must(reply.status_code == HTTPStatus.OK and "result" in reply.json(), reply.text)
    return await stage.hears(stage.ann, "12345")


async def ship_many(stage: Stage) -> str:
    """Two orders are shipped at once."""
    reply = await stage.orders.shipped([ANN.id, BEN.id], "12346")
    must(reply.status_code == HTTPStatus.OK and all("publish" in each for each in reply.json()["replies"]), reply.text)
    return f"{await stage.hears(stage.ann, '12346')}; {await stage.hears(stage.ben, '12346')}"


async def wrong_key(stage: Stage) -> str:
    """Somebody guesses a key."""
    stranger = Backend(stage.places.service, "guessed-" * 8)
    try:
        reply = await stranger.call("publish", shipping(ANN.id, "1"))
    finally:
        await stranger.close()
    must(reply.status_code == HTTPStatus.UNAUTHORIZED, reply)
    return "status 401"


async def orders_in_chat(stage: Stage) -> str:
    """Let the order system write where it must not."""
    reply = await stage.orders.call("publish", {"channel": CHAT, "data": {"type": "message", "text": "Buy more"}})
    must(reply.json()["error"]["code"] == ErrorCode.PERMISSION_DENIED, reply.text)
    return "error 103, permission denied"


async def join_chat(stage: Stage) -> str:
    """Ann opens the chat; no token, so Centrifugo asks the subscribe hook."""
    ear = await stage.listen(stage.ann, CHAT)
    await soon(ear.subscribed)
    must((await soon(ear.joins)).user == ANN.id, "somebody else")
    return "subscribed"


async def see_others(stage: Stage) -> str:
    """Ben comes, and Ann sees it."""
    ear = await stage.listen(stage.ben, CHAT)
    await soon(ear.subscribed)
    joined = await soon(stage.ear(stage.ann, CHAT).joins)
    must(joined.user == BEN.id and joined.conn_info == {"name": "Ben"} and joined.chan_info == {"role": "editor"}, joined)
    present = {info.user for info in (await stage.ann.client.presence(CHAT)).clients.values()}
    must(present == {ANN.id, BEN.id}, present)
    return "Ann sees Ben join as editor; both are present"


async def write(stage: Stage) -> str:
    """Ben writes, and Ann reads who wrote it and when."""
    await stage.ben.client.publish(CHAT, {"type": "message", "text": "Ready to launch?"})
    publication = await soon(stage.ear(stage.ann, CHAT).publications)
    data = publication.data
    must(data["text"] == "Ready to launch?" and data["author"] == BEN.id and isinstance(data["at"], int), publication)
    return f"Ann reads it, stamped with author {data['author']} and the time"


async def write_badly(stage: Stage) -> str:
    """Ben claims to be Ann in a message."""
    return await _refused(stage.ben, {"type": "message", "text": "I quit", "author": ANN.id}, ErrorCode.BAD_REQUEST)


async def _refused(app: App, data: object, code: int) -> str:
    try:
        await app.client.publish(CHAT, data)
    except ReplyError as error:
        must(error.code == code, error)
        return f"error {error.code}, {error.message}"
    message = "it was published"
    raise Unexpected(message)


async def stranger_listens(stage: Stage) -> str:
    """Cleo tries to listen."""
    await stage.cleo.connect()
    ear = await stage.listen(stage.cleo, CHAT)
    ended = await soon(ear.unsubscribed)
    must(ended.code == ErrorCode.PERMISSION_DENIED, ended)
    return f"refused: {ended.code}, {ended.reason}"


async def stranger_writes(stage: Stage) -> str:
    """Cleo tries to write without listening."""
    return await _refused(stage.cleo, {"type": "message", "text": "Let me in"}, ErrorCode.PERMISSION_DENIED)


async def suspended(stage: Stage) -> str:
    """Sam is suspended and gets no token."""
    return await stage.tokenless(stage.sam)


async def come_back(stage: Stage) -> str:
    """Ann loses her connection, misses a message, comes back and has it."""
    ear = stage.ear(stage.ann, CHAT)
    await stage.ann.client.disconnect()
    must((await soon(stage.ear(stage.ben, CHAT).leaves)).user == ANN.id, "somebody else")
    await stage.ben.client.publish(CHAT, {"type": "message", "text": "While you were away"})
    await stage.ann.connect()
    back = await soon(ear.subscribed)
    must(back.was_recovering and back.recovered, back)
    missed = await soon(ear.publications)
    must(missed.data["text"] == "While you were away", missed)
    return "Ben sees Ann leave; back again, Ann reads what was written meanwhile"


STEPS: Final = (
    Step(title="Ann, Ben, Cleo, Dee and Sam sign in", play=sign_in),
    Step(title="Ann gets a connection token", play=take_token, op="connect"),
    Step(title="Ann connects over WebSocket", play=connect_socket, op="connect"),
    Step(title="Ann connects over SSE", play=connect_sse, op="connect"),
    Step(title="Ann connects over HTTP streaming", play=connect_http, op="connect"),
    Step(title="Ann connects without a token, by the cookie", play=connect_cookie, op="connect"),
    Step(title="Ann and Ben listen to their own notifications", play=own_notifications, op="subscribe"),
    Step(title="Ben tries to listen to Ann's notifications", play=others_notifications, op="subscribe", reason="no_rule"),
    Step(title="The order system tells Ann", play=ship, op="publish"),
    Step(title="The order system tells Ann and Ben in one batch", play=ship_many, op="publish"),
    Step(title="Somebody guesses the key of the order system", play=wrong_key),
    Step(title="The order system tries to write into the chat", play=orders_in_chat, op="publish", reason="no_rule"),
    Step(title="Ann opens the chat of the document", play=join_chat, op="subscribe"),
    Step(title="Ben opens the chat of the document", play=see_others, op="subscribe"),
    Step(title="Ben writes a message", play=write, op="publish"),
    Step(title="Ben writes in Ann's name", play=write_badly, op="publish", reason="schema"),
    Step(title="Cleo, a stranger, tries to listen", play=stranger_listens, op="subscribe", reason="no_rule"),
    Step(title="Cleo, a stranger, tries to write", play=stranger_writes, op="publish", reason="no_rule"),
    Step(title="Sam, who is suspended, asks for a token", play=suspended, op="connect", reason="suspended"),
    Step(title="Ann's connection breaks and she comes back", play=come_back, op="subscribe"),
    *MORE,
)
