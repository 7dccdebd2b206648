import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path

import jwt
import pytest

from proxy.errors import Malformed
from proxy.facts.cache import Facts
from proxy.facts.sources import build
from proxy.gate import Gate, Source, Watch
from proxy.identity.chain import Chain, Credentials
from proxy.policy.decision import Allow, Deny, FactKey, Known, Limit, Lost, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.tokens.issue import MAX_CHANNELS, Denied, Issuer
from proxy.tokens.keys import read as read_key
from proxy.tokens.mint import Issued, Minter

KEY, IDP_KEY = "k" * 32, "i" * 32
NOW = 1_000_000

POLICY = """
language 1;
database main { url env DATABASE_URL; }
identity idp {
  jwt from header "authorization"; issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
  meta = {"roles": claims.roles};
}
identity anyone { guest; }
meta { roles: list<string> }
fact account(uid: string) -> { suspended: bool }? { sql main "select suspended from accounts where id = :uid"; timeout 5s; cache 10s; }
fact member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from members where doc = :doc and uid = :uid"; timeout 5s; cache 10s;
}
deny suspended when user != "" && account(user) != null && account(user).suspended;
connect {
  allow when headers["origin"] == "https://app.example.org" && data.version == 2 && name + version == "js1" && timestamp_ms == 1000000250;
  subscribe "notifications#" + user;
  expire 1h;
}
channel "notifications#{uid}" { allow subscribe when vars.uid == user data = {"hello": user}; }
channel "chat:doc-{doc}" {
  let found = member(vars.doc, user);
  allow subscribe when found != null && "x" in meta.roles info = {"role": found.role} expire 5m;
}
channel "news:{topic}" { allow subscribe limit 1/1h; }
"""


