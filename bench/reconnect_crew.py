"""Those who come back in a storm: users with three documents each, their sign-in, and the policy that lets them in."""

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import jwt

SUBSCRIPTIONS: Final = 3
MEMBERS: Final = 4
"""Users of one document."""

DATABASE: Final = "storm.db"
"""The file that holds who is a member of what."""

ISSUER: Final = "https://id.example.org"
IDENTITY_KEY: Final = "identity-" * 4
TOKEN_KEY: Final = "token-key-" * 4

_LONG_S: Final = 3600
_HEAD: Final = f"""language 1;
identity staff {{
  jwt from header "authorization";
  issuer "{ISSUER}";
  audience "realtime";
  algorithms HS256;
  keys env STORM_IDENTITY_KEY;
  user = claims.sub;
}}
"""
_SQL: Final = """database main { url env STORM_DATABASE; }
fact account(uid: string) -> { suspended: bool }? {
  sql main "select suspended from accounts where id = :uid"; cache 1h; timeout 5s; invalidate on "account:{uid}"; batch 64;
}
fact doc_member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from doc_members where doc_id = :doc and user_id = :uid"; cache 1h; timeout 5s; invalidate on "doc:{doc}"; batch 64;
}
"""
_HTTP: Final = """http main { base env STORM_APPLICATION; timeout 5s; }
fact account(uid: string) -> { suspended: bool }? {
  http main GET "/accounts/{uid}"; cache 1h; timeout 2s; invalidate on "account:{uid}";
}
fact doc_member(doc: string, uid: string) -> { role: string }? {
  http main GET "/docs/{doc}/{uid}"; cache 1h; timeout 2s; invalidate on "doc:{doc}";
}
"""
_DOCS: Final = """fact docs(uid: string) -> list<string> {
  sql main "select doc_id from doc_members where user_id = :uid order by doc_id"; cache 1h; timeout 5s; invalidate on "account:{uid}";
  batch 64;
}
"""
_REVOKED: Final = """database main { url env STORM_DATABASE; }
fact account(uid: string) -> { suspended: bool }? {
  sql main "select suspended from accounts where id = :uid"; cache 1h; timeout 5s; invalidate on "account:{uid}"; batch 64;
}
fact doc_member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from doc_members where doc_id = :doc and user_id = :uid"; cache 1h; timeout 5s; batch 64;
  invalidate on "doc:{doc}", "docs";
}
service application { key env STORM_SERVICE_KEY; allow invalidate; }
"""
_RULES: Final = """let me = account(user);
deny unknown_account when me == null;
deny suspended when me.suspended;
connect { allow; %s expire 1h jitter 10%%; }
channel "chat:doc-{doc}" {
  let member = doc_member(vars.doc, user);
  allow subscribe when member != null info = {"role": member.role} expire 5m jitter 10%%;
}
"""
_PUSHED: Final = " ".join(f'subscribe "chat:doc-" + docs(user)[{number}];' for number in range(SUBSCRIPTIONS))

POLICIES: Final[Mapping[str, str]] = {
    "hooks": _HEAD + _SQL + _RULES % "",
    "pushed": _HEAD + _SQL + _DOCS + _RULES % _PUSHED,
    "slow": _HEAD + _HTTP + _RULES % "",
    "revoked": _HEAD + _REVOKED + _RULES % "",
}
"""The same rules: facts in a database; with the subscriptions made in the answer to the connect; facts of a
slow application; with one topic for all memberships."""


def uid(number: int) -> str:
    """Give the name of a user."""
    return f"user{number}"


def docs(number: int, clients: int, wanted: int = SUBSCRIPTIONS) -> list[str]:
    """Give the documents of a user when there are so many, `wanted` for each."""
    return [str((number * wanted + each) % max(clients * wanted // MEMBERS, wanted)) for each in range(wanted)]


def signed_in(number: int) -> str:
    """Give the header that shows who it is."""
    claims = {"iss": ISSUER, "aud": "realtime", "sub": uid(number), "exp": int(time.time()) + _LONG_S}
    return f"Bearer {jwt.encode(claims, IDENTITY_KEY)}"


def database(folder: Path, clients: int, wanted: int = SUBSCRIPTIONS) -> None:
    """Write all users and their documents into the folder."""
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute("create table accounts (id text primary key, suspended integer)")
        connection.execute("create table doc_members (doc_id text, user_id text, role text, primary key (doc_id, user_id))")
        connection.execute("create index doc_members_user on doc_members (user_id)")
        connection.executemany("insert into accounts values (?, 0)", [(uid(number),) for number in range(clients)])
        rows = [(doc, uid(number), "editor") for number in range(clients) for doc in docs(number, clients, wanted)]
        connection.executemany("insert into doc_members values (?, ?, ?)", rows)
    connection.close()


def listening(folder: Path, clients: int, wanted: int) -> Path:
    """Write the file of clients that ask for so many subscriptions each."""
    file = folder / "listening.jsonl"
    everybody = ({"authorization": signed_in(number), "channels": _channels(number, clients, wanted)} for number in range(clients))
    file.write_text("".join(json.dumps(each) + "\n" for each in everybody))
    return file


def write(folder: Path, clients: int) -> Mapping[str, Path]:
    """Write the files of the load tool: who asks for each subscription, who gets them unasked, and who has tokens."""
    makers = {"hooks": _bare, "pushed": _unasked, "tokens": _tokens}
    files = {way: folder / f"{way}.jsonl" for way in makers}
    for way, make in makers.items():
        files[way].write_text("".join(json.dumps(each) + "\n" for each in map(make, range(clients), [clients] * clients)))
    return files


def _bare(number: int, clients: int) -> Mapping[str, object]:
    return {"authorization": signed_in(number), "channels": _channels(number, clients, SUBSCRIPTIONS)}


def _channels(number: int, clients: int, wanted: int) -> Mapping[str, str]:
    return {f"chat:doc-{doc}": "" for doc in docs(number, clients, wanted)}


def _unasked(number: int, _clients: int) -> Mapping[str, object]:
    return {"authorization": signed_in(number), "pushed": SUBSCRIPTIONS}


def _tokens(number: int, clients: int) -> Mapping[str, object]:
    channels = {f"chat:doc-{doc}" for doc in docs(number, clients)}
    tokens = {each: _token(number, {"channel": each, "info": {"role": "editor"}}) for each in channels}
    return {"token": _token(number, {}), "channels": tokens}


def _token(number: int, more: Mapping[str, object]) -> str:
    until = int(time.time()) + _LONG_S
    return jwt.encode({"sub": uid(number), "exp": until, "expire_at": until, **more}, TOKEN_KEY)
