"""The expectations of tests, understood: what is asked, with which facts, and what shall come out."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from proxy.policy.checking.plan import Plan, Plans
from proxy.policy.checking.world import Book, meant
from proxy.policy.decision import OPERATIONS, REASONS, RENEWALS, UNCHANGED, Allow, Deny, Request
from proxy.policy.failure import Failed
from proxy.policy.findings import Objection, Position
from proxy.policy.meter import Meter
from proxy.policy.names import BUILTINS
from proxy.policy.operations import equal
from proxy.policy.policy import Policy
from proxy.policy.reading.trials import As, Because, By, Case, Expect, Fail, Given, ServiceCase, Stamps, Test
from proxy.policy.types import describe
from proxy.review.fixtures import Fixtures, constant, object_to, unknown
from proxy.review.wording import quoted, worded
from proxy.wire.methods import METHODS

TIMESTAMP_MS: Final = 0
"""`timestamp_ms` of every test: tests have no clock."""

CLIENT: Final = "client"
"""`client` of every test."""

TRANSPORT: Final = "websocket"
"""`transport` of every test."""

_PEOPLE: Final = (*OPERATIONS, "connect", "rpc", *RENEWALS)
_EXPLAIN: Final = "explain"
_METHODS: Final = (*METHODS, _EXPLAIN)
_NEVER: Final = frozenset(("allowed", "limit"))
_MAPS: Final = frozenset(("meta", "headers", "labels", "tags"))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One request and what shall become of it; `rule`, `reason` and `stamps` are None where the test does not say."""

    at: Position
    text: str
    request: Request
    facts: Fixtures
    effect: Literal["allow", "deny"]
    rule: str | None = None
    reason: str | None = None
    stamps: Mapping[str, object] | None = None

    def met(self, found: Allow | Deny) -> bool:
        """Whether the decision is the expected one."""
        allowed = isinstance(found, Allow)
        if allowed != (self.effect == "allow") or self.rule not in (None, found.rule) or self.reason not in (None, found.reason):
            return False
        return self.stamps is None or (isinstance(found, Allow) and _holds(self.payload(found), self.stamps))

    def payload(self, found: Allow) -> object:
        """What becomes of the payload."""
        return self.request.data if found.data is UNCHANGED else found.data


def every(plans: Plans) -> Iterator[Plan]:
    """All that can be decided, one plan for each operation of each block."""
    for _, operations in plans.channels:
        yield from operations.values()
    yield plans.connect.plan
    yield from (rpc.plan for rpc in plans.rpcs.values())
    for methods in plans.services.values():
        yield from methods.values()


class Reader:
    """Reads the tests of one policy set; what they cannot mean is a finding in the book."""

    def __init__(self, policy: Policy, facts: Fixtures, book: Book) -> None:
        self._policy, self._facts, self._book = policy, facts, book
        plans = [*every(policy.decider.plans)]
        denies = [deny for plan in plans for deny in plan.denies]
        self._rules = {deny.id for deny in denies} | {rule.id for plan in plans for rule in plan.rules}
        self._reasons = {*REASONS, *(deny.reason for deny in denies)} - _NEVER

    def expectations(self, node: Test) -> Iterator[Expectation]:
        """What a test expects, in its order."""
        for case in node.cases:
            yield from self._case(case, self._facts)

    def _case(self, case: Case, facts: Fixtures) -> Iterator[Expectation]:
        if isinstance(case, Fail):
            name = case.fact.text
            if name not in self._policy.facts:
                self._book.note(unknown("fact", name, case.fact.at, self._policy.facts).finding)
            for inner in case.cases:
                yield from self._case(inner, facts.without(name))
            return
        if isinstance(case, ServiceCase) and case.service.text not in self._policy.services:
            self._book.note(unknown("service", case.service.text, case.service.at, self._policy.services).finding)
        for node in case.expectations:
            try:
                yield self._expectation(case, node, facts)
            except Objection as objection:
                self._book.note(objection.finding)

    def _expectation(self, case: As | ServiceCase, node: Expect, facts: Fixtures) -> Expectation:
        _once(node)
        op = _operation(case, node)
        rule = next((clause.rule for clause in node.clauses if isinstance(clause, By)), None)
        reason = next((clause.reason for clause in node.clauses if isinstance(clause, Because)), None)
        stamps = next((clause.value for clause in node.clauses if isinstance(clause, Stamps)), None)
        if rule and rule.value not in self._rules:
            raise unknown("rule", rule.value, rule.at, self._rules)
        if reason and reason.text not in self._reasons:
            raise unknown("reason", reason.text, reason.at, self._reasons)
        return Expectation(
            at=node.at,
            text=_text(case, node),
            request=_request(case, op, node),
            facts=facts,
            effect=node.effect,
            rule=rule.value if rule else None,
            reason=reason.text if reason else None,
            stamps=constant(stamps) if stamps else None,
        )


