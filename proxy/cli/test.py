"""`test`: runs the tests that stand beside a policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from proxy.cli.ending import ending
from proxy.cli.policies import read
from proxy.policy.load import load
from proxy.policy.reading.render import as_text, summary
from proxy.review import matrix, report, trials
from proxy.review.page import page
from proxy.review.trials import Report


@ending
def run(
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    *,
    coverage: Annotated[bool, typer.Option("--coverage", help="Count what tests try: conditions, rules, failures of facts.")] = False,
    threshold: Annotated[float | None, typer.Option(min=0, max=100, help="Fail when less than so many percent are tried.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the policy with its counts as a page.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Write into the files what their matrices really are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the tests of the policies; exit code 1 when a test fails, too little is tried, or policies or tests have errors."""
    files, unread = read(policies)
    found = _results(files) if not unread else Report(findings=unread)
    if update and found.outdated:
        files = {**files, **_updated(policies, files, found)}
        found = _results(files)
    if as_json:
        typer.echo(report.as_object(found))
    else:
        _show(found, files, coverage=coverage or threshold is not None)
    if html and not found.findings:
        html.write_text(page(files, found.coverage), encoding="utf-8")
    low = threshold is not None and found.coverage.percent < threshold
    if low and not found.findings:
        typer.echo(f"{found.coverage.percent:g} % is less than {threshold:g} %", err=True)
    if found.findings or found.failed or low:
        raise typer.Exit(1)


def _results(files: Mapping[str, bytes]) -> Report:
    loaded = load(files)
    if loaded.policy is None:
        return Report(findings=tuple(finding for finding in loaded.findings if finding.severity == "error"))
    return trials.run(loaded.policy, files)


def _updated(policies: Path, files: Mapping[str, bytes], found: Report) -> Mapping[str, bytes]:
    """Write the files whose matrices are out of date and give their new content."""
    changed = {name: matrix.rewrite(files[name].decode(), changes).encode() for name, changes in found.outdated.items()}
    for name, content in changed.items():
        (policies / name).write_bytes(content)
        typer.echo(f"{name} changed", err=True)
    return changed


def _show(found: Report, files: Mapping[str, bytes], *, coverage: bool) -> None:
    if found.findings:
        sources = {name: content.decode(errors="replace") for name, content in files.items()}
        typer.echo(f"{as_text(found.findings, sources, colours=True)}{summary(found.findings)}")
        return
    console = Console(highlight=False)
    for line in (*report.as_lines(found), *(report.tried(found.coverage) if coverage else ())):
        console.print(line, soft_wrap=True)
