"""`decide`: answers requests from a file, with no I/O besides; the stable seam for other tools."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.ending import SETUP, ending
from proxy.cli.policies import usable
from proxy.review import lines


@ending
def decide(
    requests: Annotated[str, typer.Option(help="A file with one JSON request a line, or - for standard input.")],
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
) -> None:
    """Decide each request and write one JSON answer a line; exit code 2 when a line was malformed."""
    malformed = False
    policy = usable(policies, quiet=True)
    with nullcontext(sys.stdin.buffer) if requests == "-" else Path(requests).open("rb") as stream:
        for line, fine in lines.decide(policy, stream):
            malformed |= not fine
            typer.echo(line)
    if malformed:
        raise typer.Exit(SETUP)