def user_request(op: str, user: str, channel: str | None, **given: Any) -> Request:  # noqa: ANN401 - JSON
    """A request of a user as tests make it."""
    return Request(op=op, user=user, channel=channel, client=CLIENT, transport=TRANSPORT, timestamp_ms=TIMESTAMP_MS, **given)


def _request(case: As | ServiceCase, op: str, node: Expect) -> Request:
    target = node.target.value if node.target else None
    given: dict[str, Any] = {clause.name.text: _given(clause, op, service=isinstance(case, ServiceCase)) for clause in _givens(node)}
    if isinstance(case, ServiceCase):
        return Request(op=op, service=case.service.text, method=op, channel=target, timestamp_ms=TIMESTAMP_MS, **given)
    if op == "rpc":
        return user_request(op, case.user.value, None, method=target, **given)
    return user_request(op, case.user.value, target, **given)


def _givens(node: Expect) -> Iterable[Given]:
    return (clause for clause in node.clauses if isinstance(clause, Given))


def _once(node: Expect) -> None:
    """Object to what stands twice."""
    seen: set[str] = set()
    for clause in node.clauses:
        name = clause.name.text if isinstance(clause, Given) else type(clause).__name__.lower()
        if name in seen:
            raise object_to("duplicate-name", clause.at, f"{name} stands twice")
        seen.add(name)


def _operation(case: As | ServiceCase, node: Expect) -> str:
    """The operation, once it is one and has a target exactly where it needs one."""
    op = node.operation.text
    service = isinstance(case, ServiceCase)
    known = _METHODS if service else _PEOPLE
    if op not in known:
        raise object_to("unknown-operation", node.operation.at, f'there is no operation "{op}" here', meant(op, known))
    fields, required = behind(op, service=service)
    if node.target is None and required:
        raise object_to("syntax", node.operation.at, f"{op} needs a {fields}", f'write {op} "…"')
    if node.target is not None and not fields:
        raise object_to("syntax", node.target.at, f"{op} has no channel")
    return op


def behind(op: str, *, service: bool) -> tuple[str, bool]:
    """What stands behind an operation, and whether it must."""
    if service and op == _EXPLAIN:
        return "channel", False
    if service:
        method = METHODS[op]
        channels = {"channel", "channels"}
        return "channel" if channels & method.fields.keys() else "", any(channels & {*group} for group in method.required)
    if op in ("connect", "refresh"):
        return "", False
    return "method" if op == "rpc" else "channel", True


def _given(clause: Given, op: str, *, service: bool) -> object:
    name = clause.name.text
    place = f"service {op}" if service else RENEWALS.get(op, op)
    if place not in BUILTINS[name].where or (name == "data" and op in RENEWALS):
        raise object_to("unknown-name", clause.at, f"{op} has no {name}")
    value = constant(clause.value)
    if name == "key" and type(value) is not str:
        raise object_to("wrong-type", clause.value.at, f"key: expected string, found {describe(value)}")
    if name in _MAPS and type(value) is not dict:
        raise object_to("wrong-type", clause.value.at, f"{name}: expected a map, found {describe(value)}")
    if name in _MAPS - {"meta"}:
        for each in value.values():
            if type(each) is not str:
                raise object_to("wrong-type", clause.value.at, f"{name}: expected strings, found {describe(each)}")
    return {key.lower(): each for key, each in value.items()} if name == "headers" else value


def _text(case: As | ServiceCase, node: Expect) -> str:
    who = f"service {case.service.text}" if isinstance(case, ServiceCase) else f"as {quoted(case.user.value)}"
    target = [quoted(node.target.value)] if node.target else []
    return " ".join([who + ":", node.effect, node.operation.text, *target, *map(_clause, node.clauses)])


def _clause(clause: Given | By | Stamps | Because) -> str:
    match clause:
        case Given():
            return f"{clause.name.text} {worded(clause.value)}"
        case By():
            return f"by {quoted(clause.rule.value)}"
        case Stamps():
            return f"stamps {worded(clause.value)}"
        case _:
            return f"because {clause.reason.text}"


def _holds(data: object, members: Mapping[str, object]) -> bool:
    return isinstance(data, dict) and all(name in data and _same(data[name], value) for name, value in members.items())


def _same(one: object, other: object) -> bool:
    try:
        return equal(Meter(), one, other)
    except Failed:
        return False
