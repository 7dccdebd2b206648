import json

from proxy.hooks.answers import Answers
from proxy.hooks.connect import Connect
from proxy.identity.chain import Chain, Refusal
from proxy.policy.decision import Request
from proxy.policy.policy import Person
from proxy.wire.requests import ConnectRequest, decode_connect

from .scene import HEAD, KEY, NOW, Book, Oracle, Recalled, Watched, allow, clock, gate, policy, token, written

ORIGIN = {"origin": "https://app.example.org"}
SECOND = NOW // 1000


class Cold(Oracle):
    def now(self, request: Request) -> None:
        self.asked.append(request)


def connect(watch: Watched | None = None, book: Book | None = None) -> Connect:
    chain = Chain(policy(), {"IDP_KEY": KEY}, lambda: SECOND)
    return Connect(gate(), chain, Answers(), clock, watch or Watched(), book or Book())


def asked(**fields: object) -> ConnectRequest:
    return decode_connect(json.dumps(HEAD | fields).encode())


async def test_a_bearer_is_connected_as_who_the_token_says() -> None:
    reply = await connect()(asked(), ORIGIN | {"authorization": f"Bearer {token()}"})
    assert written(reply)["result"] == {
        "user": "42",
        "expire_at": SECOND + 600,
        "info": {"name": "Ada"},
        "data": {"hello": "42"},
        "meta": {"role": "user"},
        "subs": {"news:42": {"info": {"topic": "42"}}},
    }


async def test_an_allowed_connection_is_written_down_and_no_other() -> None:
    book = Book()
    await connect(book=book)(asked(), ORIGIN | {"authorization": f"Bearer {token()}"})
    await connect(book=book)(asked(), {})
    assert book.entries == [("connected", "c1", None, SECOND + 600)]
    assert (book.requests[0].user, book.requests[0].meta) == ("42", {"role": "user"})


async def test_a_token_in_the_connect_data_counts() -> None:
    reply = await connect()(asked(data={"token": token(sub="43", exp=SECOND + 86400)}), ORIGIN)
    assert written(reply)["result"]["user"] == "43"
    assert written(reply)["result"]["expire_at"] == SECOND + 3600


async def test_a_guest_is_connected_without_a_user() -> None:
    reply = await connect()(asked(), ORIGIN)
    assert written(reply)["result"] == {
        "user": "",
        "expire_at": SECOND + 3600,
        "data": {"hello": ""},
        "subs": {"news:guest": {"info": {"topic": "guest"}}},
    }


async def test_a_channel_that_the_client_asks_for_is_not_granted_by_that() -> None:
    reply = await connect()(asked(channels=["doc:7", "news:other"]), ORIGIN)
    assert list(written(reply)["result"]["subs"]) == ["news:guest"]


async def test_a_wrong_token_is_unauthorized_and_seen() -> None:
    watch = Watched()
    reply = await connect(watch)(asked(), ORIGIN | {"authorization": f"Bearer {token(aud='other')}"})
    assert written(reply) == {"disconnect": {"code": 4501, "reason": "unauthorized"}}
    [(request, decision)] = watch.seen
    assert (request.op, request.client, decision.reason) == ("connect", "c1", "no_identity")


async def test_a_repeated_credential_makes_nobody_even_where_guests_are_welcome() -> None:
    assert written(await connect()(asked(), None)) == {"disconnect": {"code": 4501, "reason": "unauthorized"}}


async def test_an_identity_that_cannot_be_asked_is_asked_later() -> None:
    hook = Connect(Oracle(allow()), Recalled(Refusal(reason="fact_error")), Answers(), clock, Watched(), Book())
    assert written(await hook(asked(), {}))["error"] == {"code": 100, "message": "internal server error", "temporary": True}


async def test_the_policy_refuses_a_connection() -> None:
    assert written(await connect()(asked(), {})) == {"disconnect": {"code": 4503, "reason": "forbidden"}}
    banned = {"authorization": f"Bearer {token(sub='66')}"}
    assert written(await connect()(asked(), ORIGIN | banned)) == {"disconnect": {"code": 4503, "reason": "forbidden"}}


async def test_the_policy_is_told_everything_of_a_connection() -> None:
    oracle = Oracle(allow())
    hook = Connect(oracle, Recalled(Person(user="7", meta={"role": "x"})), Answers(), clock, Watched(), Book())
    await hook(asked(name="js", version="5", data={"a": 1}), {"x": "y"})
    assert oracle.asked == [
        Request(
            op="connect",
            user="7",
            client="c1",
            transport="websocket",
            data={"a": 1},
            meta={"role": "x"},
            headers={"x": "y"},
            name="js",
            version="5",
            timestamp_ms=NOW,
        )
    ]


async def test_connect_data_with_two_readings_is_marked() -> None:
    oracle = Oracle(allow())
    hook = Connect(oracle, Recalled(Person(user="7")), Answers(), clock, Watched(), Book())
    await hook(decode_connect(json.dumps(HEAD).encode()[:-1] + b',"data":{"a":1,"a":2}}'), {})
    assert oracle.asked[0].ambiguous


async def test_a_connection_without_any_end_has_none() -> None:
    hook = Connect(Oracle(allow(info={"of": "rule"})), Recalled(Person(user="7", info=1)), Answers(), clock, Watched(), Book())
    assert written(await hook(asked(), {}))["result"] == {"user": "7", "info": {"of": "rule"}}


async def test_at_once_a_connection_is_answered_as_it_is_otherwise() -> None:
    bearers = [ORIGIN | {"authorization": f"Bearer {each}"} for each in (token(), token(aud="other"))]
    for headers in (ORIGIN, {}, None, *bearers):
        books, watches = [Book(), Book()], [Watched(), Watched()]
        waited = await connect(watches[0], books[0])(asked(), headers)
        at_once = connect(watches[1], books[1]).now(asked(), headers)
        assert at_once is not None
        assert written(at_once) == written(waited)
        assert books[0].entries == books[1].entries
        assert watches[0].seen == watches[1].seen


def test_what_has_to_be_waited_for_is_not_answered_at_once() -> None:
    book, watch = Book(), Watched()
    unknown = Connect(Oracle(allow()), Recalled(None), Answers(), clock, watch, book)
    assert unknown.now(asked(), {}) is None
    cold = Connect(Cold(allow()), Recalled(Person(user="7")), Answers(), clock, watch, book)
    assert cold.now(asked(), {}) is None
    assert (book.entries, watch.seen) == ([], [])
