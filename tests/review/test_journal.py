import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.declared import GuestIdentity
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review import journal as module
from proxy.review.journal import MASK, Journal, Veil, line
from proxy.review.lines import decide

RULES = """
language 1;
database main { url env URL; }
http app { base env APP; }
fact account(uid: string) -> { roles: list<string>, tier: string } { sql main "select roles, tier from a where id = :uid"; }
identity idp {
  jwt from header "x-token", cookie "sid", data "auth.token";
  issuer "i"; audience "a"; algorithms HS256; keys env K; user = claims.sub;
}
identity session { http app GET "/me" forward header "x-session"; user = reply.id; }
channel "c:{x}" {
  allow subscribe when "member" in account(user).roles;
  allow publish when data.n == 1 && size(account(user).roles) > 0 stamp author = user;
}
service orders { key env KEY; allow publish on "c:{x}"; }
log { mask data.text, meta.roles, account.tier, labels; sample allow 50%; }
"""
NOW = 1_700_000_000_000


def policy() -> Policy:
    loaded = load({"a.policy": RULES.encode()})
    assert loaded.policy, loaded.findings
    return loaded.policy


POLICY = policy()
FACTS: dict[FactKey, Known | Lost] = {("account", "42"): Known(value={"roles": ["member"], "tier": "gold"}, at_ms=NOW - 250)}


def written(request: Request, decision: object = None) -> dict[str, Any]:
    found = POLICY.decide(request, FACTS) if decision is None else decision
    assert isinstance(found, Allow | Deny)
    veil = Veil(POLICY.logging, POLICY.identities)
    text = line(request, found, NOW, veil)
    assert text.endswith(b"\n")
    entry: dict[str, Any] = orjson.loads(text)
    return entry


def test_a_line_holds_the_request_its_facts_with_their_age_and_the_decision() -> None:
    entry = written(Request(op="subscribe", user="42", channel="c:7", client="c1", transport="websocket", timestamp_ms=5))
    key = 'account("42")'
    assert entry == {
        "at_ms": NOW,
        "revision": POLICY.revision,
        "request": {
            "op": "subscribe",
            "user": "42",
            "channel": "c:7",
            "client": "c1",
            "transport": "websocket",
            "timestamp_ms": 5,
            "facts": {key: {"roles": ["member"], "tier": "***"}},
        },
        "decision": {"effect": "allow", "reason": "allowed", "rule": "c:{x}/subscribe/1", "at": "a.policy:12", "facts": [key]},
        "ages_ms": {key: 250},
    }


@pytest.mark.parametrize(
    "request_",
    [
        Request(op="subscribe", user="42", channel="c:7"),
        Request(op="subscribe", user="42", channel="d"),
        Request(op="publish", user="42", channel="c:7", data={"n": 1}),
        Request(op="publish", service="orders", method="publish", channel="c:7", data={"n": 1}, tags={}),
        Request(op="connect", user="42", headers={"origin": "https://a"}, name="js", version="1"),
        Request(op="rpc", user="42", method="m"),
    ],
)
def test_what_is_written_is_decided_alike_again(request_: Request) -> None:
    entry = written(request_)
    ((answer, fine),) = decide(POLICY, [orjson.dumps(entry["request"]).decode()])
    assert fine
    assert orjson.loads(answer) == entry["decision"]


def test_a_lost_fact_is_written_as_its_error() -> None:
    entry = written(
        Request(op="subscribe", user="42", channel="c:7"), Deny(reason="fact_error", facts={("account", "42"): Lost(why="late")})
    )
    assert (entry["request"]["facts"], entry["ages_ms"]) == ({'account("42")': {"$error": "late"}}, {})


def test_what_the_policy_masks_is_hidden_wherever_it_stands() -> None:
    data = {"n": 1, "text": "private", "list": [{"text": "kept"}]}
    entry = written(Request(op="publish", user="42", channel="c:7", data=data, meta={"roles": ["a"], "x": 1}, labels={"l": "1"}))
    assert entry["request"]["data"] == {**data, "text": "***"}
    assert (entry["request"]["meta"], entry["request"]["labels"]) == ({"roles": "***", "x": 1}, "***")
    assert entry["decision"]["data"] == {**data, "text": "***", "author": "42"}
    several = written(Request(op="publish", user="42", channel="c:7", data=[{"text": "private"}, 1]))
    assert several["request"]["data"] == [{"text": "***"}, 1]


def test_credentials_are_never_written() -> None:
    shown = {"authorization": "Bearer t", "cookie": "sid=1", "x-token": "t", "x-session": "s", "origin": "https://a"}
    entry = written(Request(op="connect", user="42", headers=shown, data={"auth": {"token": "t", "device": "d"}}, ambiguous=True))
    assert entry["request"]["headers"] == {**dict.fromkeys(shown, "***"), "origin": "https://a"}
    assert entry["request"]["data"] == {"auth": {"token": "***", "device": "d"}}
    assert entry["request"]["ambiguous"] is True


class Target:
    """Keeps what it is told; `full` makes it fail."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = self.closed = False

    def append(self, lines: Iterable[bytes]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines += lines

    def close(self) -> None:
        self.closed = True


DENIED = Deny(reason="no_rule")
ALLOWED = Allow(rule="r", at="", revision="", facts={})
ASKED = Request(op="subscribe", user="42", channel="c:7")


async def run(journal: Journal, *waiting: Allow | Deny) -> None:
    task = asyncio.create_task(journal.run())
    for decision in waiting:
        journal.watch(ASKED, decision)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def made(target: Target, chance: float = 0.0) -> Journal:
    return Journal(target, lambda: POLICY, lambda: NOW, lambda: chance)


async def test_everything_that_waits_is_written_before_the_end() -> None:
    target = Target()
    journal = made(target)
    await run(journal, *[DENIED] * 1500)
    assert (len(target.lines), journal.written, journal.dropped, target.closed) == (1500, 1500, 0, True)


async def test_lines_are_written_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    target = Target()
    journal = made(target)
    task = asyncio.create_task(journal.run())
    journal.watch(ASKED, DENIED)
    async with asyncio.timeout(10):
        while not target.lines:  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("chance", "count"), [(0.49, 2), (0.5, 1)])
async def test_allowed_decisions_are_sampled_and_refusals_always_written(chance: float, count: int) -> None:
    target = Target()
    await run(made(target, chance), ALLOWED, DENIED)
    assert len(target.lines) == count


async def test_what_does_not_fit_or_cannot_be_written_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    target = Target()
    target.full = True
    journal = made(target)
    with caplog.at_level(logging.WARNING):
        await run(journal, DENIED, DENIED, DENIED)
    assert (journal.written, journal.dropped) == (0, 3)
    assert caplog.messages == ["the decision log cannot be written: No space left on device"]


async def test_a_line_that_is_no_json_is_dropped_alone() -> None:
    target = Target()
    journal = made(target)
    journal.watch(Request(op="publish", user="42", channel="c:7", data="\ud800"), DENIED)
    await run(journal, DENIED)
    assert (journal.written, journal.dropped, len(target.lines)) == (1, 1, 1)


async def test_a_target_that_hangs_does_not_keep_the_end_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.0)
    target = Target()
    await run(made(target), DENIED)
    assert target.closed


def test_a_guest_has_no_credential_to_hide() -> None:
    assert Veil(POLICY.logging, [GuestIdentity(name="visitor")]).headers({"x-session": "s", "cookie": "c"}) == {
        "x-session": "s",
        "cookie": MASK,
    }
