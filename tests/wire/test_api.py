"""The server API: commands are rebuilt from checked fields, replies are read strictly."""

import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import DeliveryFault, Fault, Malformed
from proxy.wire.api import (
    BAD_REQUEST,
    COMMANDS,
    METHOD_NOT_FOUND,
    ApiError,
    Batch,
    Command,
    Line,
    Outcome,
    Result,
    decode_batch,
    decode_command,
    decode_lines,
    decode_outcome,
    decode_outcomes,
    encode_batch,
    encode_lines,
    encode_outcome,
    encode_outcomes,
    gather,
    scatter,
)
from tests.wire.test_methods import FULL, USER, decode


def test_base64_becomes_json() -> None:
    encoded = b64encode(b'{ "m" : 1 }').decode()
    plain = {"channel": "a", "data": {"m": 1}}
    assert decode("publish", {"channel": "a", "b64data": encoded}) == Command(method="publish", params=plain)
    assert decode("publish", {"channel": "a", "data": None, "b64data": encoded}) == Command(method="publish", params=plain)
    for nothing in ("", None):
        assert decode("publish", plain | {"b64data": nothing}) == Command(method="publish", params=plain)
    assert decode("publish", {"channel": "a", "b64data": ""}) == BAD_REQUEST
    subscription = decode("subscribe", USER | {"channel": "a", "b64info": encoded, "b64data": encoded})
    assert subscription == Command(method="subscribe", params=USER | {"channel": "a", "data": {"m": 1}, "info": {"m": 1}})


@pytest.mark.parametrize("encoded", ["e30", "?", b64encode(b"\x00").decode(), b64encode(b'{"a":1,"a":2}').decode()])
def test_base64_of_something_else_is_a_bad_request(encoded: str) -> None:
    assert decode("publish", {"channel": "a", "b64data": encoded}) == BAD_REQUEST


@pytest.mark.parametrize("encoded", [1, True, ["e30="], {}])
def test_base64_is_a_string(encoded: object) -> None:
    with pytest.raises(Malformed, match="b64data"):
        decode("publish", {"channel": "a", "b64data": encoded})


def test_two_payloads_are_a_bad_request() -> None:
    assert decode("publish", {"channel": "a", "data": 1, "b64data": b64encode(b"1").decode()}) == BAD_REQUEST


@pytest.mark.parametrize("empty", [0, False, [], {}, ""])
def test_a_wrong_type_is_no_lack_however_empty(empty: object) -> None:
    if empty == "":
        assert decode("publish", {"channel": empty}) == BAD_REQUEST
        return
    for params in ({"channel": empty}, {"channel": empty, "b64data": "?"}):
        with pytest.raises(Malformed, match="channel"):
            decode("publish", params)


def test_a_command_that_is_not_json_is_a_fault() -> None:
    command = Command(method="publish", params={"channel": "a", "data": object()})
    with pytest.raises(Fault, match="cannot be written as JSON"):
        command.encode()
    with pytest.raises(Fault, match="cannot be written as JSON"):
        encode_batch([command], parallel=True)


def test_a_command_knows_its_channels() -> None:
    assert Command(method="publish", params=FULL["publish"]).channels == ("a",)
    assert Command(method="broadcast", params=FULL["broadcast"]).channels == ("a", "b")
    assert Command(method="disconnect", params=FULL["disconnect"]).channels == ()


@pytest.mark.parametrize("method", ["", "Publish", "batch", "send_push_notification"])
def test_a_method_that_is_not_in_the_table_is_not_found(method: str) -> None:
    assert decode(method, {}) == METHOD_NOT_FOUND == ApiError(code=104, message="not found")
    with pytest.raises(Malformed, match="method"):
        Command(method=method, params={})


def test_a_body_is_an_object_or_null() -> None:
    assert decode("info", None) == Command(method="info", params={})
    assert decode("publish", None) == BAD_REQUEST == ApiError(code=107, message="bad request")
    for wrong in ("x", 1, True, 1.5):
        with pytest.raises(Malformed, match="info must be given an object"):
            decode("info", wrong)
    with pytest.raises(Malformed, match="not valid JSON"):
        decode_command("info", b"")


def test_a_batch_holds_commands_and_refusals_in_order() -> None:
    commands: list[object] = [
        {"publish": FULL["publish"], "x": 1},
        None,
        {},
        {"batch": {"commands": []}},
        {"publish": None},
        {"publish": FULL["publish"], "info": {}},
        {"info": {}},
        {"publish": {}},
    ]
    assert decode_batch(orjson.dumps({"commands": commands, "parallel": True})) == Batch(
        commands=(
            Command(method="publish", params=FULL["publish"]),
            BAD_REQUEST,
            METHOD_NOT_FOUND,
            METHOD_NOT_FOUND,
            METHOD_NOT_FOUND,
            BAD_REQUEST,
            Command(method="info", params={}),
            BAD_REQUEST,
        ),
        parallel=True,
    )


