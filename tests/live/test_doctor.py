"""Each break of the table is what the doctor says: Centrifugo lets through what the policy was not asked about, or asks in vain."""

import datetime as dt
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.exceptions import InvalidStatus

from proxy.delivery.grpc import Server as Grpc
from proxy.errors import SetupFault
from tests.identity.forge import jwk, private, sign
from tests.live.clinic import GRANTED, USER, Clinic, clinic, nothing_asked, token
from tests.live.servers import VERSIONS
from tests.review.doctor.scene import changed, good
from tests.review.doctor.table import SECRET, TABLE, Broken

pytestmark = pytest.mark.live

Proof = Callable[[Clinic], Awaitable[None]]
PROOFS: dict[str, Proof] = {}
"""What shows a break, by its title."""
QUICK = {"CENTRIFUGO_CLIENT_PRESENCE_UPDATE_INTERVAL": "1s", "CENTRIFUGO_CLIENT_EXPIRED_SUB_CLOSE_DELAY": "1s"}
"""Lets Centrifugo look at the ends of subscriptions each second."""
UNSHOWN = {"timeout_too_long"}
"""Only a browser shows it: the JavaScript client asks again after 5 s."""
UNSTARTED = {"endpoint_missing", "wrong_kind"}
"""With these Centrifugo does not start."""
EVIL, ROOM, STORY, INBOX, WORD = "https://evil.example", "chat:hall", "news:today", f"inbox#{USER}", {"text": "hello"}


def proof(show: Proof) -> Proof:
    """Make this the proof of the break with the same title."""
    PROOFS[show.__name__] = show
    return show


def code(reply: Any) -> int:  # noqa: ANN401 - JSON
    return int(reply.get("error", {}).get("code", 0))


@proof
async def insecure_clients(it: Clinic) -> None:
    async with it.connected() as line:
        assert "presence" in await line.ask("presence", channel=ROOM)
        assert "history" in await line.ask("history", channel=ROOM)


@proof
async def unverified_tokens(it: Clinic) -> None:
    async with it.connected(token=token("somebody else's" * 3)):
        pass


@proof
async def keys_from_anywhere(it: Clinic) -> None:
    async with it.client() as line:
        await line.ask("connect", token=token(header={"kid": "mine"}, iss="evil"))
    assert "evil/keys" in [each.path for each in it.hooks.asked]


@proof
async def insecure_admin(it: Clinic) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{it.server.url}/admin/api", json={"method": "publish", "params": {"channel": ROOM, "data": WORD}})
    assert answer.status_code == 200
    assert "error" not in answer.json()


@proof
async def user_from_header(it: Clinic) -> None:
    with nothing_asked(it.hooks, "connect"):
        async with it.client(X_User="boss") as line:
            await line.ask("connect")
            await line.ask("subscribe", channel=ROOM)
    assert it.hooks.of("subscribe")[0].body["user"] == "boss"


@proof
async def anonymous_connect(it: Clinic) -> None:
    async with it.connected():
        assert it.hooks.asked == []


@proof
async def open_http_api(it: Clinic) -> None:
    assert "result" in (await it.api("publish", {"channel": ROOM, "data": WORD}, key=None)).json()


@proof
async def open_grpc_api(it: Clinic) -> None:
    server = Grpc(f"127.0.0.1:{it.grpc}", "a wrong key")
    try:
        await server.health()
    finally:
        await server.close()


@proof
async def foreign_keys(it: Clinic) -> None:
    it.hooks.answers["keys"] = {"keys": [{**jwk("P-256", kid="theirs"), "use": "sig", "alg": "ES256"}]}
    claims = {"sub": "boss", "exp": int(time.time()) + 600}
    with nothing_asked(it.hooks, "connect"):
        async with it.connected(token=sign(claims, private("P-256"), "ES256", kid="theirs")):
            pass


@proof
async def weak_secret(it: Clinic) -> None:
    for guess in ("password", "123456", "secret"):
        async with it.client() as line:
            if "connect" in await line.ask("connect", token=token(guess)):
                return
    pytest.fail("it was not guessed")


@proof
async def any_origin(it: Clinic) -> None:
    async with it.client(origin=EVIL, Cookie="session=victim") as line:
        await line.ask("connect")
    assert it.hooks.of("connect")[0].headers["cookie"] == "session=victim"


@proof
async def forwardable_secret(it: Clinic) -> None:
    async with it.client(**{SECRET: "mine"}) as line:
        await line.ask("connect")
        await line.ask("subscribe", channel=ROOM)
    assert it.hooks.of("subscribe")[0].headers[SECRET.lower()] == "mine"


@proof
async def unchecked_certificate(it: Clinic) -> None:
    async with it.connected(token=token()) as line:
        assert code(await line.ask("subscribe", channel=ROOM)) == 102
    assert len(it.hooks.of("subscribe")) == 1


