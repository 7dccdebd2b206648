"""What became of tests, for people and for programs."""

import json
from collections.abc import Iterator

from rich.text import Text

from proxy.policy.decision import Allow, Deny
from proxy.policy.reading.render import as_json
from proxy.review import lines, matrix, trace
from proxy.review.coverage import Coverage
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


def tried(coverage: Coverage) -> Iterator[Text]:
    """A line for each condition with its counts and for each fact, below them what was not tried, and the part that was."""
    for each in coverage.conditions:
        counts = f"true {each.true}, false {each.false}, error {each.error}"
        yield Text.assemble((f"{each.at}  ", "dim"), visible(each.what), "  ", (counts, "yellow" if each.lacks else "dim"))
    for fact in coverage.facts:
        yield Text.assemble(f"fact {fact.name}  ", (f"read {fact.reads}, failed {fact.failures}", "yellow" if fact.lacks else "dim"))
    for gap in coverage.gaps:
        place = f"{gap.at}  " if gap.at else ""
        yield Text.assemble(("not tried  ", "yellow"), (place, "dim"), visible(gap.what), "  ", (gap.lacks, "yellow"))
    met, goals = coverage.goals
    yield Text(f"{coverage.percent:g} % tried: {met} of {goals}", style="yellow" if coverage.gaps else "green")


def counted(coverage: Coverage) -> dict[str, object]:
    """The coverage as JSON."""
    return {
        "percent": coverage.percent,
        "conditions": [
            {"what": each.what, "at": str(each.at), "true": each.true, "false": each.false, "error": each.error}
            for each in coverage.conditions
        ],
        "rules": [{"rule": each.id, "at": f"{each.at.file}:{each.at.line}", "decides": each.decides} for each in coverage.rulings],
        "facts": [{"fact": each.name, "reads": each.reads, "failures": each.failures} for each in coverage.facts],
    }


def as_object(report: Report) -> str:
    """One JSON object: `passed`, `failed`, `tests`, `coverage`, `untried` and `findings`."""
    gaps = report.coverage.gaps
    return json.dumps(
        {
            "passed": report.passed,
            "failed": report.failed,
            "tests": [_entry(result) for result in report.results],
            "untried": [{"what": gap.what, "lacks": gap.lacks, "at": str(gap.at) if gap.at else None} for gap in gaps],
            "coverage": counted(report.coverage),
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
