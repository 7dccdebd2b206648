"""The same call to Centrifugo and to the gateway, as a service that may do everything: all answers are alike but those named here."""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from proxy.wire.methods import METHODS
from tests.gateway.pair import ALL_KEY, Pair
from tests.gateway.test_methods import CALLS

pytestmark = pytest.mark.live

TRANSPORT = {"x-centrifugo-error-mode": "transport"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call; `WHO` in its body becomes a name of the side that is asked. `why` names the difference that is meant to show."""

    path: str
    body: bytes
    why: str = ""
    old: str = ""
    """The difference that 5.4.9 shows instead."""
    headers: Mapping[str, str] = field(default_factory=dict)


WHY = {
    "nobody": "a command for no user, client or session means every anonymous connection there; here it is refused with error 107",
    "no channel": "unsubscribe without a channel succeeds there and does nothing; here it is refused with error 107",
    "closing": "there any code and reason close a connection, though some reach clients as 1006; here they are refused with status 400",
    "past": "an end before 1970 is taken there; here it is refused with status 400",
    "twice": "a payload with two readings (a repeated member, an integer beyond 64 bits) is taken there; here it is refused with error 107",
    "both": "of data and b64data one wins there; here both are refused with error 107",
    "no JSON": "b64data may be anything there and ends every JSON subscriber; here it must be JSON, else error 107",
    "channel": "any channel can be published to there; here names of more than 255 bytes or with other than printable ASCII get error 107",
    "case": "members are matched in any case there; here exactly",
    "encoding": "invalid UTF-8 and lone surrogates are replaced there; here they are refused with status 400",
    "two": "of a command with two methods the first known runs there; here it is refused with error 107",
    "null": "a null command ends the call there, in parallel the whole server; here it gets error 107",
    "ours": "this service has more methods than the open source server",
    "maps": "5.4.9 has no such method and answers status 404 whatever the body; here the body is checked, and the answer is error 104",
    "versions": "5.4.9 does not know the field, so that it may be of any type there; here it is checked",
}
"""Every difference, and why it is one."""

VALUES: tuple[object, ...] = (None, 1, -1, 1.5, "x", "", True, [], {}, ["x"], {"x": 1}, 2**64)
MAPS = {name for name in METHODS if name.startswith(("map_", "shared_poll"))}
TARGETED = {"subscribe", "unsubscribe", "disconnect", "refresh"}
CHANNELS = {"map": "board:WHO", "shared_poll": "poll:WHO"}


def call(method: str) -> dict[str, Any]:
    """A call of the method that Centrifugo carries out."""
    channel = next((channel for kind, channel in CHANNELS.items() if method.startswith(kind)), "chat:WHO")
    named: dict[str, Any] = {"channel": channel} if "channel" in METHODS[method].fields else {}
    named |= {"channels": ["chat:WHO", "nowhere:WHO", "WHO"]} if "channels" in METHODS[method].fields else {}
    return CALLS[method] | named


def wrong(method: str) -> Iterator[Case]:
    """Bodies of the method that are wrong, and fields of every type."""
    for body in (b"", b"{", b"null", b"[]", b'"x"', b"1", b"{} {}", b"\xef\xbb\xbf{}", b'{"channel":NaN}', b'{"data":01}', b"{}\n"):
        nobody = method in TARGETED and body in (b"{}\n", b"null")
        yield Case(path=f"/{method}", body=body, why="nobody" if nobody and method != "subscribe" else "", old=old(method))
    for name in METHODS[method].fields:
        for value in VALUES:
            body = json.dumps(call(method) | {name: value}).encode()
            yield Case(path=f"/{method}", body=body, why=reason(method, name, value), old=old(method, name, value))


def reason(method: str, name: str, value: object) -> str:
    """The difference that shows when the field is of this value."""
    if method == "unsubscribe" and name == "channel" and value in (None, ""):
        return "no channel"
    if method in TARGETED and name == "user" and value in (None, "") and method in ("disconnect", "refresh", "subscribe"):
        return "nobody"
    if method == "disconnect" and name == "disconnect" and value in ({}, {"x": 1}):
        return "closing"
    if name == "expire_at" and value == -1:
        return "past"
    return "twice" if value == 2**64 and name in ("data", "info", "params") else ""


def old(method: str, name: str = "", value: object = None) -> str:
    """The difference that 5.4.9 shows when the field is of this value."""
    if method in MAPS:
        return "maps"
    fits = value is None or (type(value) is str if name == "version_epoch" else type(value) is int and 0 < value < 2**64)
    return "" if fits or name not in ("version", "version_epoch") else "versions"


ENCODED = b64encode(b'{"n":1}').decode()
LONG = "chat:WHO-" + "x" * 255


def publish(data: bytes, channel: str = "chat:WHO") -> bytes:
    return b'{"channel":"%s","data":%s}' % (channel.encode(), data)


def batch(*commands: bytes, more: bytes = b"") -> bytes:
    return b'{"commands":[%s]%s}' % (b",".join(commands), more)


def command(method: str, body: bytes) -> bytes:
    return b'{"%s":%s}' % (method.encode(), body)


PUBLISH = command("publish", publish(b"1"))
NOWHERE = command("publish", publish(b"1", "nowhere:WHO"))
CASES = (
    *(Case(path=f"/{method}", body=json.dumps(call(method)).encode(), old=old(method)) for method in CALLS),
    *(Case(path=f"/{method}", body=json.dumps(call(method)).encode(), headers=TRANSPORT) for method in CALLS),
    *(
        Case(path="/publish", body=publish(data))
        for data in (b"null", b'""', b"{}", b"[1.5e3]", b'"\\u00e9\xc3\xa9"', b"-9223372036854775808")
    ),
    Case(path="/publish", body=publish(b"1", "nowhere:WHO")),
    Case(path="/publish", body=publish(b"1", "nowhere:WHO"), headers=TRANSPORT),
    Case(path="/publish", body=publish(b"1", "WHO")),
    Case(path="/publish", body=b"{}", headers=TRANSPORT),
    Case(path="/publish", body=b"{", headers=TRANSPORT),
    Case(path="/publish", body=b'{"channel":"chat:WHO","b64data":"%s"}' % ENCODED.encode()),
    Case(path="/publish", body=b'{"channel":"chat:WHO","b64data":"?"}'),
    Case(path="/publish", body=b'{"channel":"chat:WHO","data":1,"unknown":[{"x":null}]}'),
    Case(path="/publish", body=b'{"channel":"chat:WHO-i","data":1,"idempotency_key":"i","tags":{"k":"v"},"skip_history":true}'),
    Case(path="/publish", body=b'{"channel":"chat:WHO-i","data":2,"idempotency_key":"i"}'),
    Case(path="/publish", body=b'{"channel":"chat:WHO","data":1,"b64data":"%s"}' % ENCODED.encode(), why="both"),
    Case(path="/publish", body=b'{"channel":"chat:WHO","b64data":"%s"}' % b64encode(b"\x00"), why="no JSON"),
    Case(path="/publish", body=publish(b'{"n":1,"n":2}'), why="twice"),
    Case(path="/publish", body=publish(b"9223372036854775808"), why="twice"),
    Case(path="/publish", body=publish(b"1", LONG), why="channel"),
    Case(path="/publish", body=publish(b"1", "chat:WHO \u00e9"), why="channel"),
    Case(path="/publish", body=b'{"CHANNEL":"chat:WHO","data":1}', why="case"),
    Case(path="/publish", body=publish(b'"\xff"'), why="encoding"),
    Case(path="/publish", body=publish(b'"\\ud800"'), why="encoding"),
    Case(path="/broadcast", body=b'{"channels":[],"data":1}'),
    Case(path="/broadcast", body=b'{"channels":[],"data":1}', headers=TRANSPORT),
    Case(path="/broadcast", body=b'{"channels":["","chat:WHO","nowhere:WHO"],"data":1}', headers=TRANSPORT),
    Case(path="/history", body=b'{"channel":"chat:WHO","limit":-1}'),
    Case(path="/history", body=b'{"channel":"chat:WHO","limit":2,"reverse":true}'),
    Case(path="/history", body=b'{"channel":"chat:WHO","limit":2,"since":{"offset":1,"epoch":"x"}}'),
    Case(path="/history", body=b'{"channel":"chat:WHO","limit":2,"since":{"offset":1,"epoch":"x"}}', headers=TRANSPORT),
    Case(path="/history", body=b'{"channel":"WHO"}', headers=TRANSPORT),
    Case(path="/presence", body=b'{"channel":"WHO"}'),
    Case(path="/rpc", body=b'{"method":"no_such"}', headers=TRANSPORT),
    Case(path="/no_such", body=b"{}"),
    Case(path="/publish/", body=b"{}"),
    Case(path="/batch", body=batch()),
    Case(path="/batch", body=batch(more=b',"parallel":true')),
    Case(path="/batch", body=b'{"commands":null}'),
    Case(path="/batch", body=b"{}"),
    *(Case(path="/batch", body=body) for body in (b"", b"{", b"[]", b'{"commands":{}}', b'{"commands":[1]}', b'{"parallel":1}')),
    Case(path="/batch", body=batch(b'{"publish":[]}', PUBLISH)),
    Case(path="/batch", body=batch(b'{"publish":{"channel":1}}', PUBLISH)),
    Case(path="/batch", body=batch(PUBLISH, NOWHERE, b'{"publish":{}}', b'{"no_such":{}}', b"{}", b'{"publish":null}')),
    Case(path="/batch", body=batch(PUBLISH, NOWHERE), headers=TRANSPORT),
    Case(path="/batch", body=batch(command("publish", publish(b"1", "chat:WHO-2")), PUBLISH, more=b',"parallel":true')),
    Case(path="/batch", body=batch(*(command(method, json.dumps(call(method)).encode()) for method in CALLS if method not in MAPS))),
    Case(path="/batch", body=batch(PUBLISH, command("batch", batch(PUBLISH)))),
    Case(path="/batch", body=batch(b'{"info":{},"publish":%s}' % publish(b"1")), why="two"),
    Case(path="/batch", body=batch(command("publish", publish(b'{"n":1,"n":2}')), PUBLISH), why="twice"),
    Case(path="", body=b'{"method":"publish","params":%s}' % publish(b"1")),
    Case(path="", body=b'{"id":7,"method":"Publish","params":%s}\n{"method":"history","params":{"channel":"WHO"}}\n' % publish(b"1")),
    Case(path="", body=b'{"id":7,"method":"info","params":{}}\n{"id":8,"method":"publish","params":{}}\n{"id":9,"method":"publish"}\nnull'),
    Case(path="", body=b'{"method":"publish","params":[]}'),
    Case(path="", body=b'{"method":"publish","params":{"channel":1}}', headers=TRANSPORT),
    *(Case(path="", body=body) for body in (b"", b"{", b"[]", b'{"method":"no_such","params":{}}', b'{"method":"batch","params":{}}')),
    Case(path="/invalidate", body=b'{"topics":["x"]}', why="ours"),
    *(
        Case(path=f"/{method}", body=b'{"user":"42"}', why="ours")
        for method, known in METHODS.items()
        if not known.relayed and method != "invalidate"
    ),
)


def alike(value: object) -> object:
    """Leave out what is never the same twice."""
    if isinstance(value, dict):
        if "nodes" in value:
            return {"nodes": [sorted(node.keys() - {"metrics", "process"}) for node in value["nodes"]]}
        return {name: alike(each) for name, each in value.items() if name not in ("epoch", "time")}
    return list(map(alike, value)) if isinstance(value, list) else value


def seen(answer: httpx.Response, *, spoken: bool) -> object:
    """What callers see: the status and, unless it is a failure told in Centrifugo's own words, the body."""
    return answer.status_code, [alike(json.loads(line)) for line in answer.content.splitlines()] if spoken else None


async def compared(pair: Pair, case: Case, name: str) -> tuple[object, object]:
    """What Centrifugo and what the gateway says; `name` is that of no other call."""
    mine, own = (case.body.replace(b"WHO", f"{side}-{name}".encode()) for side in ("gateway", "direct"))
    direct = await pair.directly(case.path, own, case.headers)
    through = await pair.through(case.path, mine, case.headers)
    spoken = direct.headers.get("content-type") == "application/json" and through.status_code == direct.status_code
    return seen(direct, spoken=spoken), seen(through, spoken=spoken)


async def unforeseen(pair: Pair, cases: Iterable[Case], name: str) -> list[object]:
    """The cases that go otherwise than they say."""
    found: list[object] = []
    for number, case in enumerate(cases):
        direct, through = await compared(pair, case, f"{name}-{number}")
        if (direct != through) != bool(why := expected(pair, case)):
            found.append((case.path, case.body, why, direct, through))
    return found


def expected(pair: Pair, case: Case) -> str:
    return (case.old if pair.version.startswith("5") else "") or case.why


async def test_every_answer_is_alike_but_for_the_differences_that_are_named(pair: Pair) -> None:
    assert await unforeseen(pair, CASES, "cases") == []


@pytest.mark.parametrize("method", CALLS)
async def test_every_field_of_every_type_is_answered_alike(pair: Pair, method: str) -> None:
    assert await unforeseen(pair, wrong(method), method) == []


def test_every_difference_that_is_named_shows_somewhere() -> None:
    cases = [*CASES, *(case for method in CALLS for case in wrong(method))]
    assert {why for case in cases for why in (case.why, case.old)} == {"", *WHY} - {"null"}


@pytest.mark.parametrize("more", [b"", b',"parallel":true'], ids=["in-order", "at-once"])
async def test_a_null_command_is_a_bad_request(pair: Pair, more: bytes) -> None:
    case = Case(path="/batch", body=batch(PUBLISH, b"null", NOWHERE, more=more))
    if pair.version.startswith("6"):
        assert await unforeseen(pair, [case], f"null-{len(more)}") == []
        return
    if not more:
        with pytest.raises(httpx.RemoteProtocolError):
            await pair.directly(case.path, case.body)
    codes = [reply.get("error", {}).get("code") for reply in (await pair.through(case.path, case.body)).json()["replies"]]
    assert codes == [None, 107, 102]


async def test_without_a_key_both_say_the_same(pair: Pair) -> None:
    for path in ("/publish", "/batch", ""):
        for headers in ({}, {"x-api-key": "wrong"}, {"authorization": "Bearer x"}):
            answers = [await pair.client.post(f"{side}/api{path}", content=b"{}", headers=headers) for side in (pair.direct, pair.gateway)]
            assert [(each.status_code, each.content) for each in answers] == [(401, b"")] * 2


async def test_either_header_shows_the_key_to_both(pair: Pair) -> None:
    for side, key in ((pair.direct, pair.key), (pair.gateway, ALL_KEY)):
        for headers in ({"x-api-key": key}, {"authorization": f"apikey {key}"}, {"authorization": f"APIKEY  {key}", "x-api-key": ""}):
            assert (await pair.client.post(f"{side}/api/info", content=b"{}", headers=headers)).status_code == 200


async def test_other_http_methods_are_refused_by_both(pair: Pair) -> None:
    for side, key in ((pair.direct, pair.key), (pair.gateway, ALL_KEY)):
        for path in ("/publish", ""):
            assert (await pair.client.get(f"{side}/api{path}", headers={"x-api-key": key})).status_code == 405
