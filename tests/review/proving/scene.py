"""Policies with invariants, and what becomes of them."""

from collections.abc import Mapping

from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review.proving.prove import Proof, prove
from proxy.review.proving.reach import Idle, idle

TIMEOUT_MS = 20_000

PLACES = """
identity idp { jwt from header "authorization"; issuer "i"; audience "a"; algorithms ES256; keys env K; user = claims.sub; }
fact account(uid: string) -> {
  roles: list<string>, suspended: bool, age: int, score: double, tier?: string, boss: string? }? { python "a:account"; timeout 1s; }
fact member(doc: string, uid: string) -> { role: string }? { python "a:member"; timeout 1s; }
fact open(room: int, day: bool) -> bool { python "a:open"; timeout 1s; }
fact limits() -> map<string, int> { python "a:limits"; timeout 1s; }
let me = account(user);
"""
GUARDED = "deny unknown when me == null; deny suspended when me.suspended; "


def files(text: str, **schemas: str) -> Mapping[str, bytes]:
    return {"p.policy": f"language 1;{text}".encode(), **{f"schemas/{name}.json": each.encode() for name, each in schemas.items()}}


def loaded(text: str, **schemas: str) -> tuple[Policy, Mapping[str, bytes]]:
    given = files(PLACES + text, **schemas)
    found = load(given)
    assert found.policy is not None, [str(finding) for finding in found.findings]
    return found.policy, given


def proved(text: str, schemas: Mapping[str, str], timeout_ms: int = TIMEOUT_MS) -> list[Proof]:
    """What becomes of each invariant of a policy."""
    policy, given = loaded(text, **schemas)
    return prove(policy, given, timeout_ms)


def one(text: str, **schemas: str) -> Proof:
    policy, given = loaded(text, **schemas)
    (found,) = prove(policy, given, TIMEOUT_MS)
    return found


def idling(text: str, **schemas: str) -> list[Idle]:
    policy, given = loaded(text, **schemas)
    return idle(policy, given, TIMEOUT_MS)
