"""Access ends when its ground shifts: real clients of a real Centrifugo lose exactly what they may have no more."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from centrifuge import Client

from proxy.demo.backend import Backend, shipping
from proxy.demo.clients import App, Ear, Line, Stream, soon
from proxy.demo.data import BEN, PEOPLE, ROLES
from proxy.demo.reviewer import Reviewer
from proxy.demo.stage import CHAT, Stage
from proxy.demo.supervisor import Supervisor
from tests.live.postgres import postgres
from tests.live.world import APPLICATION, World, world

pytestmark = pytest.mark.live

FORBIDDEN = 4503


class Scene(Stage):
    """The demo's people, some of whom are connected and listen; calls of the application, and the numbers of the service."""

    async def enter(self, *people: App) -> None:
        """Connect with a token, listen to the own notifications with another, and to the chat through the hook."""
        for app in people:
            await app.sign_in()
            await app.connect()
            await self.opened(app, f"notifications#{app.person.id}", with_token=True)
            await self.opened(app, CHAT)

    async def opened(self, app: App, channel: str, *, with_token: bool = False) -> Ear:
        ear = await self.listen(app, channel, with_token=with_token)
        await soon(ear.subscribed)
        return ear

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        backend = Backend(self.places.service, APPLICATION)
        answer: dict[str, Any] = (await backend.call(method, params)).json()
        await backend.close()
        return answer

    async def numbers(self, holds: Callable[[Mapping[str, float]], bool]) -> Mapping[str, float]:
        """Wait until this holds of what `/metrics` counts of revocation, and give that."""
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=self.places.service, trust_env=False) as http:
            while True:
                lines = [line.rpartition(" ") for line in (await http.get("/metrics")).text.splitlines() if line[0] != "#"]
                told = {name.removeprefix("centrigate_"): float(value) for name, _, value in lines}
                if holds(told):
                    return told
                await asyncio.sleep(0.02)

    def unhurt(self, *people: App) -> bool:
        """Whether these have everything that they had."""
        ears = [ear for (user, _), ear in self.ears.items() if user in {app.person.id for app in people}]
        return all(ear.unsubscribed.empty() for ear in ears) and all(app.line.disconnected.empty() for app in people)

    def client(self, token: str) -> tuple[Client, Line]:
        """A client with this token, and no way to another."""
        line = Line()
        socket = self.places.centrifugo.replace("http", "ws", 1) + "/connection/websocket"
        return Client(socket, events=line, token=token, min_reconnect_delay=0.05, proxy=None), line


@pytest.fixture
async def scene(live: World) -> AsyncIterator[Scene]:
    made = Scene(live.places)
    try:
        await made.enter(made.ann, made.ben, made.dee)
        yield made
    finally:
        await made.close()


async def test_a_member_that_is_removed_loses_the_chat_within_a_second_and_nobody_loses_anything_else(scene: Scene) -> None:
    second = another(scene)
    await second.sign_in()
    await second.connect()
    _, other = await second.listen(CHAT)
    await soon(other.subscribed)
    assert await scene.application.carry("remove", BEN)
    for ear in (scene.ears.pop((BEN.id, CHAT)), other):
        assert (await soon(ear.unsubscribed)).code == 2000
    assert time.monotonic() - scene.application.called < 1
    numbers = await scene.numbers(lambda told: told["redecisions_total"] == 4)
    assert numbers["revocations_total"] == 2
    await scene.ann.client.publish(CHAT, {"type": "message", "text": "Ben is off"})
    await scene.reads(scene.ann, "Ben is off")
    await scene.reads(scene.dee, "Ben is off")
    await scene.orders.call("publish", shipping(BEN.id, "1"))
    await scene.hears(scene.ben, "1")
    assert scene.unhurt(scene.ann, scene.ben, scene.dee)
    assert second.line.disconnected.empty()


