"""One decision explained: what was asked, which pattern matched, each deny and rule on the way, and the facts with where they come from."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypedDict, cast

from rich.text import Text

from proxy.gate import BLOCKED, ROUNDS, Gate, Source
from proxy.policy.decision import Allow, Deny, FactKey, Facts, Known, Lost, NeedFacts, Request
from proxy.policy.declared import HttpSource, PythonSource, SqlSource
from proxy.policy.policy import Policy
from proxy.review.lines import answer, fact_text, request
from proxy.review.trace import Glance, Trace, drawn, members, trace
from proxy.review.wording import quoted, short, visible

_ASKED: Final = ("op", "user", "service", "channel", "method")
_STYLES: Final = {"allows": "green", "is given": "green", "refuses": "red"}
_GIVEN: Final = ("data", "info", "tags", "skip_history", "idempotency_key", "limit", "expire_ms")

UNLIKE: Final = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What is raised where an explanation is no such thing."""


class Reading(TypedDict):
    """A fact that was read: its value, or in `error` why it was lost; `age_ms` is None where nobody knows how old it is."""

    fact: str
    value: object
    error: str | None
    source: str
    age_ms: int | None


class Explanation(TypedDict):
    """A decision with all that led to it, as JSON; `decision` has the members that the command `decide` writes."""

    request: Mapping[str, object]
    revision: str
    decision: Mapping[str, Any]
    detail: str
    pattern: str | None
    variables: Mapping[str, str | int]
    trace: list[Glance]
    facts: list[Reading]
    channels: Mapping[str, Mapping[str, object]]
    notes: list[str]


class Explainer:
    """Explains what the running service would decide now, with the facts that it has, and loads those that it has not.

    Nothing is counted, limited or logged by it. `clock` gives epoch milliseconds.
    """

    def __init__(self, gate: Gate, clock: Callable[[], int]) -> None:
        self._gate = gate
        self._clock = clock

    async def explain(self, asked: Mapping[str, Any]) -> Explanation:
        """Explain one request, written as the command `decide` reads it, made now unless it says when; raises `Malformed`."""
        asking = request({"timestamp_ms": self._clock(), **asked})
        policy = self._gate.policy
        if self._gate.bars(asking.user):
            told, notes = Trace(found=Deny(reason=BLOCKED, revision=policy.revision)), ["the user is blocked, whatever the policy says"]
        else:
            read = await _read(policy, self._gate.source, asking)
            # In a thread, because a trace of all that a decision may do takes long.
            told, notes = await asyncio.to_thread(whole, policy, asking, read), []
        return explained(asking, told, declared(policy), self._clock(), notes)


class _Read:
    """The facts that were read for a decision, at hand or loaded, by key; any other is lost."""

    def __init__(self, found: Mapping[FactKey, Known | Lost]) -> None:
        self._found = found

    def get(self, key: FactKey, /) -> Known | Lost:
        return self._found.get(key) or Lost(why="not loaded")


class _Reading:
    """Facts that are being read; each keeps the value that it had when it was first looked at."""

    def __init__(self, source: Source) -> None:
        self.found: dict[FactKey, Known | Lost] = {}
        self._source = source

    def get(self, key: FactKey, /) -> Known | Lost | None:
        found = self.found.get(key) or self._source.get(key)
        if found:
            self.found[key] = found
        return found


async def _read(policy: Policy, source: Source, asked: Request) -> _Read:
    """The facts that a decision rests on, loaded in as many rounds as the gate gives it."""
    reading = _Reading(source)
    for _ in range(ROUNDS):
        found = policy.decide(asked, reading)
        if not isinstance(found, NeedFacts):
            break
        reading.found.update(await source.load(found.keys))
    return _Read(reading.found)


def whole(policy: Policy, asked: Request, facts: Facts) -> Trace:
    """The trace of a decision whose facts are all given or lost."""
    return cast("Trace", trace(policy.decider, asked, facts))


def declared(policy: Policy) -> Callable[[FactKey], str]:
    """What says where a fact is loaded from, as the policy has it."""
    return lambda key: _origin(policy.facts[str(key[0])].source)


