"""Who can do something, as it is printed."""

import pytest

from proxy.errors import Malformed
from proxy.review.reaching.entrances import Via
from tests.review.reaching.asking import answered, lines

SERVICE = 'service shop { key env K; allow publish, broadcast on "inbox#{uid}" schema "schemas/text.json"; allow info, rpc, explain; }'
DENIES = """
fact account(uid: string) -> { locked: bool }? { python "a:b"; timeout 50ms; }
let me = account(user);
deny unknown when me == null;
deny locked when me.locked;
"""
INBOX = """
channel "inbox#{uid}" { allow subscribe, history as owner when vars.uid == user expire 15m; }
"""
ROOM = """
channel "room:{n:int}" {
  deny zero when vars.n == 0;
  deny full on publish when vars.n > 100;
  allow subscribe as first when user == "a" expire 5m jitter 10%;
  allow subscribe as second expire 5m;
  allow subscribe as third when user == "c" expire 5m;
}
"""


def test_a_condition_is_said_with_what_it_brings_and_what_comes_before_it() -> None:
    assert lines(DENIES + INBOX, "subscribe", "inbox#42") == [
        'pattern inbox#{uid}  uid = "42"',
        "users",
        "  allow inbox#{uid}/subscribe/owner  p.policy:8",
        '    if user == "42"',
        "    with expire 15m",
        "  unless me == null  deny/unknown  p.policy:5",
        "  unless me.locked  deny/locked  p.policy:6",
        "  where me = account(user)",
    ]


def test_after_a_rule_that_everybody_passes_no_other_is_said() -> None:
    assert lines(ROOM, "subscribe", "room:7") == [
        "pattern room:{n:int}  n = 7",
        "users",
        "  allow room:{n:int}/subscribe/first  p.policy:6",
        '    if user == "a"',
        "    with expire 5m jitter 10%",
        "  allow room:{n:int}/subscribe/second  p.policy:7",
        "    anybody signed in",
        "    with expire 5m",
    ]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("subscribe", "room:0"), "room:{n:int}/deny/zero (p.policy:4) applies"),
        (("publish", "room:7"), "no rule allows this"),
        (("subscribe", "room:07"), "no pattern matches this channel"),
        (("subscribe", "room: 7"), "a channel has 1 to 255 printable ASCII characters and no space; this one has not"),
        (("rpc", "add"), "there is no such rpc"),
    ],
)
def test_why_it_is_nobody_is_said(asked: tuple[str, str], why: str) -> None:
    found = answered(ROOM, *asked)
    assert found.nobody
    assert lines(ROOM, *asked)[-2:] == ["users", f"  nobody: {why}"]


def test_a_deny_that_refuses_everybody_is_said_for_its_operation_alone() -> None:
    text = ROOM.replace("allow subscribe as first", "allow publish; allow subscribe as first")
    assert lines(text, "publish", "room:101")[-1] == "  nobody: room:{n:int}/deny/full (p.policy:5) applies"
    assert not answered(text, "subscribe", "room:101").nobody


def test_patterns_like_a_channel_that_matches_none_are_named() -> None:
    assert lines(ROOM + INBOX, "subscribe", "inbx#42") == ["near inbox#{uid}", "users", "  nobody: no pattern matches this channel"]
    assert answered(ROOM + INBOX, "subscribe", "a" * 300).near == ()


def test_an_rpc_that_is_misspelled_gets_a_suggestion() -> None:
    assert lines('rpc "rename" { allow; answer = 1; }', "rpc", "renam") == [
        "users",
        '  nobody: there is no such rpc; did you mean "rename"?',
    ]


def test_a_guest_who_is_not_admitted_is_refused() -> None:
    text = 'channel "open" { allow subscribe; }'
    assert lines(text, "subscribe", "open", users=("",)) == ["pattern open", 'user ""', "  refused: no identity admits guests"]
    guests = "identity g { guest; }" + text
    assert lines(guests, "subscribe", "open", users=("",))[-1] == "    always"
    assert lines(guests, "subscribe", "open")[-1] == "    anybody, guests too"


