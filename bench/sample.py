"""The policy whose decisions are measured, with as many channel blocks as wanted; its facts; and what is asked of it."""

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.policy.decision import Known, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy

BLOCKS_PER_FILE: Final = 100
INPUTS: Final = 64

Facts = Mapping[tuple[object, ...], Known]

_HEAD: Final = """language 1;
database main { url env DATABASE_URL; }
meta { roles: list<string> }
fact account(uid: string) -> { roles: list<string>, suspended: bool, tier?: string }? {
  sql main "select roles, suspended, tier from accounts where id = :uid";
  cache 10s negative 2s max 200000;
  timeout 150ms;
  invalidate on "account:{uid}";
}
fact doc_member(doc: string, uid: string) -> { role: string }? {
  sql main "select role from doc_members where doc_id = :doc and user_id = :uid";
  cache 30s negative 5s max 500000;
  timeout 150ms;
  invalidate on "doc:{doc}", "account:{uid}";
}
let me = account(user);
deny unknown_account when me == null;
deny suspended when me.suspended;
connect {
  allow when headers["origin"] in ["https://app.example.org"];
  subscribe "notifications#" + user;
  expire 1h jitter 10%;
}
"""
_BLOCK: Final = """channel "NAME:doc-{doc}" {
  let member = doc_member(vars.doc, user);
  allow subscribe, presence, history when member != null
    info = {"role": member.role}
    expire 5m;
  allow publish as editors when member != null && member.role in ["editor", "owner"]
    schema "schemas/chat_message.json"
    stamp author = user, at = timestamp_ms
    tags {"kind": data.type}
    limit 10/1s burst 20 per user, channel;
}
"""
SCHEMA: Final = b"""{
  "type": "object",
  "required": ["type", "text"],
  "properties": {
    "type": {"enum": ["message", "typing"]},
    "text": {"type": "string", "minLength": 1, "maxLength": 2000}
  },
  "additionalProperties": false
}"""


def files(blocks: int) -> Mapping[str, bytes]:
    """Give the files of a policy: the head; the block of `chat:doc-{doc}`, and others like it until there are so many."""
    names = ["chat", *(f"team{number}" for number in range(1, blocks))]
    found = {"head.policy": _HEAD.encode(), "schemas/chat_message.json": SCHEMA}
    for first in range(0, blocks, BLOCKS_PER_FILE):
        text = "".join(_BLOCK.replace("NAME", name) for name in names[first : first + BLOCKS_PER_FILE])
        found[f"teams{first:05}.policy"] = f"language 1;\n{text}".encode()
    return found


def policy(blocks: int) -> Policy:
    """Load a policy of so many blocks."""
    found = load(files(blocks)).policy
    assert found is not None
    return found


def requests(op: str) -> Sequence[Request]:
    """Give the inputs, each another; every second one is to be allowed, the others are refused for different reasons."""
    data = {"type": "message", "text": "Good morning"} if op == "publish" else None
    return [
        Request(
            op=op,
            user=f"user{number}",
            channel=f"chat:doc-{number % 20}",
            client=f"2bc9c74b-22b0-4d63-90cd-{number:012d}",
            transport="websocket",
            data=data and {**data, "text": f"{data['text']}, {number}"},
            meta={"roles": ["member"]},
            timestamp_ms=1_790_000_000_000 + number,
        )
        for number in range(INPUTS)
    ]


def facts(op: str) -> Facts:
    """Give both facts of every input."""
    found: dict[tuple[object, ...], Known] = {}
    for number in range(INPUTS):
        trouble = ("", "unknown", "", "suspended", "", "stranger", "", "viewer" if op == "publish" else "stranger")[number % 8]
        account = None if trouble == "unknown" else {"roles": ["member"], "suspended": trouble == "suspended"}
        member = None if trouble == "stranger" else {"role": "viewer" if trouble == "viewer" else ("editor", "owner")[number % 4 // 2]}
        found["account", f"user{number}"] = Known(value=account, at_ms=1_790_000_000_000)
        found["doc_member", str(number % 20), f"user{number}"] = Known(value=member, at_ms=1_790_000_000_000)
    return found
