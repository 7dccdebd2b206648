import asyncio
import functools
import re
import time
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from proxy.edge import intake as intake_
from proxy.edge import tokens
from proxy.edge.flight import CROWD, Flight
from proxy.edge.intake import Intake
from proxy.gate import Gate, Limits
from proxy.identity.chain import Chain, Credentials, Refusal
from proxy.policy.decision import Allow, Known, Lost, Request
from proxy.policy.load import load
from proxy.policy.policy import Person, Policy
from proxy.stores.memory import Buckets
from proxy.tokens.issue import Issuer
from proxy.tokens.keys import read
from proxy.tokens.mint import Minter
from tests.hooks.scene import Purse, Shelf

KEY, TOKEN_KEY = "i" * 32, "t" * 32
PAGE = "https://app.example.org"
POLICY = b"""language 1;
database main { url env MAIN_URL; }
identity idp {
  jwt from header "authorization", cookie "session", data "token";
  issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
}
fact member(doc: string, uid: string) -> bool? { sql main "select 1 from members where doc = :doc and uid = :uid"; }
deny suspended when user == "66";
connect { allow when data == null || data.token != "" || data.n == 1; }
channel "notifications#{uid}" { allow subscribe when vars.uid == user; }
channel "doc:{doc}" { allow subscribe when member(vars.doc, user) != null; }
channel "fast:{x}" { allow subscribe limit 1/1s; }
"""


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def bearer(user: str = "42", **claims: object) -> str:
    fields = {"iss": "https://id.example.org", "aud": "realtime", "sub": user, "exp": int(time.time()) + 600}
    return jwt.encode(fields | claims, KEY, "HS256")


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, TOKEN_KEY, ["HS256"])


@functools.cache
def loaded(text: bytes = POLICY) -> Policy:
    policy = load({"tokens.policy": text}).policy
    assert policy is not None
    return policy


class Counted(Chain):
    """A chain that counts how often it was asked."""

    asked = 0

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        self.asked += 1
        return await super().identify(credentials)


class Blank:
    """A ledger that keeps nothing."""

    def minted(self, request: Request, allow: Allow, token: str, usable_s: int, end_s: int | None) -> None:
        pass