@pytest.fixture
async def facts(tmp_path: Path) -> AsyncIterator[Facts]:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.executescript("""
        create table accounts (id text, suspended int); insert into accounts values ('42', 0), ('66', 1);
        create table members (doc text, uid text, role text); insert into members values ('7', '42', 'editor'), ('8', '42', 'reader');
    """)
    connection.close()
    facts = build(policy(), {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db"})
    yield facts
    await facts.close()


def policy() -> Policy:
    loaded = load({"a.policy": POLICY.encode()})
    assert loaded.policy, loaded.findings
    return loaded.policy


class Once:
    """Rate limits that give each bucket one token."""

    def __init__(self) -> None:
        self.taken: set[object] = set()

    def take(self, limit: Limit) -> bool:
        fresh = limit.key not in self.taken
        self.taken.add(limit.key)
        return fresh


class Book:
    """A ledger that keeps what was written into it."""

    def __init__(self) -> None:
        self.lines: list[tuple[Request, Allow, str, int, int | None]] = []

    def minted(self, request: Request, allow: Allow, token: str, usable_s: int, end_s: int | None) -> None:
        self.lines.append((request, allow, token, usable_s, end_s))


def issuer(source: Source, *, watch: Watch | None = None, book: Book | None = None, minter: Callable[..., Minter] = Minter) -> Issuer:
    asked = policy()
    chain = Chain(asked, {"IDP_KEY": IDP_KEY}, lambda: NOW)
    gate = Gate(policy=asked, source=source, limits=Once(), watch=watch)
    minting = minter(read_key("TOKEN_KEY", KEY), 600, 60, lambda: NOW * 1000)
    return Issuer(gate, chain, minting, lambda: NOW * 1000 + 250, book or Book())


def shown(user: str, **changes: object) -> Credentials:
    claims = {"iss": "https://id.example.org", "aud": "realtime", "exp": NOW + 60, "sub": user, "roles": ["x"], **changes}
    headers = {"authorization": f"Bearer {jwt.encode(claims, IDP_KEY)}", "origin": "https://app.example.org"}
    return Credentials(headers=headers, data={"version": 2}, name="js", version="1")


def read(issued: object) -> Mapping[str, object]:
    assert isinstance(issued, Issued)
    claims: dict[str, object] = jwt.decode(issued.token, KEY, ["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert (claims.pop("jti"), claims["exp"]) == (issued.jti, issued.usable_s)
    return claims


async def test_whom_the_policy_lets_connect_gets_a_token(facts: Facts) -> None:
    issued = await issuer(facts).connection(shown("42"))
    assert read(issued) == {
        "sub": "42", "exp": NOW + 600, "iat": NOW, "expire_at": NOW + 3600, "meta": {"roles": ["x"]},
        "subs": {"notifications#42": {"data": {"hello": "42"}}},
    }  # fmt: skip


async def test_a_guest_gets_a_token_where_the_policy_admits_guests(facts: Facts) -> None:
    guest = Credentials(headers={"origin": "https://app.example.org"}, data={"version": 2}, name="js", version="1")
    assert read(await issuer(facts).connection(guest))["sub"] == ""
    assert await issuer(facts).connection(Credentials(headers={})) == Denied(reason="no_rule")


async def test_a_refusal_carries_the_reason_of_the_policy(facts: Facts) -> None:
    assert await issuer(facts).connection(shown("66")) == Denied(reason="suspended")


async def test_who_is_nobody_gets_nothing(facts: Facts) -> None:
    nobody = shown("42", aud="other")
    assert await issuer(facts).connection(nobody) == Denied(reason="no_identity")
    assert await issuer(facts).subscription(nobody, ["notifications#42"]) == Denied(reason="no_identity")


async def test_each_channel_is_decided_by_itself(facts: Facts) -> None:
    asked = ["chat:doc-7", "chat:doc-9", "notifications#42", "notifications#99", "secret", "bad channel", "news:a", "news:b"]
    issued = await issuer(facts).subscription(shown("42"), asked)
    assert isinstance(issued, Mapping)
    assert list(issued) == asked
    assert read(issued["chat:doc-7"]) == {
        "sub": "42", "channel": "chat:doc-7", "exp": NOW + 60, "iat": NOW, "expire_at": NOW + 300, "info": {"role": "editor"},
    }  # fmt: skip
    assert read(issued["notifications#42"])["expire_at"] == 0
    assert {channel: each.reason for channel, each in issued.items() if isinstance(each, Denied)} == {
        "chat:doc-9": "no_rule", "notifications#99": "no_rule", "secret": "no_channel", "bad channel": "bad_channel", "news:b": "limit",
    }  # fmt: skip


async def test_a_suspended_user_gets_no_channel(facts: Facts) -> None:
    assert await issuer(facts).subscription(shown("66"), ["notifications#66"]) == {"notifications#66": Denied(reason="suspended")}


async def test_a_source_that_fails_denies_as_a_fact_error(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "x.db").unlink()
    assert await issuer(facts).connection(shown("42")) == Denied(reason="fact_error")


async def test_the_channels_of_one_request_wait_for_their_facts_together() -> None:
    class Waiting:
        """Facts that come when both documents were asked for."""

        def __init__(self) -> None:
            self.asked: set[FactKey] = set()
            self.both = asyncio.Event()

        def get(self, key: FactKey, /) -> Known | None:
            return Known(value=None) if key[0] == "account" else None

        async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
            self.asked |= set(keys)
            if len(self.asked) == 2:
                self.both.set()
            async with asyncio.timeout(5):
                await self.both.wait()
            return {key: Known(value={"role": "reader"}) for key in keys}

    issued = await issuer(Waiting()).subscription(shown("42"), ["chat:doc-7", "chat:doc-8"])
    assert isinstance(issued, Mapping)
    assert all(isinstance(each, Issued) for each in issued.values())


async def test_a_token_asks_the_gate_for_no_more_than_it_knows(facts: Facts) -> None:
    seen: list[Request] = []

    def watch(request: Request, _found: Allow | Deny) -> None:
        seen.append(request)

    await issuer(facts, watch=watch).subscription(shown("42"), ["news:a"])
    assert seen == [Request(op="subscribe", user="42", channel="news:a", meta={"roles": ["x"]}, timestamp_ms=NOW * 1000 + 250)]


async def test_what_tokens_grant_is_written_down(facts: Facts) -> None:
    book = Book()
    issuing = issuer(facts, book=book)
    await issuing.subscription(shown("66"), ["notifications#66"])
    connection = await issuing.connection(shown("42"))
    issued = await issuing.subscription(shown("42"), ["chat:doc-9", "chat:doc-7", "notifications#42"])
    assert isinstance(connection, Issued)
    assert isinstance(issued, Mapping)
    tokens = [connection, issued["chat:doc-7"], issued["notifications#42"]]
    assert [(jti, usable_s, end_s) for _, _, jti, usable_s, end_s in book.lines] == [
        (each.jti, each.usable_s, each.end_s) for each in tokens if isinstance(each, Issued)
    ]
    assert [(request.op, request.user, request.channel, allow.rule) for request, allow, *_ in book.lines] == [
        ("connect", "42", None, "connect/1"),
        ("subscribe", "42", "chat:doc-7", "chat:doc-{doc}/subscribe/1"),
        ("subscribe", "42", "notifications#42", "notifications#{uid}/subscribe/1"),
    ]
    assert set(book.lines[1][1].facts) == {("account", "42"), ("member", "7", "42")}


@pytest.mark.parametrize("channels", [[], ["a", "a"], [5], [None], [["a"]], [f"c{n}" for n in range(MAX_CHANNELS + 1)]])
async def test_a_list_that_cannot_be_read_is_malformed(facts: Facts, channels: list[str]) -> None:
    with pytest.raises(Malformed):
        await issuer(facts).subscription(shown("42"), channels)


async def test_a_hundred_channels_are_not_too_many(facts: Facts) -> None:
    channels = [f"chat:doc-{n}" for n in range(MAX_CHANNELS)]
    issued = await issuer(facts).subscription(shown("42"), channels)
    assert isinstance(issued, Mapping)
    assert [channel for channel, each in issued.items() if isinstance(each, Issued)] == ["chat:doc-7", "chat:doc-8"]
    assert len(issued) == MAX_CHANNELS


async def test_others_are_served_between_the_tokens_of_a_list(facts: Facts) -> None:
    turns: list[str] = []

    async def others() -> None:
        while True:
            turns.append("other")
            await asyncio.sleep(0)

    class Loud(Minter):
        def subscription(self, user: str, channel: str, allow: Allow) -> Issued:
            turns.append("token")
            return super().subscription(user, channel, allow)

    served = asyncio.create_task(others())
    await issuer(facts, minter=Loud).subscription(shown("42"), ["chat:doc-7", "chat:doc-9", "chat:doc-8", "notifications#42"])
    served.cancel()
    made = [number for number, each in enumerate(turns) if each == "token"]
    assert len(made) == 3
    assert all(after - before > 1 for before, after in itertools.pairwise(made))
