"""A policy with a rule of each kind, its facts, and the hooks of one client."""

import functools
import json
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import jwt

from proxy.gate import Gate
from proxy.identity.chain import NOBODY, Credentials, Refusal
from proxy.policy.decision import Allow, Deny, FactKey, Known, Limit, Lost, Request
from proxy.policy.load import load
from proxy.policy.policy import Person, Policy

NOW = 1_700_000_000_000

HEAD = {"client": "c1", "transport": "websocket", "protocol": "json", "encoding": "json"}

FILES = {
    "scene.policy": b"""language 1;
database main { url env MAIN_URL; }
identity idp {
  jwt from header "authorization", data "token";
  issuer "https://id.example.org"; audience "realtime"; algorithms HS256; keys env IDP_KEY;
  user = claims.sub;
  meta = {"role": claims.role};
  info = {"name": claims.name};
  expire = claims.exp;
}
identity visitor { guest; }
meta { role: string }
fact member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from members where doc = :doc and uid = :uid";
  cache 10s; timeout 500ms; invalidate on "doc:{doc}";
}
deny banned when user == "66";
connect {
  allow when headers["origin"] == "https://app.example.org" && !(name == "broken" && data.missing);
  subscribe "news:" + (user == "" ? "guest" : user);
  subscribe "secret:" + user;
  data = {"hello": user};
  expire 1h;
}
channel "news:{topic}" { allow subscribe info = {"topic": vars.topic}; allow presence; }
channel "doc:{doc}" {
  let mine = member(vars.doc, user);
  allow subscribe when mine != null info = {"role": mine.role} data = {"doc": vars.doc} expire 5m;
  allow publish, map_publish when mine != null && mine.role == "editor"
    schema "schemas/message.json" stamp author = user tags {"kind": data.kind} idempotency data.id;
}
channel "quiet:{x}" { allow publish as silently when user != "" skip_history; }
channel "fast:{x}" { allow subscribe, publish when user != "" limit 1/1s; }
channel "nothing:{x}" { allow publish, map_publish when data == null; }
channel "map:{x}" { allow map_publish, map_remove when user != "" && key != "locked" tags {"by": user} idempotency key; }
rpc "double" { allow; answer = {"twice": data.n * 2}; }
rpc "ping" { allow; answer = null; }
rpc "who" { allow; answer presence data.channel; }
""",
    "schemas/message.json": json.dumps(
        {
            "type": "object",
            "required": ["kind", "id"],
            "properties": {"kind": {"type": "string"}, "id": {"type": "string"}, "n": {}},
            "additionalProperties": False,
        }
    ).encode(),
}


@functools.cache
def policy() -> Policy:
    loaded = load(FILES)
    assert loaded.policy is not None, [str(finding) for finding in loaded.findings]
    return loaded.policy


class Shelf:
    """Facts that are at hand, or lost."""

    def __init__(self, facts: Mapping[FactKey, Known | Lost]) -> None:
        self.facts = facts

    def get(self, _key: FactKey, /) -> Known | Lost | None:
        return None

    async def load(self, keys: Collection[FactKey]) -> Mapping[FactKey, Known | Lost]:
        return {key: self.facts.get(key, Known(value=None)) for key in keys}


class Purse:
    """Limits with so many tokens left."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def take(self, _limit: Limit) -> bool:
        self.tokens -= 1
        return self.tokens >= 0


EDITOR: FactKey = ("member", "7", "42")
FACTS: dict[FactKey, Known | Lost] = {
    EDITOR: Known(value={"role": "editor"}),
    ("member", "lost", "42"): Lost(why="timeout"),
}


def gate(*, tokens: int = 1, facts: Mapping[FactKey, Known | Lost] = FACTS) -> Gate:
    return Gate(policy=policy(), source=Shelf(facts), limits=Purse(tokens))


class Oracle:
    """Gives the decision it was made with, and keeps what it was asked."""

    def __init__(self, decision: Allow | Deny) -> None:
        self.decision = decision
        self.asked: list[Request] = []

    def now(self, request: Request) -> Allow | Deny | None:
        self.asked.append(request)
        return self.decision

    async def decide(self, request: Request) -> Allow | Deny:
        self.asked.append(request)
        return self.decision


allow = functools.partial(Allow, rule="r", at="x.policy:1", revision="v", facts={})


def clock() -> int:
    return NOW


def body(**fields: object) -> bytes:
    return json.dumps(HEAD | {"user": "42"} | fields).encode()


class Watched:
    """Keeps the decisions that it is told of."""

    def __init__(self) -> None:
        self.seen: list[tuple[Request, Allow | Deny]] = []

    def __call__(self, request: Request, decision: Allow | Deny) -> None:
        self.seen.append((request, decision))


class Book:
    """Keeps what it is told to write down: what happened, about which client and channel, and the end."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None, str | None, int | None]] = []
        self.requests: list[Request] = []

    def connected(self, request: Request, _allow: Allow, end_s: int | None) -> None:
        self.requests.append(request)
        self.entries.append(("connected", request.client, request.channel, end_s))

    def subscribed(self, request: Request, _allow: Allow, end_s: int | None) -> None:
        self.requests.append(request)
        self.entries.append(("subscribed", request.client, request.channel, end_s))

    def ended(self, user: str, client: str, channel: str) -> None:
        self.entries.append((f"ended by {user}", client, channel, None))


class Recalled:
    """Says that it is this person, and keeps what it was shown."""

    def __init__(self, person: Person | Refusal | None) -> None:
        self.person = person
        self.asked: list[tuple[Credentials, str]] = []

    async def identify(self, _credentials: Credentials) -> Person | Refusal:
        return self.person or NOBODY

    def known(self, _credentials: Credentials) -> Person | Refusal | None:
        return self.person

    async def recall(self, credentials: Credentials, user: str) -> Person | Refusal | None:
        self.asked.append((credentials, user))
        return self.person


KEY = "k" * 32


def token(**claims: object) -> str:
    fields = {"iss": "https://id.example.org", "aud": "realtime", "sub": "42", "role": "user", "name": "Ada", "exp": NOW // 1000 + 600}
    return jwt.encode(fields | claims, KEY, "HS256")


class Reply(Protocol):
    def encode(self) -> bytes: ...


def written(reply: Reply) -> Any:  # noqa: ANN401 - decoded JSON
    return json.loads(reply.encode())
