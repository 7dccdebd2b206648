"""Centrifugo's server API: commands in from backends and out to Centrifugo, replies the other way.

A command is never passed on as it came: it is read into the fields of its method and written again from them, so that no two parsers
can read one envelope differently. What Centrifugo answers with error 104 or 107 is an `ApiError` here, what it answers with status 400
is `Malformed`. A nonsense reply of Centrifugo's is a `DeliveryFault`. Source: 6.9.1; the same in 5.4.9, which lacks some fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import orjson

from proxy.errors import DeliveryFault, Malformed
from proxy.wire.codes import ErrorCode
from proxy.wire.methods import METHODS, count
from proxy.wire.read import ambiguous, decoded, document, parse, refuse
from proxy.wire.readings import doubts
from proxy.wire.write import dump

COMMANDS: Final = 10_000
"""Commands in one batch."""

STATUSES: Final[Mapping[int, int]] = {
    ErrorCode.UNKNOWN_CHANNEL: HTTPStatus.NOT_FOUND,
    ErrorCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    ErrorCode.METHOD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    ErrorCode.NOT_AVAILABLE: HTTPStatus.BAD_REQUEST,
    ErrorCode.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.UNRECOVERABLE_POSITION: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
}
"""The status of each error in the error mode `transport`, 500 for others. 103 and 111 are ours: Centrifugo's API does not give them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A call of one method with its checked fields; raises `Malformed` if the method, a field or a requirement is wrong."""

    method: str
    params: Mapping[str, object]
    ambiguous: bool = False
    """Whether the text that it was read from has two readings; such a command never goes out."""

    def __post_init__(self) -> None:
        known = METHODS.get(self.method)
        if known is None:
            refuse("method", "one of the server API's")
        object.__setattr__(self, "params", known.read(dict(self.params)))
        if not known.complete(self.params):
            refuse(self.method, "given all that it requires")

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels it is about: of a broadcast, all of them."""
        many: Any = self.params.get("channels", ())
        return (str(self.params["channel"]),) if "channel" in self.params else tuple(many)

    def encode(self) -> bytes:
        """Write the body of a request to `/api/METHOD`; raises `Fault` for what is not JSON."""
        return dump(self.params)

    def ending(self, at: int) -> "Command":
        """Give the same command with an end, in epoch seconds, unless it has an earlier one; 0 is none."""
        own: Any = self.params.get("expire_at") or at
        return Command(method=self.method, params={**self.params, "expire_at": min(own, at)}, ambiguous=self.ambiguous)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiError:
    """The server API's "no" to one command."""

    code: int
    message: str

    def members(self) -> dict[str, object]:
        """Give the reply as a JSON object."""
        return {"error": {"code": self.code, "message": self.message}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The server API's "yes" to one command, with what it found out."""

    fields: Mapping[str, object]

    def members(self) -> dict[str, object]:
        """Give the reply as a JSON object."""
        return {"result": self.fields}


Outcome: TypeAlias = Result | ApiError

METHOD_NOT_FOUND: Final = ApiError(code=ErrorCode.METHOD_NOT_FOUND, message="not found")
BAD_REQUEST: Final = ApiError(code=ErrorCode.BAD_REQUEST, message="bad request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Commands in order; one that Centrifugo would refuse unread is its error already. `parallel` gives up their order."""

    commands: tuple[Command | ApiError, ...]
    parallel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command of a call without a method in its path; `id` comes back in its reply, 0 is none."""

    id: int
    command: Command | ApiError


def decode_command(method: str, body: bytes) -> Command | ApiError:
    """Read the body of a call of `method`; raises `Malformed`."""
    return _command(method, parse(body), doubted=ambiguous(body))


def decode_batch(body: bytes) -> Batch:
    """Read the body of a `batch` call; raises `Malformed`.

    A null command gets error 107, which in parallel ends the whole process of Centrifugo 5.4.9; so does one that names two methods.
    """
    fields = document(body)
    commands = [] if fields.get("commands") is None else fields["commands"]
    parallel = False if fields.get("parallel") is None else fields["parallel"]
    if type(commands) is not list or len(commands) > COMMANDS:
        refuse("commands", f"a list of at most {COMMANDS} objects")
    if type(parallel) is not bool:
        refuse("parallel", "true or false")
    return Batch(commands=tuple(map(_item, commands, doubts(body, "commands", len(commands)))), parallel=parallel)


def decode_lines(body: bytes) -> tuple[Line, ...]:
    """Read the body of a call without a method in its path: one `{"method", "params"}` a line; raises `Malformed`.

    That includes an unknown method, which Centrifugo answers with status 400 here. It reads methods in any case, and answers a command
    of the wrong shape with error 107.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    if not 0 < len(lines) <= COMMANDS:
        refuse("the body", f"1 to {COMMANDS} lines of JSON")
    return tuple(map(_line, lines))


def encode_batch(commands: Sequence[Command], *, parallel: bool) -> bytes:
    """Write the body of a `batch` call; in parallel, a channel that occurs twice loses its order."""
    return dump({"parallel": parallel, "commands": [{command.method: command.params} for command in commands]})


def encode_outcome(outcome: Outcome) -> bytes:
    """Write the reply to one command."""
    return dump(outcome.members())


def encode_error(error: ApiError) -> bytes:
    """Write an error alone, which is the body in the error mode `transport`."""
    return dump(error.members()["error"])


def encode_outcomes(outcomes: Sequence[tuple[str, Outcome]]) -> bytes:
    """Write the reply to a batch, from each command's method and outcome."""
    replies = [{method: outcome.fields} if isinstance(outcome, Result) else outcome.members() for method, outcome in outcomes]
    return dump({"replies": replies} if replies else {})


def encode_lines(outcomes: Sequence[tuple[Line, Outcome]]) -> bytes:
    """Write the reply to a call without a method in its path: one reply a line."""
    return b"\n".join(dump(({"id": line.id} if line.id else {}) | outcome.members()) for line, outcome in outcomes)


def gather(outcomes: Sequence[Outcome]) -> Result:
    """Make the result of a broadcast from the outcome of each channel."""
    return Result(fields={"responses": [outcome.members() for outcome in outcomes]})


def decode_outcome(body: bytes) -> Outcome:
    """Read Centrifugo's reply to one command; raises `DeliveryFault`."""
    return _outcome(_reply(body), "result")


def decode_outcomes(body: bytes, methods: Sequence[str]) -> tuple[Outcome, ...]:
    """Read Centrifugo's reply to a batch of these methods; raises `DeliveryFault`, also for another number of replies."""
    return _outcomes(_reply(body).get("replies", []), methods)


def scatter(result: Result, count: int) -> tuple[Outcome, ...]:
    """Read the outcome of each channel from the result of a broadcast to `count` channels; raises `DeliveryFault`."""
    return _outcomes(result.fields.get("responses", []), ["result"] * count)


def _command(method: str, params: object, *, doubted: bool) -> Command | ApiError:
    known = METHODS.get(method)
    if known is None:
        return METHOD_NOT_FOUND
    given = {} if params is None else params
    if type(given) is not dict:
        refuse(method, "given an object")
    plain = _plain(given)
    if plain is not None and known.complete(plain):
        return Command(method=method, params=plain, ambiguous=doubted)
    # A wrong type is no lack, however empty its value.
    known.read(given)
    return BAD_REQUEST


def _item(item: object, doubted: bool) -> Command | ApiError:  # noqa: FBT001 - mapped over
    if item is None:
        return BAD_REQUEST
    if type(item) is not dict:
        refuse("a command", "an object")
    named = [method for method in item if method in METHODS and item[method] is not None]
    if not named:
        return METHOD_NOT_FOUND
    return _command(named[0], item[named[0]], doubted=doubted) if len(named) == 1 else BAD_REQUEST


def _line(raw: bytes) -> Line:
    fields = parse(raw)
    if fields is None:
        return Line(id=0, command=BAD_REQUEST)
    if type(fields) is not dict:
        refuse("a line", "an object")
    method: Any = fields.get("method")
    if type(method) is not str or method.lower() not in METHODS:
        refuse("method", "one of the server API's")
    number = count("id", fields.get("id") or 0)
    if "params" not in fields and method.lower() != "info":
        return Line(id=number, command=BAD_REQUEST)
    try:
        return Line(id=number, command=_command(method.lower(), fields.get("params"), doubted=ambiguous(raw)))
    except Malformed:
        return Line(id=number, command=BAD_REQUEST)


def _plain(params: dict[str, Any]) -> dict[str, Any] | None:
    """Put what came as base64 in place of `data` and `info`; None if it is given both ways or is no JSON of one meaning."""
    for name in ("data", "info"):
        encoded = params.get(f"b64{name}")
        if encoded is None or encoded == "":
            continue
        if type(encoded) is not str:
            refuse(f"b64{name}", "a string")
        try:
            raw = decoded(encoded)
            value = parse(raw)
        except Malformed:
            return None
        if params.get(name) is not None or ambiguous(raw):
            return None
        params = {**params, name: value}
    return params


def _reply(body: bytes) -> dict[str, Any]:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        reply = None
    if type(reply) is not dict:
        message = "Centrifugo's reply is not a JSON object"
        raise DeliveryFault(message)
    return reply


def _outcomes(replies: object, members: Sequence[str]) -> tuple[Outcome, ...]:
    if type(replies) is not list or len(replies) != len(members) or not all(type(reply) is dict for reply in replies):
        message = f"Centrifugo did not reply to each of {len(members)} commands"
        raise DeliveryFault(message)
    return tuple(map(_outcome, replies, members))


def _outcome(reply: dict[str, Any], member: str) -> Outcome:
    match reply:
        case {"error": {"code": int(code), "message": str(text)}}:
            return ApiError(code=code, message=text)
        case _ if type(reply.get(member)) is dict and "error" not in reply:
            return Result(fields=reply[member])
    message = "Centrifugo's reply has neither a result nor an error"
    raise DeliveryFault(message)
