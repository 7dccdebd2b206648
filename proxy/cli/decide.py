"""`decide`: answers requests from a file, with no I/O besides; the stable seam for other tools."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.policies import SETUP, usable
from proxy.errors import SetupFault
from proxy.review import lines


def decide(
    requests: Annotated[str, typer.Option(help="A file with one JSON request a line, or - for standard input.")],
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
) -> None:
    """Decide each request and write one JSON answer a line; exit code 2 when a line was malformed."""
    malformed = False
    try:
        policy = usable(policies, quiet=True)
        with nullcontext(sys.stdin) if requests == "-" else Path(requests).open(encoding="utf-8", newline="\n") as stream:
            for line, fine in lines.decide(policy, stream):
                malformed |= not fine
                typer.echo(line)
    except (SetupFault, OSError, UnicodeDecodeError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(SETUP) from None
    if malformed:
        raise typer.Exit(SETUP)
