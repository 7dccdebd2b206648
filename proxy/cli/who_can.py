"""`who-can`: who may do something on a channel, and under which condition."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from proxy.cli.ending import ending
from proxy.cli.fixtures import about
from proxy.cli.options import taking
from proxy.cli.policies import named, usable
from proxy.policy.policy import Policy
from proxy.review.reaching import telling
from proxy.review.reaching.entrances import Answer, Query, Via, answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    op: Annotated[str, typer.Argument(help="The operation, such as subscribe, publish, connect or rpc, or a method of the server API.")]
    target: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="The channel; for the operation rpc the method.")] = None
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies")
    via: Annotated[Via | None, typer.Option(help="By one entrance: hooks, tokens or services. Else hooks and services.")] = None
    users: Annotated[list[str] | None, typer.Option("--user", help="As this user, with the facts of fixtures; may be repeated.")] = None
    fixtures: Annotated[Path | None, typer.Option(help="A file with fixtures, instead of those in the folder.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False


@taking(Asked)
@ending
def who_can(asked: Asked) -> None:
    """Say who may do OP on CHANNEL: the rules that can allow it, with what remains of their conditions; exit code 1 for nobody."""
    policy = usable(asked.policies, quiet=True)
    found = _answer(policy, asked)
    if asked.as_json:
        typer.echo(json.dumps(telling.as_object(found), indent=2))
    else:
        console = Console(highlight=False)
        for line in telling.as_lines(found, guests=policy.guests):
            console.print(line, soft_wrap=True)
    if found.nobody:
        raise typer.Exit(1)


def _answer(policy: Policy, asked: Asked) -> Answer:
    users = tuple(asked.users or ())
    facts = about(users, policy, asked.policies, asked.fixtures)
    return answer(policy, named(asked.policies), Query(operation=asked.op, target=asked.target, via=asked.via, users=users), facts)