@proof
async def foreign_hook(it: Clinic) -> None:
    it.hooks.answers["publish"] = GRANTED
    with nothing_asked(it.hooks, "centrifugo/publish"):
        async with it.connected() as line:
            assert "publish" in await line.ask("publish", channel=ROOM, data=WORD)
    assert [each.path for each in it.hooks.asked if each.path.endswith("/publish")] == ["elsewhere/publish"]


@proof
async def stream_hook(it: Clinic) -> None:
    with nothing_asked(it.hooks, "subscribe"):
        async with it.connected() as line:
            assert code(await line.ask("subscribe", channel=STORY)) == 100


@proof
async def flag_grants_subscribe(it: Clinic) -> None:
    with nothing_asked(it.hooks, "subscribe"):
        async with it.connected() as line:
            assert "subscribe" in await line.ask("subscribe", channel=ROOM)


@proof
async def flag_grants_publish(it: Clinic) -> None:
    with nothing_asked(it.hooks, "publish"):
        async with it.connected() as line:
            assert "publish" in await line.ask("publish", channel=STORY, data=WORD)


@proof
async def flag_grants_publish_to_subscribers(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    with nothing_asked(it.hooks, "publish"):
        async with it.connected() as line:
            assert code(await line.ask("publish", channel=STORY, data=WORD)) == 103
            await line.ask("subscribe", channel=STORY)
            assert "publish" in await line.ask("publish", channel=STORY, data=WORD)


@proof
async def flag_grants_map_publish(it: Clinic) -> None:
    with nothing_asked(it.hooks, "map_publish"):
        async with it.connected() as line:
            reply = await line.ask("publish", channel="board:one", data=WORD, key="k", type=1)
    # Version 6.9.1 answers 107 to a write that it performs.
    assert code(reply) in (0, 107)
    kept = (await it.api("map_read_state", {"channel": "board:one", "limit": -1})).json()
    assert [each["key"] for each in kept["result"]["entries"]] == ["k"]


@proof
async def user_limited_channels(it: Clinic) -> None:
    with nothing_asked(it.hooks, "subscribe"):
        async with it.connected() as line:
            assert "subscribe" in await line.ask("subscribe", channel=INBOX)
            assert "subscribe" in await line.ask("subscribe", channel=f"secrets#1,{USER}")


@proof
async def personal_channel(it: Clinic) -> None:
    async with it.client() as line:
        assert f"#{USER}" in (await line.ask("connect"))["connect"]["subs"]


@proof
async def presence_for_everybody(it: Clinic) -> None:
    async with it.connected() as line:
        assert "presence" in await line.ask("presence", channel=ROOM)


@proof
async def presence_wider(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        await line.ask("subscribe", channel=STORY)
        assert [each["user"] for each in (await line.ask("presence", channel=STORY))["presence"]["presence"].values()] == [USER]


@proof
async def joins_wider(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        await line.ask("subscribe", channel=STORY)
        assert (await line.pushed(STORY, "join"))["info"]["user"] == USER


@proof
async def history_for_everybody(it: Clinic) -> None:
    await it.api("publish", {"channel": ROOM, "data": WORD})
    async with it.connected() as line:
        assert (await line.ask("history", channel=ROOM, limit=1))["history"]["publications"][0]["data"] == WORD


@proof
async def history_wider(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    await it.api("publish", {"channel": STORY, "data": WORD})
    async with it.connected() as line:
        await line.ask("subscribe", channel=STORY)
        assert (await line.ask("history", channel=STORY, limit=1))["history"]["publications"][0]["data"] == WORD


@proof
async def recovery_wider(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    epoch = (await it.api("publish", {"channel": STORY, "data": WORD})).json()["result"]["epoch"]
    async with it.connected() as line:
        assert code(await line.ask("history", channel=STORY, limit=1)) == 103
        reply = await line.ask("subscribe", channel=STORY, recover=True, offset=0, epoch=epoch)
        assert reply["subscribe"]["publications"][0]["data"] == WORD


@proof
async def sub_refresh_hook_missing(it: Clinic) -> None:
    async with it.connected() as line:
        assert (await line.ask("subscribe", channel=ROOM, token=token(channel=ROOM)))["subscribe"]["expires"] is True
        expired = token(channel=ROOM, exp=int(time.time()) - 600)
        assert await line.ask("sub_refresh", channel=ROOM, token=expired) == {"id": 3, "sub_refresh": {}}


@proof
async def meta_not_sent(it: Clinic) -> None:
    async with it.connected() as line:
        await line.ask("subscribe", channel=ROOM)
    assert "meta" not in it.hooks.of("subscribe")[0].body


@proof
async def secret_missing(it: Clinic) -> None:
    async with it.connected() as line:
        await line.ask("subscribe", channel=ROOM)
    assert SECRET.lower() not in it.hooks.of("subscribe")[0].headers


@proof
async def subscribe_hook_missing(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        assert code(await line.ask("subscribe", channel=ROOM)) == 103


@proof
async def publish_hook_missing(it: Clinic) -> None:
    it.hooks.answers["publish"] = GRANTED
    async with it.connected() as line:
        assert code(await line.ask("publish", channel=ROOM, data=WORD)) == 103


@proof
async def rpc_hook_missing(it: Clinic) -> None:
    it.hooks.answers["rpc"] = GRANTED
    async with it.connected() as line:
        assert code(await line.ask("rpc", method="rename", data=WORD)) == 108


@proof
async def namespace_missing(it: Clinic) -> None:
    with nothing_asked(it.hooks, "subscribe"):
        async with it.connected() as line:
            assert code(await line.ask("subscribe", channel=STORY)) == 102


@proof
async def refresh_hook_missing(it: Clinic) -> None:
    it.hooks.answers["connect"] = {"result": {"user": USER, "expire_at": int(time.time()) + 60}}
    async with it.client() as line:
        assert (await line.ask("connect"))["connect"]["expires"] is True


@proof
async def map_behind_hook(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        assert code(await line.ask("subscribe", channel="board:one", type=1)) == 107
    assert len(it.hooks.of("subscribe")) == 1


@proof
async def header_not_sent(it: Clinic) -> None:
    async with it.client(Authorization="Bearer of-the-application") as line:
        await line.ask("connect")
    assert "authorization" not in it.hooks.of("connect")[0].headers


@proof
async def unknown_key(it: Clinic) -> None:
    assert "subscribe_for_client" in it.server.log


@proof
async def bare_duration(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        assert code(await line.ask("subscribe", channel=ROOM)) == 100


@proof
async def presence_missing(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        await line.ask("subscribe", channel=ROOM)
        assert code(await line.ask("presence", channel=ROOM)) == 103


@proof
async def history_missing(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    async with it.connected() as line:
        await line.ask("subscribe", channel=ROOM)
        assert code(await line.ask("history", channel=ROOM)) == 103


@proof
async def other_kind(it: Clinic) -> None:
    it.hooks.answers["publish"] = GRANTED
    with nothing_asked(it.hooks, "publish"):
        async with it.connected() as line:
            assert code(await line.ask("publish", channel=ROOM, data=WORD)) > 0


@proof
async def connect_hook_missing(it: Clinic) -> None:
    async with it.client() as line:
        assert await line.ask("connect") == {"closed": 3501}


@proof
async def origins_missing(it: Clinic) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        async with it.client(origin="https://app.example.org"):
            pass


@proof
async def timeout_too_short(it: Clinic) -> None:
    it.hooks.answers["subscribe"] = GRANTED
    it.hooks.slow_s = 0.15
    async with it.connected() as line:
        assert code(await line.ask("subscribe", channel=ROOM)) == 100


@proof
async def ends_in_outage(it: Clinic) -> None:
    soon = int(time.time()) + 1
    it.hooks.answers |= {"connect": {"result": {"user": USER, "expire_at": soon}}, "refresh": 503}
    it.hooks.answers |= {"subscribe": {"result": {"expire_at": soon}}, "sub_refresh": 503}
    async with it.connected() as line:
        if it.version.startswith("6"):
            assert await line.closed() == 3005
        else:
            await line.ask("subscribe", channel=ROOM)
            assert (await line.pushed(ROOM, "unsubscribe"))["code"] == 2501


@proof
async def repeated_effect(it: Clinic) -> None:
    async with it.connected() as line:
        await line.ask("publish", channel=ROOM, data=WORD)
        it.hooks.first["publish"] = [None]
        await line.ask("publish", channel=ROOM, data=WORD)
    assert len(it.hooks.of("publish")) == 3


CASES = [(broken, version) for broken in TABLE for version in VERSIONS if broken.change(int(version[0]))]
NAMED = [f"{broken.title}-{version}" for broken, version in CASES]


@pytest.mark.parametrize(("broken", "version"), CASES, ids=NAMED)
async def test_what_is_broken_is_broken(broken: Broken, version: str, tmp_path: Path) -> None:
    change = broken.change(int(version[0]))
    assert change
    config = changed(good(6 if version.startswith("6") else 5), change.set)
    trust = certificate(tmp_path) if broken.title == "unchecked_certificate" else None
    if broken.title in UNSTARTED or (broken.title, version) == ("bare_duration", "5.4.9"):
        with pytest.raises(SetupFault):
            async with clinic(version, config, tmp_path):
                pass
        return
    if broken.title in UNSHOWN:
        return
    async with clinic(version, config, tmp_path, trust=trust, variables=QUICK) as it:
        await PROOFS[broken.title](it)


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate that nobody vouches for."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
    file = folder / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