class Page:
    """A page that asks for tokens."""

    def __init__(self, most: int = 8, policy: Policy | None = None, limits: Limits | None = None) -> None:
        policy = policy or loaded()
        facts = Shelf({("member", "7", "42"): Known(value=True), ("member", "lost", "42"): Lost(why="timeout")})
        self.clock_s = 100.0
        self.flight = Flight(most, 1.0, lambda: self.clock_s)
        gate = Gate(policy=policy, source=facts, limits=Purse(1) if limits is None else limits)
        self.chain = Counted(policy, {"IDP_KEY": KEY})
        issuer = Issuer(gate, self.chain, Minter(read("TOKEN_KEY", TOKEN_KEY), 600, 60, epoch_ms), epoch_ms, Blank())
        self.app = Starlette(routes=[tokens.routes(issuer, Intake(self.flight, 4096), [PAGE])])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://centrigate")

    async def ask(self, kind: str, body: object = None, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else None
        shown = {"authorization": f"Bearer {bearer()}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        json = None if content is not None else body
        got = await self.client.post(f"/api/centrifugo/{kind}-token", content=content, json=json, headers=shown)
        assert self.flight.count == 0
        return got


@pytest.fixture
def page() -> Page:
    return Page()


async def test_a_connection_token_is_for_the_bearer(page: Page) -> None:
    got = await page.ask("connection")
    assert (got.status_code, got.json()["expires_in"]) == (200, 600)
    assert claims(got.json()["token"])["sub"] == "42"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["cache-control"] == "no-store"


async def test_connect_data_may_stand_in_the_body(page: Page) -> None:
    assert (await page.ask("connection", {"data": {"n": 1, "token": ""}})).status_code == 200
    assert (await page.ask("connection", {"data": {"n": 2, "token": ""}})).status_code == 403
    assert (await page.ask("connection", {"data": {"token": bearer("7")}}, authorization="")).status_code == 200


async def test_a_subscription_token_is_for_user_and_channel_whatever_the_content_type(page: Page) -> None:
    got = await page.ask("subscription", b'{"channel": "notifications#42"}', content_type="text/plain;charset=UTF-8")
    assert got.status_code == 200
    assert list(got.json()) == ["token"]
    found = claims(got.json()["token"])
    assert (found["sub"], found["channel"]) == ("42", "notifications#42")


async def test_several_channels_are_decided_each_by_itself(page: Page) -> None:
    channels = ["notifications#42", "notifications#7", "doc:7", "doc:lost", "fast:1", "fast:2", "", "none:1"]
    got = await page.ask("subscription", {"channels": channels})
    assert (got.status_code, got.headers["cache-control"]) == (200, "no-store")
    assert set(got.json()["tokens"]) == {"notifications#42", "doc:7", "fast:1"}
    assert claims(got.json()["tokens"]["doc:7"])["channel"] == "doc:7"
    assert got.json()["denied"] == {
        "notifications#7": {"code": "forbidden"},
        "doc:lost": {"code": "unavailable"},
        "fast:2": {"code": "too_many_requests"},
        "": {"code": "bad_request"},
        "none:1": {"code": "forbidden"},
    }


@pytest.mark.parametrize(
    ("user", "channel", "status", "code"),
    [
        ("42", "notifications#7", 403, "forbidden"),
        ("42", "none:1", 403, "forbidden"),
        ("66", "notifications#66", 403, "forbidden"),
        ("42", "", 400, "bad_request"),
        ("", "notifications#42", 401, "unauthorized"),
    ],
)
async def test_a_refusal_is_json_without_a_token(page: Page, user: str, channel: str, status: int, code: str) -> None:
    got = await page.ask("subscription", {"channel": channel}, authorization=f"Bearer {bearer(user)}" if user else "")
    assert (got.status_code, got.json()["error"]["code"]) == (status, code)
    assert list(got.json()) == ["error"]
    assert got.json()["error"]["message"]
    assert got.headers["cache-control"] == "no-store"


async def test_nobody_gets_no_token_at_all(page: Page) -> None:
    for kind, body in (("connection", None), ("subscription", {"channels": ["notifications#42"]})):
        got = await page.ask(kind, body, authorization=f"Bearer {bearer(aud='other')}")
        assert (got.status_code, got.json()["error"]["code"]) == (401, "unauthorized")


async def test_a_suspended_user_gets_no_connection_token(page: Page) -> None:
    assert (await page.ask("connection", authorization=f"Bearer {bearer('66')}")).status_code == 403


@pytest.mark.parametrize(("channel", "status"), [("doc:lost", 503), ("fast:1", 429)])
async def test_what_may_succeed_later_is_no_json(channel: str, status: int) -> None:
    page = Page()
    await page.ask("subscription", {"channel": "fast:0"})
    got = await page.ask("subscription", {"channel": channel})
    assert (got.status_code, got.headers["retry-after"]) == (status, "1")
    assert got.headers["content-type"].startswith("text/plain")
    assert got.headers["cache-control"] == "no-store"
    with pytest.raises(ValueError, match="Expecting value"):
        got.json()


async def test_the_limits_of_the_rules_hold_for_tokens() -> None:
    now = [1]
    text = re.sub(rb"connect {.*}", b"connect { allow limit 2/1s per user; }", POLICY)
    page = Page(policy=loaded(text), limits=Buckets(lambda: now[0]))
    assert [(await page.ask("connection")).status_code for _ in range(4)] == [200, 200, 429, 429]
    refused = await page.ask("connection")
    assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("text/plain; charset=utf-8", "1")
    assert (await page.ask("connection", authorization=f"Bearer {bearer('7')}")).status_code == 200
    now[0] += 500_000_000
    assert [(await page.ask("connection")).status_code for _ in range(2)] == [200, 429]
    several = (await page.ask("subscription", {"channels": ["fast:1", "notifications#42", "fast:2"]})).json()
    assert (set(several["tokens"]), several["denied"]) == ({"fast:1", "notifications#42"}, {"fast:2": {"code": "too_many_requests"}})
    assert (await page.ask("subscription", {"channel": "fast:1"})).status_code == 429


async def test_a_rule_that_is_limited_by_client_gives_no_token() -> None:
    """There is no client yet, and what cannot be counted is not let through."""
    page = Page(policy=loaded(POLICY.replace(b"limit 1/1s", b"limit 1/1s per client")), limits=Buckets(lambda: 1))
    assert (await page.ask("subscription", {"channel": "fast:1"})).status_code == 403


@pytest.mark.parametrize("credential", ["good", "forged", "none"])
async def test_a_credential_is_looked_at_once_for_each_request(page: Page, credential: str) -> None:
    shown = {"good": f"Bearer {bearer()}", "forged": f"Bearer {bearer()}x", "none": ""}[credential]
    got = await page.ask("subscription", {"channels": [f"doc:{n}" for n in range(100)]}, authorization=shown)
    assert (got.status_code, page.chain.asked) == (200 if credential == "good" else 401, 1)


def _unsigned() -> str:
    head, body, _ = bearer().split(".")
    return ".".join((jwt.utils.base64url_encode(b'{"alg":"none"}').decode(), body, head))


BAD = {
    "nothing": "",
    "no bearer": "Basic NDI6NDI=",
    "no token": "Bearer x",
    "cut off": f"Bearer {bearer()[:-4]}",
    "unsigned": f"Bearer {_unsigned()}",
    "another key": f"Bearer {jwt.encode(jwt.decode(bearer(), options={'verify_signature': False}), 'x' * 32)}",
    "over": f"Bearer {bearer(exp=int(time.time()) - 60)}",
    "for others": f"Bearer {bearer(aud='others')}",
    "of another issuer": f"Bearer {bearer(iss='https://other.example.org')}",
    "too long": f"Bearer {bearer('4' * 10_000)}",
    "two parts": f"Bearer {bearer().rpartition('.')[0]}",
}


@pytest.mark.parametrize("kind", ["connection", "subscription"])
async def test_whatever_is_wrong_with_a_credential_the_refusal_is_the_same(page: Page, kind: str) -> None:
    body = {"channel": "notifications#42"} if kind == "subscription" else None
    answers = [await page.ask(kind, body, authorization=shown) for shown in BAD.values()]
    assert {(each.status_code, each.content, str(each.headers)) for each in answers} == {
        (401, answers[0].content, str(answers[0].headers)),
    }
    assert answers[0].json()["error"]["code"] == "unauthorized"


async def test_too_much_work_is_told_as_text() -> None:
    got = await Page(most=0).ask("connection")
    assert (got.status_code, got.headers["retry-after"]) == (503, "1")
    assert got.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"channel":1}',
        b'{"channel":null}',
        b'{"channels":"a"}',
        b'{"channels":[]}',
        b'{"channels":[1]}',
        b'{"channels":["a:1","a:1"]}',
        b'{"channel":"a:1","channels":["a:1"]}',
        b'{"channel":"\xff"}',
        b'{"channels":[' + b",".join(b'"a:%d"' % n for n in range(101)) + b"]}",
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(page: Page, body: bytes) -> None:
    got = await page.ask("subscription", body)
    assert (got.status_code, got.json()["error"]["code"]) == (400, "malformed")


async def test_a_long_body_is_refused(page: Page) -> None:
    assert (await page.ask("connection", b" " * 4097)).status_code == 413


async def test_a_repeated_credential_is_refused(page: Page) -> None:
    headers = [("authorization", f"Bearer {bearer()}"), ("authorization", f"Bearer {bearer('7')}")]
    got = await page.client.post("/api/centrifugo/connection-token", headers=headers)
    assert (got.status_code, got.json()["error"]["code"]) == (400, "malformed")


async def test_a_listed_page_may_read_the_answer_whatever_it_is(page: Page) -> None:
    for body in ({"channel": "notifications#42"}, {"channel": "notifications#7"}, b"{"):
        got = await page.ask("subscription", body, origin=PAGE)
        assert got.headers["access-control-allow-origin"] == PAGE
        assert got.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in got.headers["vary"]


async def test_another_page_may_not(page: Page) -> None:
    got = await page.ask("connection", origin="https://evil.example")
    assert "access-control-allow-origin" not in got.headers


async def test_a_browser_is_told_beforehand(page: Page) -> None:
    headers = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    got = await page.client.options("/api/centrifugo/subscription-token", headers=headers)
    assert got.status_code == 200
    assert got.headers["access-control-allow-origin"] == PAGE
    assert got.headers["access-control-allow-credentials"] == "true"
    assert "POST" in got.headers["access-control-allow-methods"]
    got = await page.client.options("/api/centrifugo/subscription-token", headers=headers | {"origin": "https://evil.example"})
    assert (got.status_code, got.headers.get("access-control-allow-origin")) == (400, None)


async def test_a_token_is_only_posted_for(page: Page) -> None:
    assert (await page.client.get("/api/centrifugo/connection-token")).status_code == 405


async def test_a_body_that_does_not_come_is_given_up(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_, "PATIENCE_S", 0.01)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    path = "/api/centrifugo/connection-token"
    scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await page.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"did not arrive" in sent[1]["body"]


@pytest.mark.parametrize(("kind", "body"), [("connection", None), ("subscription", {"channel": "notifications#42"})])
async def test_while_others_wait_for_too_long_a_page_is_told_to_come_later(page: Page, kind: str, body: object) -> None:
    for _ in range(CROWD):
        page.flight.begin()
    assert (await page.ask(kind, body)).status_code == 200
    page.clock_s += 1.1
    got = await page.ask(kind, body)
    assert (got.status_code, got.headers["content-type"], got.headers["retry-after"]) == (503, "text/plain; charset=utf-8", "1")


async def test_a_page_that_waits_for_its_token_counts_as_waiting(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    identify = page.chain.identify

    async def waiting(credentials: Credentials) -> Person | Refusal:
        page.clock_s += 0.5
        seen.append(page.flight.oldest_s)
        return await identify(credentials)

    monkeypatch.setattr(page.chain, "identify", waiting)
    await page.ask("connection")
    await page.ask("subscription", {"channel": "notifications#42"})
    assert (seen, page.flight.oldest_s) == ([0.5, 0.5], 0)
