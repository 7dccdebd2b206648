"""`check`: says what is wrong with a policy set before it runs."""

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import online
from proxy.cli.policies import SETUP
from proxy.errors import SetupFault
from proxy.policy.findings import Finding
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.render import as_json, as_sarif, as_text, summary
from proxy.stores.folder import read


class Format(enum.StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"


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
    if not policies.is_dir():
        typer.echo(as_text(unread, {}), err=True, nl=False)
        raise typer.Exit(SETUP)
    loaded = load(files)
    findings = [*unread, *loaded.findings]
    if reaching and loaded.policy:
        findings += _tried(loaded.policy, files, policies)
    findings.sort(key=lambda finding: finding.at)
    typer.echo(_render(form, findings, files, policies), nl=form != Format.text)
    if any(finding.severity in ("error", "security") or (strict and finding.severity == "warning") for finding in findings):
        raise typer.Exit(1)


def _tried(policy: Policy, files: Mapping[str, bytes], folder: Path) -> Sequence[Finding]:
    try:
        return online.tried(policy, files, folder)
    except SetupFault as fault:
        typer.echo(fault, err=True)
        raise typer.Exit(SETUP) from None


def _render(form: Format, findings: list[Finding], files: Mapping[str, bytes], policies: Path) -> str:
    match form:
        case Format.json:
            return as_json(findings)
        case Format.sarif:
            return as_sarif(findings, policies.as_posix())
        case _:
            sources = {name: data.decode(errors="replace") for name, data in files.items()}
            return f"{as_text(findings, sources, colours=True)}{len(files)} files: {summary(findings)}\n"
