"""`check`: says what is wrong with a policy set before it runs."""

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import online
from proxy.cli.ending import ending
from proxy.cli.policies import read
from proxy.policy.findings import Finding
from proxy.policy.load import load
from proxy.policy.reading.render import as_json, as_sarif, as_text, summary


class Format(enum.StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"


@ending
def check(
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    form: Annotated[Format, typer.Option("--format", help="For people, programs or code hosts.")] = Format.text,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    reaching: Annotated[
        bool, typer.Option("--online", help="Try what the policy and the settings name: databases, queries, addresses, keys, Centrifugo.")
    ] = False,
) -> None:
    """Check the policies: errors and security findings fail (exit code 1), with --strict warnings too.

    With --online the environment and `.env` are read; exit code 2 means that they, or the folder, cannot be.
    """
    files, unread = read(policies)
    loaded = load(files)
    findings = [*unread, *loaded.findings]
    if reaching and loaded.policy:
        findings += online.tried(loaded.policy, files, policies)
    findings.sort(key=lambda finding: finding.at)
    typer.echo(_render(form, findings, files, policies), nl=form != Format.text)
    if any(finding.severity in ("error", "security") or (strict and finding.severity == "warning") for finding in findings):
        raise typer.Exit(1)


def _render(form: Format, findings: list[Finding], files: Mapping[str, bytes], policies: Path) -> str:
    match form:
        case Format.json:
            return as_json(findings)
        case Format.sarif:
            return as_sarif(findings, policies.as_posix())
        case _:
            sources = {name: data.decode(errors="replace") for name, data in files.items()}
            return f"{as_text(findings, sources, colours=True)}{len(files)} files: {summary(findings)}\n"