def explained(
    asked: Request, told: Trace, source: Callable[[FactKey], str], now_ms: int | None = None, notes: Sequence[str] = ()
) -> Explanation:
    """Put an explanation together; `source` says where each fact came from, `now_ms` is the moment that ages are told for."""
    found = told.found
    return Explanation(
        request={name: value for name in _ASKED if (value := getattr(asked, name)) is not None},
        revision=found.revision,
        decision=answer(found),
        detail=found.detail if isinstance(found, Deny) else "",
        pattern=told.pattern or None,
        variables=told.variables,
        trace=members(told),
        facts=[_reading(key, fact, source(key), now_ms) for key, fact in found.facts.items()],
        channels=_channels(found),
        notes=[*notes],
    )


def as_lines(told: Explanation) -> Iterator[Text]:
    """The explanation for people; raises one of `UNLIKE` for an object that is none."""
    yield Text(visible(_asked(told["request"])), style="bold")
    yield from _decided(told)
    if told["pattern"]:
        yield Text.assemble(("pattern ", "dim"), visible(told["pattern"]), *_variables(told["variables"]))
    for look in told["trace"]:
        first, *rest = drawn(look)
        style = _STYLES.get(look["verdict"].partition(":")[0], "")
        yield Text.assemble((first.removesuffix(visible(look["verdict"])), ""), (visible(look["verdict"]), style))
        if look["pattern"]:
            yield Text.assemble("  ", ("on ", "dim"), visible(look["pattern"]), *_variables(look["variables"]))
        yield from (Text(line, style="dim") for line in rest)
    for fact in told["facts"]:
        value = short(fact["value"]) if fact["error"] is None else f"lost: {visible(fact['error'])}"
        age = "" if fact["age_ms"] is None else f", {fact['age_ms'] / 1000:.1f} s old"
        yield Text.assemble(f"fact {visible(fact['fact'])} = {value}", (f"  ({visible(fact['source'])}{age})", "dim"))
    for channel, part in told["channels"].items():
        yield Text.assemble(f"subscribe {visible(channel)}  ", *_verdict(part))
    yield from (Text(f"note: {visible(note)}", style="yellow") for note in told["notes"])


def _origin(source: SqlSource | HttpSource | PythonSource) -> str:
    match source:
        case SqlSource():
            return f"sql {source.database}"
        case HttpSource():
            return f"http {source.remote} GET {source.path}"
        case _:
            return f"python {source.target}"


def _decided(told: Explanation) -> Iterator[Text]:
    decision = told["decision"]
    detail = f" ({visible(told['detail'])})" if told["detail"] else ""
    yield Text.assemble(*_verdict(decision), detail)
    for name in _GIVEN:
        if name in decision:
            yield Text(f"  {name} {short(decision[name])}")


def _verdict(decision: Mapping[str, Any]) -> Iterator[str | tuple[str, str]]:
    allowed = decision["effect"] == "allow"
    yield ("allow", "green") if allowed else (f"deny because {visible(decision['reason'])}", "red")
    if decision.get("rule"):
        yield f" by {visible(decision['rule'])}"
    if decision.get("at"):
        yield f" ({visible(decision['at'])})"


def _asked(asked: Mapping[str, object]) -> str:
    who = f"service {asked['service']}" if "service" in asked else f"user {json.dumps(asked.get('user'), ensure_ascii=False)}"
    target = asked["method"] if asked["op"] == "rpc" and "service" not in asked else asked.get("channel", "")
    return f"{who} {asked['op']} {target}".rstrip()


def _variables(variables: Mapping[str, str | int]) -> Iterator[str]:
    yield from (f"  {name} = {quoted(value)}" for name, value in variables.items())


def _reading(key: FactKey, fact: Known | Lost, source: str, now_ms: int | None) -> Reading:
    known = fact if isinstance(fact, Known) else None
    age = now_ms - known.at_ms if known and known.at_ms and now_ms is not None else None
    return Reading(
        fact=fact_text(key),
        value=known.value if known else None,
        error=fact.why if isinstance(fact, Lost) else None,
        source=source,
        age_ms=age,
    )


def _channels(found: Allow | Deny) -> Mapping[str, Mapping[str, object]]:
    """The subscriptions that a connect brings with it, each with its own decision."""
    if isinstance(found, Deny):
        return {}
    parts: dict[str, Allow | Deny] = {**(found.channels or {}), **(found.left_out or {})}
    return {channel: {name: value for name, value in answer(part).items() if name != "facts"} for channel, part in parts.items()}