def test_a_batch_may_be_empty() -> None:
    for body in (b"{}", b'{"commands":[]}', b'{"commands":null,"parallel":null}'):
        assert decode_batch(body) == Batch(commands=(), parallel=False)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'{"commands":{}}',
        b'{"commands":["publish"]}',
        b'{"commands":[{"publish":[]}]}',
        b'{"commands":[{"publish":{"channel":1,"data":1}}]}',
        b'{"commands":[],"parallel":1}',
        b'{"commands":[' + b",".join([b"null"] * (COMMANDS + 1)) + b"]}",
    ],
)
def test_a_batch_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_batch(body)


@pytest.mark.parametrize("rest", ['"commands":null,"n":99999999999999999999', '"n":99999999999999999999', '"n":1,"n":2'])
def test_a_batch_of_nothing_may_have_two_readings(rest: str) -> None:
    assert decode_batch(f"{{{rest}}}".encode()).commands == ()


def test_a_batch_has_a_bound() -> None:
    assert len(decode_batch(b'{"commands":[' + b",".join([b"null"] * COMMANDS) + b"]}").commands) == COMMANDS


@given(st.lists(st.sampled_from(sorted(FULL)), max_size=5), st.booleans())
def test_a_batch_is_written_as_it_was_read(methods: list[str], parallel: bool) -> None:  # noqa: FBT001 - drawn
    commands = tuple(Command(method=method, params=FULL[method]) for method in methods)
    assert decode_batch(encode_batch(commands, parallel=parallel)) == Batch(commands=commands, parallel=parallel)


PRESENCE = Command(method="presence", params={"channel": "a"})


def test_commands_come_line_by_line() -> None:
    body = (
        b'{"method":"info"}\n\n{"method":"info","params":{}}\r\n{"method":"presence","params":{"channel":"a"}}\n'
        b'null\n{"id":7,"method":"PRESENCE","params":{"channel":"a"}}\n{"id":8,"method":"presence","params":{"channel":1}}\n'
        b'{"id":null,"method":"info","params":[]}\n{"method":"presence"}'
    )
    assert decode_lines(body) == (
        Line(id=0, command=Command(method="info", params={})),
        Line(id=0, command=Command(method="info", params={})),
        Line(id=0, command=PRESENCE),
        Line(id=0, command=BAD_REQUEST),
        Line(id=7, command=PRESENCE),
        Line(id=8, command=BAD_REQUEST),
        Line(id=0, command=BAD_REQUEST),
        Line(id=0, command=BAD_REQUEST),
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n \n",
        b"[]",
        b"1",
        b"{}",
        b'{"method":"nope"}',
        b'{"method":"batch","params":{"commands":[]}}',
        b'{"method":["info"],"params":{}}',
        b'{"id":-1,"method":"info","params":{}}',
        b'{"id":"1","method":"info","params":{}}',
        b'{"method":"info"} {"method":"info"}',
        b'{"method":"info"}\n' * (COMMANDS + 1),
    ],
)
def test_lines_of_another_shape_are_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_lines(body)


def test_lines_have_a_bound() -> None:
    assert len(decode_lines(b'{"method":"info"}\n' * COMMANDS)) == COMMANDS


OUTCOMES = st.builds(Result, fields=st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2)) | st.builds(
    ApiError, code=st.integers(1, 2**32 - 1), message=st.text(max_size=9)
)


@given(OUTCOMES)
def test_an_outcome_is_read_as_it_was_written(outcome: Outcome) -> None:
    assert decode_outcome(encode_outcome(outcome)) == outcome


@given(st.lists(st.tuples(st.sampled_from(sorted(FULL)), OUTCOMES), max_size=4))
def test_outcomes_are_read_as_they_were_written(outcomes: list[tuple[str, Outcome]]) -> None:
    body = encode_outcomes(outcomes)
    assert decode_outcomes(body, [method for method, _ in outcomes]) == tuple(outcome for _, outcome in outcomes)


@given(st.lists(OUTCOMES, max_size=4))
def test_a_broadcast_has_an_outcome_for_each_channel(outcomes: list[Outcome]) -> None:
    assert scatter(gather(outcomes), len(outcomes)) == tuple(outcomes)
    with pytest.raises(DeliveryFault, match="did not reply to each"):
        scatter(gather(outcomes), len(outcomes) + 1)


PUBLICATION = b'{"publish":{"channel":"a","data":%s}}'
TWICE = b'{"n":[{"m":1,"m":2}]}'


