"""Centrigate's subscribe hook, complete: secret, decoding, decision, encoding, metrics; and what Centrifugo asks it."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from uvicorn import Config
from uvicorn.lifespan.on import LifespanOn

from bench.slices import REQUESTS, Candidate
from proxy.app import create
from proxy.cli.swift import Swift
from proxy.policy.load import load
from proxy.settings import Settings

SECRET: Final = "hook-secret-0123456789-0123456789"
PATH: Final = "/centrifugo/subscribe"
LEASE_S: Final = 300
POLICY: Final = b"""
language 1;
database main { url env BENCH_DATABASE; }
fact account(uid: string) -> { suspended: bool }? {
  sql main "select suspended from accounts where id = :uid";
  cache 24h negative 2s max 200000;
  timeout 5s;
  invalidate on "account:{uid}";
}
fact doc_member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from doc_members where doc_id = :doc and user_id = :uid";
  cache 24h negative 5s max 500000;
  timeout 5s;
  invalidate on "doc:{doc}", "account:{uid}";
}
let me = account(user);
deny unknown_account when me == null;
deny suspended when me.suspended;
channel "chat:doc-{doc}" {
  let member = doc_member(vars.doc, user);
  allow subscribe, presence, history when member != null info = {"role": member.role} expire 5m;
}
"""

MEMBERS: Final = [(f"doc{number % 20}", f"user{number}", ("editor", "owner")[number % 2]) for number in range(REQUESTS)]
"""Document, user and role of each request: everybody is a member of one document."""


@asynccontextmanager
async def opened(name: str = "centrigate", **more: object) -> AsyncIterator[Candidate]:
    """Start the service on a database of its own, which lives as long; its facts are cached from the first time on.

    `more` are settings.
    """
    with TemporaryDirectory() as folder:
        database = Path(folder) / "bench.db"
        _fill(database)
        policy = load({"bench.policy": POLICY}).policy
        assert policy is not None
        settings = Settings.model_validate({"hook_secret": SECRET, "centrifugo_api_key": SECRET, "token_key": SECRET, **more})
        service = create(settings, policy, {"BENCH_DATABASE": f"sqlite:///{database}"})
        lifespan = LifespanOn(Config(service, log_config=None))
        await lifespan.startup()
        try:
            yield Candidate(name=name, app=service, fits=granted, http=Swift)
        finally:
            await lifespan.shutdown()


def asked(number: int) -> dict[str, Any]:
    """Give the body of a request, as Centrifugo sends it."""
    doc, uid, _ = MEMBERS[number]
    return {
        "client": f"2bc9c74b-22b0-4d63-90cd-{number:012d}",
        "transport": "websocket",
        "protocol": "json",
        "encoding": "json",
        "user": uid,
        "channel": f"chat:doc-{doc}",
        "meta": {"roles": ["member"]},
    }


def requests() -> list[bytes]:
    """Give all requests, as Centrifugo writes them."""
    bodies = [json.dumps(asked(number), separators=(",", ":")).encode() for number in range(REQUESTS)]
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:8010\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"
        f"Content-Type: application/json\r\nX-Centrigate-Hook-Secret: {SECRET}\r\nAccept-Encoding: gzip\r\n\r\n"
    ).encode()
    return [head % len(body) + body for body in bodies]


def granted(number: int, body: Any) -> bool:  # noqa: ANN401 - decoded JSON
    """Whether this is the right reply to the request with that number."""
    result = body["result"]
    lease: float = result["expire_at"] - time.time()
    return bool(result["info"] == {"role": MEMBERS[number][2]}) and LEASE_S - 5 < lease <= LEASE_S + 1


def _fill(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("create table accounts (id text primary key, suspended integer)")
        connection.execute("create table doc_members (doc_id text, user_id text, role text, primary key (doc_id, user_id))")
        connection.executemany("insert into accounts values (?, 0)", [(uid,) for _, uid, _ in MEMBERS])
        connection.executemany("insert into doc_members values (?, ?, ?)", MEMBERS)
    connection.close()
