"""`fmt`: lays policy files out anew."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.ending import ending
from proxy.cli.policies import read
from proxy.policy.findings import Finding, Objection
from proxy.policy.reading.format import format_text
from proxy.policy.reading.lex import decoded
from proxy.policy.reading.render import as_text


@ending
def fmt(
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where a file would change.")] = False,
) -> None:
    """Format the policies in place; exit code 1 for files that cannot be read or, with --check, would change."""
    files, findings = read(policies)
    faults = [finding for finding in findings if finding.at.file.endswith(".policy")]
    changed = dict(_changed(files, faults))
    for name, text in changed.items():
        typer.echo(f"{name} would change" if check else f"{name} changed")
        if not check:
            _write((policies / name).resolve(), text)
    sources = {name: data.decode(errors="replace") for name, data in files.items()}
    typer.echo(as_text(faults, sources, colours=True), err=True, nl=False)
    if faults or (check and changed):
        raise typer.Exit(1)


def _changed(files: Mapping[str, bytes], faults: list[Finding]) -> Iterator[tuple[str, str]]:
    """Give the new text of each file that changes; those that do not parse become faults."""
    for name in (name for name in files if name.endswith(".policy")):
        try:
            text = format_text(name, decoded(name, files[name]))
        except Objection as objection:
            faults.append(objection.finding)
        else:
            if text.encode() != files[name]:
                yield name, text


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that no reader sees half of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    shutil.copymode(path, fresh)
    fresh.replace(path)