async def test_a_suspended_user_is_disconnected_and_nobody_else(scene: Scene) -> None:
    assert await scene.application.carry("suspend", BEN)
    assert (await soon(scene.ben.line.disconnected)).code == FORBIDDEN
    assert await scene.tokenless(scene.ben) == "no token"
    assert scene.unhurt(scene.ann, scene.dee)
    assert await scene.application.carry("reinstate", BEN)
    await scene.ben.token()
    await scene.ben.connect()


async def test_a_blocked_user_is_put_out_and_kept_out_however_the_connection_was_made(scene: Scene) -> None:
    held = await scene.ben.token()
    async with scene.ben.stream("http_stream") as stream:
        await stream.connected()
        assert await scene.call("block_user", user=BEN.id) == {"result": {}}
        assert (await soon(scene.ben.line.disconnected)).code == FORBIDDEN
        assert (await ended(stream))["code"] == FORBIDDEN
    client, line = scene.client(held)
    await client.connect()
    assert (await soon(line.disconnected)).code == FORBIDDEN
    async with scene.ben.stream("http_stream") as stream:
        assert (await ended(stream))["code"] == FORBIDDEN
    assert await scene.tokenless(scene.ben) == "no token"
    assert scene.unhurt(scene.ann, scene.dee)


async def test_a_user_who_is_unblocked_gets_in_with_a_new_token_and_stays(scene: Scene) -> None:
    await scene.call("block_user", user=BEN.id)
    await soon(scene.ben.line.disconnected)
    await scene.call("unblock_user", user=BEN.id)
    client, line = scene.client(await scene.ben.token())
    await client.connect()
    await soon(line.connected)
    waiting = (await scene.numbers(bool))["revocations_waiting"]
    await client.disconnect()
    assert waiting == 0


async def test_a_revoked_token_ends_what_it_opened_and_opens_nothing_more(scene: Scene) -> None:
    token = await scene.ben.token()
    first, line = scene.client(token)
    await first.connect()
    await soon(line.connected)
    async with scene.ben.stream("http_stream") as stream:  # by the cookie, which nobody revoked
        await stream.connected()
        uid = jwt.decode(token, options={"verify_signature": False})["jti"]
        assert await scene.call("revoke_token", uid=uid) == {"result": {}}
        assert (await soon(line.disconnected)).code == FORBIDDEN
        again, line = scene.client(token)
        await again.connect()
        assert (await soon(line.disconnected)).code == FORBIDDEN
        assert "subscribe" in await stream.subscribe(CHAT)
    assert scene.unhurt(scene.ann, scene.dee)
    assert (await scene.call("revoke_token", uid="unknown"))["error"]["code"] == 108


async def test_another_policy_takes_from_those_it_refuses_and_from_nobody_else(scene: Scene) -> None:
    reviewer = Reviewer(scene.places.policies)
    reviewer.edit("base.policy", ("  allow;\n", "  allow when user !=;\n"))
    assert "base.policy:33:" in (await scene.call("reload"))["error"]["message"]
    assert "result" in await scene.call("invalidate", topics=["account:45"])  # which asks the policy that is in force
    await scene.numbers(lambda told: told["redecisions_total"] == 3)
    assert scene.unhurt(scene.ann, scene.ben, scene.dee)
    reviewer.edit("base.policy", ("  allow when user !=;\n", '  allow when user != "45";\n'))
    assert "result" in await scene.call("reload")
    assert (await soon(scene.dee.line.disconnected)).code == FORBIDDEN
    await scene.numbers(lambda told: told["revocations_total"] == 1)
    assert scene.unhurt(scene.ann, scene.ben)


