"""`matrix`: what is allowed on each pattern, in general and to single users."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from proxy.cli.ending import ending
from proxy.cli.fixtures import about
from proxy.cli.policies import usable
from proxy.errors import Malformed
from proxy.review.reaching import table
from proxy.review.reaching.table import Table


@ending
def matrix(
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies"),
    users: Annotated[list[str] | None, typer.Option("--user", help="A table for this user too, with the facts of fixtures.")] = None,
    channels: Annotated[list[str] | None, typer.Option("--channel", help="A row for this channel, instead of all patterns.")] = None,
    fixtures: Annotated[Path | None, typer.Option(help="A file with fixtures, instead of those in the folder.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it for a pull request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say for each pattern and operation whether it is allowed, conditional or denied; schemas and obligations are passed over."""
    if markdown and as_json:
        raise Malformed("--markdown and --json exclude each other")
    policy = usable(policies, quiet=True)
    facts = about(users or (), policy, policies, fixtures)
    found = [*table.tables(policy, users or (), channels or (), facts)]
    if as_json:
        typer.echo(json.dumps({"revision": policy.revision, "tables": [table.as_object(each) for each in found]}, indent=2))
    elif markdown:
        typer.echo("".join(map(table.as_markdown, found)), nl=False)
    else:
        _show(found)


def _show(found: Sequence[Table]) -> None:
    console = Console(highlight=False)
    for place, each in enumerate(found):
        if place:
            console.print()
        for line in table.as_lines(each):
            console.print(line, soft_wrap=True)