def test_each_user_is_answered_alone_by_the_facts_at_hand() -> None:
    facts = {("account", "42"): {"locked": False}, ("account", "66"): {"locked": True}, ("account", "9"): None}
    assert lines(
        DENIES + INBOX, "history", "inbox#42", users=("42", "43", "66", "9", "1"), facts={**facts, ("account", "43"): {"locked": False}}
    ) == [
        'pattern inbox#{uid}  uid = "42"',
        'user "42"',
        "  allow inbox#{uid}/history/owner  p.policy:8",
        "    always",
        'user "43"',
        "  refused: no rule can hold",
        'user "66"',
        "  refused: deny/locked (p.policy:6) applies",
        'user "9"',
        "  refused: deny/unknown (p.policy:5) applies",
        'user "1"',
        "  refused: deny/unknown (p.policy:5) applies",
    ]


def test_services_are_said_each_and_those_that_may_not_together() -> None:
    text = INBOX + SERVICE + "service other { key env O; allow info; }"
    assert lines(text, "publish", "inbox#4") == [
        'pattern inbox#{uid}  uid = "4"',
        "users",
        "  nobody: no rule allows this",
        "service shop",
        "  allow service/shop/publish/1  p.policy:4",
        "    if data fits schemas/text.json",
    ]
    assert lines(text, "history", "inbox#4")[-2:] == ["services", "  nobody: no rule allows this"]
    assert lines(text, "publish", "inbox#4", via=Via.service)[1] == "service shop"
    assert lines(text, "info") == [
        "service shop",
        "  allow service/shop/info/1  p.policy:4",
        "    always",
        "service other",
        "  allow service/other/info/1  p.policy:4",
        "    always",
    ]


@pytest.mark.parametrize("channel", ["other", "a b"])
def test_a_service_is_bound_to_the_channels_of_its_rules(channel: str) -> None:
    assert answered(INBOX + SERVICE, "publish", channel).nobody


def test_what_a_service_may_be_asked_about_may_be_left_out() -> None:
    assert lines(SERVICE, "explain") == lines(SERVICE, "explain", "inbox#4")


def test_connecting_ends_when_the_policy_says() -> None:
    text = 'connect { allow when name == "app"; data = {"you": user}; expire 1h jitter 5%; }'
    assert lines(text, "connect") == [
        "users",
        "  allow connect/1  p.policy:2",
        '    if name == "app"',
        '    with data = {"you": user}',
        "    with expire 1h jitter 5%",
    ]
    assert lines(text.replace(" expire 1h jitter 5%;", ""), "connect")[-1] == '    with data = {"you": user}'


def test_with_a_token_there_is_no_client() -> None:
    text = 'channel "x" { allow subscribe as one when client != "" expire 5m; allow subscribe as two limit 1/1s per client expire 5m; }'
    assert lines(text, "subscribe", "x", via=Via.hook)[1:3] == ["users", "  allow x/subscribe/one  p.policy:2"]
    assert lines(text, "subscribe", "x", via=Via.token)[1:] == ["users with a token", "  nobody: no rule can hold"]
    assert lines(text, "subscribe", "x", via=Via.token, users=("a",))[1] == 'user "a" with a token'


def test_a_token_for_a_channel_is_asked_without_data() -> None:
    text = (
        'channel "x" { allow subscribe as one schema "schemas/text.json" expire 5m; allow subscribe as two when data == null expire 5m; }'
    )
    assert lines(text, "subscribe", "x", via=Via.token)[2:] == [
        "  allow x/subscribe/two  p.policy:2",
        "    anybody signed in",
        "    with expire 5m",
    ]


def test_obligations_are_said_with_what_they_take() -> None:
    text = """channel "x" {
      allow publish as one when user == "a" && data.kind == "b" stamp by = user, at = timestamp_ms tags {"k": data.kind, "u": user}
        idempotency data.id skip_history limit 10/1s burst 20 per user;
    }"""
    assert lines(text, "publish", "x")[2:] == [
        "  allow x/publish/one  p.policy:3",
        '    if user == "a" && data.kind == "b"',
        "    if data is an object",
        "    if has(data.kind)",
        '    if {"k": data.kind, "u": user} has a value',
        "    if has(data.id)",
        "    if data.id has a value",
        "    with stamp by = user",
        "    with stamp at = timestamp_ms",
        '    with tags {"k": data.kind, "u": user}',
        "    with idempotency data.id",
        "    with skip_history",
        "    with limit 10/1s burst 20 per user",
    ]