async def test_what_ends_while_centrifugo_is_away_has_ended_when_it_is_back(live: World, scene: Scene) -> None:
    live.centrifugo._process.kill()
    await live.centrifugo._process.wait()
    assert await scene.application.carry("suspend", BEN)
    numbers = await scene.numbers(lambda told: told["revocation_failures_total"] > 1)
    assert (numbers["revocations_total"], scene.unhurt(scene.ann, scene.ben, scene.dee)) == (0, True)
    former = live.centrifugo
    async with Supervisor(former._program, former._config, former._variables, port=former.port):
        assert (await soon(scene.ben.line.disconnected)).code == FORBIDDEN  # by his token, which no hook sees, he was back
        for app in (scene.ann, scene.dee):
            await soon(scene.ear(app, CHAT).subscribed)
        await scene.numbers(lambda told: told["revocations_total"] >= 2)
        assert scene.unhurt(scene.ann, scene.dee)


async def test_a_thousand_subscriptions_of_one_user_end_and_nothing_else(live: World, scene: Scene) -> None:
    documents = [str(number) for number in range(100, 1100)]
    with contextlib.closing(sqlite3.connect(live.places.database)) as database, database:
        database.executemany("insert into doc_members values (?, ?, 'editor')", [(each, BEN.id) for each in documents])
    clients, ears = [another(scene) for _ in range(10)], list[Ear]()
    for number, app in enumerate(clients):
        await app.sign_in()
        await app.connect()
        listening = await asyncio.gather(*(app.listen(f"chat:doc-{each}") for each in documents[number::10]))
        for _, ear in listening:
            await soon(ear.subscribed)
            ears.append(ear)
    with contextlib.closing(sqlite3.connect(live.places.database)) as database, database:
        database.execute("delete from doc_members where user_id = ?", (BEN.id,))
    assert "result" in await scene.call("invalidate", topics=[f"doc:{each}" for each in documents])
    for ear in ears:
        assert (await soon(ear.unsubscribed)).code == 2000
    # more, when a connection was lost and made again: what it had before is ended, too
    await scene.numbers(lambda told: told["revocations_total"] >= 1000)
    assert scene.unhurt(scene.ann, scene.ben, scene.dee)
    assert all(app.line.disconnected.empty() for app in clients)


def another(scene: Scene) -> App:
    """Something else that Ben has open, closed with the scene."""
    app = App(BEN, scene.places.service, scene.places.centrifugo)
    scene.people = (*scene.people, app)
    return app


async def ended(stream: Stream) -> dict[str, Any]:
    while "disconnect" not in (push := (await stream.message()).get("push", {})):
        pass
    found: dict[str, Any] = push["disconnect"]
    return found


SCHEMA = """
create table accounts (id text primary key, suspended boolean not null);
create table doc_members (doc_id text, user_id text, role text not null);
create function told() returns trigger language plpgsql as
  $$ begin perform pg_notify('changes', 'doc:' || old.doc_id); return old; end $$;
create trigger told after delete on doc_members for each row execute function told();
"""


@pytest.mark.parametrize("version", ["6.9.1"])
async def test_what_a_transaction_takes_from_the_data_ends_when_it_is_committed(version: str, tmp_path: Path) -> None:
    with postgres() as server:
        database = await asyncpg.connect(server.url)
        await database.execute(SCHEMA)
        await database.executemany("insert into accounts values ($1, $2)", [(each.id, each.suspended) for each in PEOPLE.values()])
        await database.executemany("insert into doc_members values ($1, $2, $3)", ROLES)
        async with world(version, tmp_path, database=server.url) as live:
            scene = Scene(live.places)
            await scene.enter(scene.ann, scene.ben)
            async with database.transaction():
                await database.execute("delete from doc_members where doc_id = '7' and user_id = $1", BEN.id)
                assert "result" in await scene.call("invalidate", topics=["doc:7"])  # not yet: nobody sees what is not committed
                await scene.numbers(lambda told: told["redecisions_total"] >= 2)
                assert scene.unhurt(scene.ann, scene.ben)
            assert (await soon(scene.ears.pop((BEN.id, CHAT)).unsubscribed)).code == 2000
            assert scene.unhurt(scene.ann, scene.ben)
            await scene.close()
        await database.close()
