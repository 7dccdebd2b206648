"""Decisions as lines of JSON: one request in, one answer out, nothing else read."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from proxy.errors import Malformed
from proxy.policy.decision import OPERATIONS, UNCHANGED, Allow, Deny, FactKey, Known, Lost, Request
from proxy.policy.declared import Fact
from proxy.policy.policy import Policy
from proxy.policy.types import INT_MAX, INT_MIN, Misfit

OPS = frozenset((*OPERATIONS, "connect", "refresh", "sub_refresh", "rpc"))
CHANNELS = frozenset((*OPERATIONS, "sub_refresh"))
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TEXTS = ("user", "service", "channel", "method", "key", "client", "transport", "name", "version")


def strict(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """JSON in UTF-8 without duplicate keys, NaN, infinities and halves of surrogate pairs; raises `Malformed`."""
    try:
        found = json.loads(text.decode() if isinstance(text, bytes) else text, object_pairs_hook=_once, parse_constant=_constant)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeError:
        raise Malformed("no JSON: a text that is not Unicode") from None
    except ValueError as error:
        raise Malformed(f"no JSON: {error}") from None
    except RecursionError:
        raise Malformed("no JSON: too deep") from None
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def wide(value: object) -> bool:
    """Whether a number in the value needs more than 64 bits, so that parsers may read it differently."""
    pending = [value]
    while pending:
        match pending.pop():
            case bool():
                continue
            case int() as number if not INT_MIN <= number <= INT_MAX:
                return True
            case list() as items:
                pending.extend(items)
            case dict() as members:
                pending.extend(members.values())
    return False


def request(line: Mapping[str, Any]) -> Request:
    """The request of one line; raises `Malformed` naming the member at fault."""
    texts = {name: value for name in _TEXTS if (value := line.get(name)) is not None}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise Malformed(f'"{name}" must be a string')
    service, method = line.get("service"), line.get("method")
    op = method if service is not None else line.get("op")
    if service is not None:
        _demand(method is not None, '"method" is missing')
    else:
        _demand(isinstance(op, str) and op in OPS, '"op" must name an operation')
        _demand(line.get("user") is not None, '"user" is missing')
        _demand(op not in CHANNELS or line.get("channel") is not None, '"channel" is missing')
        _demand(op != "rpc" or method is not None, '"method" is missing')
    timestamp = line.get("timestamp_ms")
    _demand(timestamp is None or type(timestamp) is int, '"timestamp_ms" must be an integer')
    return Request(
        op=str(op),
        **texts,
        data=line.get("data"),
        ambiguous=wide(line.get("data")),
        meta=line.get("meta"),
        labels=_texts(line, "labels"),
        headers=_texts(line, "headers"),
        tags=_texts(line, "tags"),
        timestamp_ms=timestamp,
    )


def _demand(fine: bool, message: str) -> None:  # noqa: FBT001 - reads as a condition
    if not fine:
        raise Malformed(message)


def _texts(line: Mapping[str, Any], name: str) -> dict[str, str]:
    found = line.get(name)
    if found is None:
        return {}
    fine = isinstance(found, dict) and all(isinstance(v, str) for v in found.values())
    _demand(fine, f'"{name}" must be a map of strings')
    return dict(found)


def fact_text(key: FactKey) -> str:
    """`name(arguments)` with the arguments as compact JSON, not escaped."""
    name, *arguments = key
    return f"{name}({','.join(map(_COMPACT, arguments))})"


class Given:
    """The facts of one line; one that is neither given nor nullable is lost."""

    def __init__(self, declared: Mapping[str, Fact], given: Mapping[str, object]) -> None:
        self._declared, self._given = declared, given

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as it would come from its source."""
        fact, text = self._declared[str(key[0])], fact_text(key)
        if text not in self._given:
            return Known(value=None) if fact.nullable else Lost(why="not given")
        value = self._given[text]
        if isinstance(value, dict) and set(value) == {"$error"}:
            return Lost(why=str(value["$error"]))
        try:
            return Known(value=fact.fit(value))
        except Misfit as misfit:
            return Lost(why=str(misfit))


def answer(found: Allow | Deny) -> dict[str, object]:
    """A decision as the members of one line; what a rule does not give is absent."""
    facts = [fact_text(key) for key in found.facts]
    if isinstance(found, Deny):
        line: dict[str, object] = {"effect": "deny", "reason": found.reason, "rule": found.rule, "at": found.at, "facts": facts}
        return {k: v for k, v in line.items() if v is not None}
    limit = found.limit
    line = {
        "effect": "allow",
        "reason": found.reason,
        "rule": found.rule,
        "at": found.at or None,
        "tags": found.tags,
        "skip_history": found.skip_history or None,
        "idempotency_key": found.idempotency_key,
        "limit": limit and {"rate": limit.rate, "per_ms": limit.per_ms, "burst": limit.burst, "key": list(limit.key)},
        "expire_ms": found.expire_ms,
        "channels": None if found.channels is None else list(found.channels),
        "facts": facts,
    }
    out = {k: v for k, v in line.items() if v is not None}
    if found.data is not UNCHANGED:
        out["data"] = found.data
    if found.info is not UNCHANGED:
        out["info"] = found.info
    return out


def decide(policy: Policy, lines: Iterable[str | bytes]) -> Iterator[tuple[str, bool]]:
    """One answer a line, and whether the line was well formed; empty lines are passed over."""
    for line in lines:
        if line.strip():
            yield _one(line, lambda found: answer(_decided(policy, found)))


def _decided(policy: Policy, line: Mapping[str, Any]) -> Allow | Deny:
    found = policy.decide(request(line), Given(policy.facts, _facts(line)))
    return cast("Allow | Deny", found)  # every fact is given or lost, so none is asked for


def _facts(line: Mapping[str, Any]) -> Mapping[str, object]:
    given = line.get("facts")
    _demand(given is None or isinstance(given, dict), '"facts" must be an object')
    return given or {}


def _one(line: str | bytes, judge: Callable[[dict[str, Any]], dict[str, object]]) -> tuple[str, bool]:
    try:
        found = strict(line)
        _demand(isinstance(found, dict), "a request is a JSON object")
        return json.dumps(judge(found), ensure_ascii=False), True
    except Malformed as error:
        return json.dumps({"error": str(error)}, ensure_ascii=False), False
