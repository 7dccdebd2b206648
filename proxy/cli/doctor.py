"""`doctor`: says where a configuration of Centrifugo lets clients past the policy, or keeps its hooks from being asked."""

import asyncio
import enum
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer
from dotenv import dotenv_values

from proxy import settings
from proxy.cli.ending import ending
from proxy.cli.policies import usable
from proxy.errors import SetupFault
from proxy.policy.policy import Policy
from proxy.review.doctor import document
from proxy.review.doctor.document import Document
from proxy.review.doctor.examine import chart, examine
from proxy.review.doctor.findings import Finding, as_json, as_sarif, as_text
from proxy.review.doctor.pair import Measured, pair
from proxy.review.doctor.visit import visit
from proxy.review.doctor.vocabulary import Version
from proxy.tokens.keys import keyring


class Format(enum.StrEnum):
    """How findings are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"


Release = Annotated[int | None, typer.Option(min=5, max=6, help="For which Centrifugo the file is; else its keys tell.")]


@ending
def doctor(
    centrifugo: Annotated[Path, typer.Option(help="The configuration: JSON, YAML or TOML.")] = Path("centrifugo-config.json"),
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    centrifugo_version: Release = None,
    env_file: Annotated[Path | None, typer.Option(help="A file with the CENTRIFUGO_* variables, which win over the configuration.")] = None,
    form: Annotated[Format, typer.Option("--format", help="For people, programs or code hosts.")] = Format.text,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Probe the running pair too; both are found by the settings of the service.")
    ] = False,
) -> None:
    """Compare the configuration with the policy; exit code 1 for errors and security findings, 2 for what cannot be compared."""
    chosen = cast("Version | None", centrifugo_version)
    file, policy, given = opened(centrifugo), usable(policies, quiet=True), _variables(env_file)
    found = [*examine(file, policy, chosen, given)]
    seen = _visited(file, policy, chosen, given) if live else Measured(findings=(), times_ms={})
    findings = [*found, *seen.findings]
    typer.echo(_render(form, findings, str(centrifugo), seen.times_ms), nl=form != Format.text)
    if any(each.grave for each in findings):
        raise typer.Exit(1)


def opened(file: Path) -> Document:
    """Read a configuration; raises `OSError` for a file that is not there, `Malformed` for one that is none."""
    return document.read(str(file), file.read_bytes())


def _variables(file: Path | None) -> Mapping[str, str] | None:
    if file is None:
        return None
    if not file.is_file():
        raise SetupFault(f"{file} cannot be used: it is no file")
    try:
        return {name: value for name, value in dotenv_values(file, interpolate=False).items() if value is not None}
    except UnicodeDecodeError:
        raise SetupFault(f"{file} is not UTF-8 text") from None


def _visited(file: Document, policy: Policy, chosen: Version | None, given: Mapping[str, str] | None) -> Measured:
    found, ready = chart(file, chosen, given)[0], settings.read()
    return asyncio.run(visit(pair(ready, found, keyring(ready)[0]), found, policy))


def _render(form: Format, findings: list[Finding], file: str, times_ms: Mapping[str, float]) -> str:
    match form:
        case Format.json:
            told = json.loads(as_json(findings, file)) | ({"times_ms": dict(times_ms)} if times_ms else {})
            return json.dumps(told, ensure_ascii=False, indent=2)
        case Format.sarif:
            return as_sarif(findings, file)
        case _:
            measured = "".join(f"{name} took {taken:.1f} ms\n" for name, taken in times_ms.items())
            count = f"{len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}"
            return f"{as_text(findings, file)}{measured}{count}\n"