def test_a_rule_whose_obligations_never_have_a_value_allows_nobody() -> None:
    text = 'channel "x:{y}" { allow subscribe info = {"n": int(vars.y)} expire 5m; }'
    assert lines(text, "subscribe", "x:z")[2:] == ["  nobody: no rule can hold"]
    assert lines(text, "subscribe", "x:7")[3:] == ["    anybody signed in", '    with info = {"n": 7}', "    with expire 5m"]


def test_an_answer_needs_what_it_is_made_of() -> None:
    text = 'rpc "add" { allow when data.n > 0; answer = {"n": data.n + 1}; } rpc "who" { allow; answer presence "room:1"; }'
    assert lines(text, "rpc", "add")[2:] == [
        "    if data.n > 0",
        "    if has(data.n)",
        "    if data.n + 1 has a value",
        '    with answer = {"n": data.n + 1}',
    ]
    assert lines(text, "rpc", "who")[2:] == ['    if presence of "room:1" is allowed', '    with answer presence "room:1"']


def test_an_rpc_that_a_backend_answers_takes_nothing() -> None:
    assert lines('http app { base env APP; } rpc "go" { allow; forward app POST "/go"; }', "rpc", "go")[1:] == [
        "  allow rpc/go/1  p.policy:2",
        "    anybody signed in",
    ]


def test_what_moves_the_cursor_is_not_printed() -> None:
    assert "\x1b" not in "".join(lines(INBOX, "subscribe", "inbox#\x1b[2J", users=("\x1b[2J",)))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"operation": "batch"}, "a batch needs no rule: ask for each of its commands"),
        ({"operation": "sub_refresh", "target": "x"}, "sub_refresh is decided as subscribe: ask who can subscribe"),
        ({"operation": "refresh", "via": Via.hook}, "refresh is decided as connect: ask who can connect"),
        ({"operation": "subcribe"}, 'there is no operation "subcribe"; did you mean "subscribe"?'),
        ({"operation": "history", "via": Via.token}, 'there is no operation "history" by --via token; there are connect, subscribe'),
        ({"operation": "presnce", "via": Via.hook}, 'there is no operation "presnce" by --via hook; did you mean "presence"?'),
        ({"operation": "info", "users": ("a",)}, "--user says which user, and users do not come by --via service: leave one of them out"),
        (
            {"operation": "publish", "target": "x", "via": Via.service, "users": ("a",)},
            "--user says which user, and users do not come by --via service: leave one of them out",
        ),
        ({"operation": "subscribe"}, "subscribe needs a channel: who-can subscribe CHANNEL"),
        ({"operation": "rpc"}, "rpc needs a method: who-can rpc METHOD"),
        ({"operation": "broadcast"}, "broadcast needs a channel: who-can broadcast CHANNEL"),
        ({"operation": "connect", "target": "x"}, 'connect has no channel: leave "x" out'),
        ({"operation": "info", "target": "x"}, 'info has no channel: leave "x" out'),
    ],
)
def test_what_cannot_be_asked_is_said(asked: dict[str, object], message: str) -> None:
    with pytest.raises(Malformed) as refused:
        answered(INBOX + SERVICE, **asked)  # type: ignore[arg-type]  # whatever a query has
    assert str(refused.value) == message


def test_a_service_may_refresh_connections() -> None:
    text = "service shop { key env K; allow refresh; }"
    assert lines(text, "refresh") == ["service shop", "  allow service/shop/refresh/1  p.policy:2", "    always"]


def test_a_refusal_that_rests_on_facts_says_so() -> None:
    text = 'fact level(u: string) -> int { python "a:b"; timeout 1s; } channel "x" { allow subscribe when level(user) > 1 expire 5m; }'
    for facts in ({}, {("level", "a"): 1}):
        assert lines(text, "subscribe", "x", users=("a",), facts=facts)[2:] == ["  refused: no rule can hold with the facts at hand"]
