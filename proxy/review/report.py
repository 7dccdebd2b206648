"""What became of tests, for people and for programs."""

import json
from collections.abc import Iterator

from rich.text import Text

from proxy.policy.decision import Allow, Deny
from proxy.policy.reading.render import as_json
from proxy.review import lines, matrix, trace
from proxy.review.trials import Drawn, Failure, Report, Tried
from proxy.review.wording import short, visible


def as_lines(report: Report) -> Iterator[Text]:
    """A line for each test, below it what failed and why, and the summary."""
    for result in report.results:
        mark, style = ("✓", "green") if result.passed else ("✗", "red")
        yield Text.assemble((mark, style), " ", visible(result.title), "  ", (f"{result.at.file}:{result.at.line}", "dim"))
        if not result.passed:
            yield from _details(result)
    yield Text(f"{report.passed} passed, {report.failed} failed", style="red" if report.failed else "green")


def untried(report: Report) -> Iterator[Text]:
    """A line for each gap that the tests leave."""
    for gap in report.gaps:
        place = f"{gap.at}  " if gap.at else ""
        yield Text.assemble((place, "dim"), visible(gap.what), "  ", (gap.lacks, "yellow"))
    yield Text(f"{len(report.gaps)} not tried", style="yellow" if report.gaps else "green")


def as_object(report: Report) -> str:
    """One JSON object: `passed`, `failed`, `tests`, `untried` and `findings`."""
    return json.dumps(
        {
            "passed": report.passed,
            "failed": report.failed,
            "tests": [_entry(result) for result in report.results],
            "untried": [{"what": gap.what, "lacks": gap.lacks, "at": str(gap.at) if gap.at else None} for gap in report.gaps],
            **json.loads(as_json(report.findings)),
        },
        ensure_ascii=False,
        indent=2,
    )


def decided(found: Allow | Deny) -> str:
    """A decision on one line: effect, reason, rule and its place."""
    effect = "allow" if isinstance(found, Allow) else f"deny because {found.reason}"
    rule = f" by {visible(found.rule)}" if found.rule else ""
    at = f" ({found.at})" if found.at else ""
    return f"{effect}{rule}{at}"


def _details(result: Tried | Drawn) -> Iterator[Text]:
    if isinstance(result, Drawn):
        for line in matrix.compared(result.node.expect.value, result.text):
            yield Text(f"  {visible(line)}", style="red" if line.startswith("!") else "")
        return
    for failure in result.failures:
        yield from _failure(failure)


def _failure(failure: Failure) -> Iterator[Text]:
    expectation, found = failure.expectation, failure.found
    yield Text(f"  {expectation.at}  {expectation.text}", style="bold")
    yield Text.assemble("    decided: ", (decided(found), "red"))
    if expectation.stamps is not None and isinstance(found, Allow):
        yield Text(f"    payload: {short(expectation.payload(found))}")
    for line in trace.tree(failure.told):
        yield Text(f"    {line}", style="dim")


def _entry(result: Tried | Drawn) -> dict[str, object]:
    entry: dict[str, object] = {"title": result.title, "file": result.at.file, "line": result.at.line, "passed": result.passed}
    if isinstance(result, Drawn):
        return {**entry, "expected": result.node.expect.value, "drawn": result.text}
    return {**entry, "failures": [_told(failure) for failure in result.failures]}


def _told(failure: Failure) -> dict[str, object]:
    at, found = failure.expectation.at, failure.found
    return {
        "file": at.file,
        "line": at.line,
        "column": at.column,
        "expected": failure.expectation.text,
        "decided": {**lines.answer(found), "facts": trace.facts(found.facts)},
        "trace": trace.members(failure.told),
    }