def test_a_command_knows_that_its_text_has_two_readings() -> None:
    for data, doubted in ((b"1", False), (TWICE, True), (b"9223372036854775808", True)):
        publish = decode_command("publish", b'{"channel":"a","data":' + data + b"}")
        assert isinstance(publish, Command)
        assert publish.ambiguous is doubted
    (first, second) = decode_lines(b'{"method":"presence","params":{"channel":"b","channel":"a"}}\n{"method":"info","params":{}}')
    assert first.command == Command(method="presence", params={"channel": "a"}, ambiguous=True)
    assert second.command == Command(method="info", params={})


DOUBTS = [
    (b'{"commands":[%s,%s,null]}', [False, True, None]),
    (b'{"commands":[%s,%s,null],"parallel":false,"unknown":{"a":1,"a":1}}', [False, True, None]),
    (b'{"commands":[],"commands":[%s,%s,{}]}', [True, True, None]),
]


@pytest.mark.parametrize(("template", "doubted"), DOUBTS)
@pytest.mark.parametrize("data", [TWICE, b"9223372036854775808", b"[-9223372036854775809]", b'{"n":' + b"1" * 300 + b"}"])
def test_each_command_of_a_batch_is_doubted_by_itself(template: bytes, doubted: list[bool | None], data: bytes) -> None:
    sound = PUBLICATION % b'{"n":[1,{"m":9223372036854775807}]}'
    commands = decode_batch(template % (sound, PUBLICATION % data)).commands
    assert [command.ambiguous if isinstance(command, Command) else None for command in commands] == doubted


def test_a_command_with_a_doubted_name_is_doubted() -> None:
    (command,) = decode_batch(b'{"commands":[{"info":{"x":1},"info":{}}]}').commands
    assert command == Command(method="info", params={}, ambiguous=True)


def test_an_end_is_kept_if_it_is_the_earlier_one() -> None:
    for own, at, kept in ((None, 5, 5), (0, 5, 5), (9, 5, 5), (4, 5, 4)):
        command = Command(method="subscribe", params={"user": "42", "channel": "a", "expire_at": own})
        assert command.ending(at) == Command(method="subscribe", params={"user": "42", "channel": "a", "expire_at": kept})


def test_the_reply_to_lines_is_lines_with_their_ids() -> None:
    info = Command(method="info", params={})
    lines: list[tuple[Line, Outcome]] = [
        (Line(id=7, command=info), Result(fields={"offset": 1})),
        (Line(id=0, command=BAD_REQUEST), BAD_REQUEST),
    ]
    assert encode_lines(lines) == b'{"id":7,"result":{"offset":1}}\n{"error":{"code":107,"message":"bad request"}}'


def test_replies_look_like_centrifugos() -> None:
    assert encode_outcome(Result(fields={"offset": 1})) == b'{"result":{"offset":1}}'
    assert encode_outcome(BAD_REQUEST) == b'{"error":{"code":107,"message":"bad request"}}'
    assert encode_outcomes([]) == b"{}"
    written = b'{"replies":[{"publish":{}},{"error":{"code":104,"message":"not found"}}]}'
    assert encode_outcomes([("publish", Result(fields={})), ("x", METHOD_NOT_FOUND)]) == written
    assert decode_outcomes(b"{}", []) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Bad Request",
        b"null",
        b"[]",
        b"{}",
        b'{"result":null}',
        b'{"result":[]}',
        b'{"error":{}}',
        b'{"error":{"code":1}}',
        b'{"error":{"code":"1","message":"x"}}',
        b'{"error":{"code":1,"message":null}}',
        b'{"error":"denied","result":{}}',
    ],
)
def test_a_nonsense_reply_is_a_fault(body: bytes) -> None:
    with pytest.raises(DeliveryFault):
        decode_outcome(body)


def test_an_error_beside_a_result_is_an_error() -> None:
    assert decode_outcome(b'{"result":{},"error":{"code":100,"message":"internal"}}') == ApiError(code=100, message="internal")


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"{}",
        b'{"replies":null}',
        b'{"replies":{}}',
        b'{"replies":[null]}',
        b'{"replies":[{}]}',
        b'{"replies":[{"history":{}}]}',
        b'{"replies":[{"publish":null}]}',
        b'{"replies":[{"publish":{}},{"publish":{}}]}',
        b'{"error":{"code":100,"message":"x"}}',
    ],
)
def test_nonsense_replies_are_a_fault(body: bytes) -> None:
    with pytest.raises(DeliveryFault):
        decode_outcomes(body, ["publish"])


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**20) | st.text(max_size=5) | st.just("publish"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["commands", "parallel", "id", *FULL]), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("read", [decode_batch, decode_lines, partial(decode_command, "publish")], ids=["batch", "lines", "command"])
@given(value=_VALUES)
def test_whatever_is_sent_is_read_or_refused(read: Callable[[bytes], object], value: object) -> None:
    with suppress(Malformed):
        assert read(json.dumps(value).encode()) is not None
