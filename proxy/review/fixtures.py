"""The facts of tests: what fixtures give, what is made to fail, and nothing else."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.policy.checking.world import Book, meant
from proxy.policy.decision import FactKey, Known, Lost
from proxy.policy.declared import Fact
from proxy.policy.findings import Enough, Finding, Objection, Position, worst
from proxy.policy.policy import Policy
from proxy.policy.reading.lex import decoded
from proxy.policy.reading.parse import parse_trials
from proxy.policy.reading.syntax import Expression, ListOf, Literal, MapOf, Paren
from proxy.policy.reading.trials import Fixture
from proxy.policy.types import Fit, Misfit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fixtures:
    """The facts at hand; one without a fixture is null where its type allows it, else lost, as the fact named `failing` is."""

    declared: Mapping[str, Fact]
    values: Mapping[FactKey, object]
    failing: str = ""

    def get(self, key: FactKey, /) -> Known | Lost:
        """The fact as it would come from its source."""
        name = str(key[0])
        if name == self.failing:
            return Lost(why="the test makes it fail")
        if key in self.values:
            return Known(value=self.values[key])
        return Known(value=None) if self.declared[name].nullable else Lost(why="there is no fixture")

    def without(self, name: str) -> "Fixtures":
        """These facts, with every read of the one that is named lost."""
        return dataclasses.replace(self, failing=name)


def read(files: Mapping[str, bytes], policy: Policy) -> tuple[Fixtures, tuple[Finding, ...]]:
    """The facts that the fixtures of test files give, and what is wrong with these files."""
    book = Book()
    try:
        nodes = [node for name in sorted(files) for node in _fixtures(name, files[name], book)]
        return gather(nodes, policy, book), tuple(worst(book.findings))
    except Enough as enough:
        return gather((), policy, book), tuple(worst([*book.findings, enough.finding]))


def _fixtures(name: str, raw: bytes, book: Book) -> list[Fixture]:
    try:
        parsed, findings = parse_trials(name, decoded(name, raw))
    except Objection as objection:
        parsed, findings = None, [objection.finding]
    for finding in findings:
        book.note(finding)
    return [trial for trial in parsed.trials if isinstance(trial, Fixture)] if parsed else []


def gather(nodes: Iterable[Fixture], policy: Policy, book: Book) -> Fixtures:
    """The facts that fixtures of a whole policy set give; what does not fit its declaration is a finding in the book."""
    values: dict[FactKey, object] = {}
    places: dict[FactKey, Position] = {}
    for node in nodes:
        try:
            key, value = _fitted(node, policy)
        except Objection as objection:
            book.note(objection.finding)
            continue
        if key in values:
            book.find("duplicate-name", node.at, f"this fixture stands at {places[key]} already")
        values[key] = value
        places.setdefault(key, node.at)
    return Fixtures(declared=policy.facts, values=values)


def constant(node: Expression) -> Any:  # noqa: ANN401 - a JSON value
    """The JSON value that is written; raises `Objection` for an expression that is none."""
    match node:
        case Literal():
            return node.value
        case Paren():
            return constant(node.of)
        case ListOf():
            return [constant(item) for item in node.items]
        case MapOf():
            return _members(node)
    raise object_to("unsupported", node.at, "a test holds values, not expressions", "write the value itself")


def object_to(kind: str, at: Position, message: str, hint: str = "") -> Objection:
    """The objection that a test says what cannot be."""
    return Objection(Finding(id=kind, at=at, message=message, hint=hint))


def unknown(kind: str, name: str, at: Position, known: Iterable[str]) -> Objection:
    """The objection that nothing of this kind has this name."""
    return object_to("unknown-name", at, f'there is no {kind} "{name}"', meant(name, known))


def _members(node: MapOf) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in node.entries:
        if key.value in found:
            raise object_to("duplicate-name", key.at, f'the key "{key.value}" stands twice')
        found[key.value] = constant(value)
    return found


def _fitted(node: Fixture, policy: Policy) -> tuple[FactKey, object]:
    name = node.name.text
    fact = policy.facts.get(name)
    if fact is None:
        raise unknown("fact", name, node.name.at, policy.facts)
    fits = policy.decider.statics.arguments[name]
    if len(fits) != len(node.arguments):
        wanted = ", ".join(fact.parameters) or "nothing"
        raise object_to("bad-fact", node.name.at, f"{name} takes {wanted}; the fixture gives {len(node.arguments)}")
    arguments = (_fit(fit, argument, parameter) for fit, argument, parameter in zip(fits, node.arguments, fact.parameters, strict=True))
    return (name, *arguments), _fit(fact.fit, node.value, name)


def _fit(fit: Fit, node: Expression, what: str) -> object:
    try:
        return fit(constant(node))
    except Misfit as misfit:
        raise object_to("wrong-type", node.at, f"{what}: {misfit}") from None
