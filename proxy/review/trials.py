"""Runs the tests that stand beside a policy: no database, no clock, no network."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from proxy.policy.checking.allows import operations
from proxy.policy.checking.world import Book
from proxy.policy.decision import OPERATIONS, Allow, Deny
from proxy.policy.findings import Enough, Finding, Position, worst
from proxy.policy.policy import Policy
from proxy.policy.reading.parse import parse_trials
from proxy.policy.reading.trials import Fixture, Matrix, Test, Trial
from proxy.review import matrix
from proxy.review.cases import Expectation, Reader
from proxy.review.coverage import Coverage, Meter
from proxy.review.fixtures import gather
from proxy.review.trace import Trace, trace


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An expectation that was not met, and the way to the decision."""

    expectation: Expectation
    told: Trace

    @property
    def found(self) -> Allow | Deny:
        """The decision."""
        return self.told.found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A test that ran; it passed unless it has failures."""

    title: str
    at: Position
    failures: tuple[Failure, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all came out as expected."""
        return not self.failures


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A matrix that was drawn."""

    node: Matrix
    text: str

    @property
    def title(self) -> str:
        """What it is called in reports."""
        return "matrix"

    @property
    def at(self) -> Position:
        """Where it stands."""
        return self.node.at

    @property
    def passed(self) -> bool:
        """Whether it is the expected one."""
        return matrix.alike(self.node.expect.value, self.text)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the tests, in the order of files and lines, and what they try; with findings, none was run."""

    results: tuple[Tried | Drawn, ...] = ()
    findings: tuple[Finding, ...] = ()
    coverage: Coverage = dataclasses.field(default_factory=Coverage)

    @property
    def passed(self) -> int:
        """How many tests and matrices passed."""
        return sum(result.passed for result in self.results)

    @property
    def failed(self) -> int:
        """How many did not."""
        return len(self.results) - self.passed

    @property
    def outdated(self) -> Mapping[str, Sequence[tuple[Matrix, str]]]:
        """The matrices that did not pass and what they should say, by file."""
        found: dict[str, list[tuple[Matrix, str]]] = {}
        for result in self.results:
            if isinstance(result, Drawn) and not result.passed:
                found.setdefault(result.at.file, []).append((result.node, result.text))
        return found


def run(policy: Policy, files: Mapping[str, bytes]) -> Report:
    """Runs every `*.test.policy` of a set that loads; fixtures hold for all of them. What a test cannot mean is a finding."""
    book = Book()
    try:
        return _run(policy, files, book)
    except Enough as enough:
        return Report(findings=tuple(worst([*book.findings, enough.finding])))


def _run(policy: Policy, files: Mapping[str, bytes], book: Book) -> Report:
    nodes = [node for name in sorted(files) if name.endswith(".test.policy") for node in _trials(name, files[name], book)]
    facts = gather((node for node in nodes if isinstance(node, Fixture)), policy, book)
    reader = Reader(policy, facts, book)
    tests = [(node, tuple(reader.expectations(node))) for node in nodes if isinstance(node, Test)]
    matrices = [node for node in nodes if isinstance(node, Matrix)]
    for node in matrices:
        operations(node.operations, OPERATIONS, book)
    if book.findings:
        return Report(findings=tuple(worst(book.findings)))
    loose, meter = matrix.loose(policy), Meter(policy)
    results: list[Tried | Drawn] = [_tried(policy, node, expectations, meter) for node, expectations in tests]
    results += (Drawn(node=node, text=matrix.draw(loose, node, facts, meter)) for node in matrices)
    return Report(results=tuple(sorted(results, key=lambda result: result.at)), coverage=meter.coverage())


def _trials(name: str, raw: bytes, book: Book) -> Iterable[Trial]:
    parsed, findings = parse_trials(name, raw.decode())
    book.findings += findings
    return parsed.trials


def _tried(policy: Policy, node: Test, expectations: Iterable[Expectation], meter: Meter) -> Tried:
    failures = (_failure(policy, expectation, meter) for expectation in expectations)
    return Tried(title=node.title.value, at=node.at, failures=tuple(failure for failure in failures if failure))


def _failure(policy: Policy, expectation: Expectation, meter: Meter) -> Failure | None:
    # What is compared is the decision that the service would take; how it comes about is then watched.
    # Every fact is given or lost, so that none is asked for.
    found = cast("Allow | Deny", policy.decide(expectation.request, expectation.facts))
    told = cast("Trace", trace(policy.decider, expectation.request, expectation.facts, meter.watch))
    meter.note(found)
    return None if expectation.met(found) else Failure(expectation=expectation, told=told)
