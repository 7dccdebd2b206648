"""`replay`: decides the requests of a decision log again, by another policy."""

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from proxy.cli.diff import progressing
from proxy.cli.ending import ending
from proxy.cli.options import taking
from proxy.cli.policies import read, usable
from proxy.review import flips
from proxy.review.flips import Tally
from proxy.review.replay import replay as decide_again


class Failing(enum.StrEnum):
    """What the exit code says."""

    allowed = "newly-allowed"
    denied = "newly-denied"
    any = "any"


_VERDICTS: Final = {Failing.allowed: "newly allowed", Failing.denied: "newly denied"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    log: Annotated[str, typer.Argument(help="The decision log, or - for standard input.")]
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies")
    fail_on: Annotated[list[Failing] | None, typer.Option("--fail-on", help="Exit with 1 where a decision flips so; may be repeated.")] = (
        None
    )
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False


@taking(Asked)
@ending
def replay(asked: Asked) -> None:
    """Decide logged requests again, with the facts of the log, and say what flips: by rule and pattern, with examples."""
    usable(asked.policies, quiet=True)
    files, _ = read(asked.policies)
    with progressing("replaying") as told:
        tally = decide_again(None if asked.log == "-" else Path(asked.log), files, progress=told)
    if asked.as_json:
        typer.echo(json.dumps(flips.as_object(tally), ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False)
        for line in flips.as_lines(tally):
            console.print(line, soft_wrap=True)
    if any(_fails(tally, each) for each in asked.fail_on or ()):
        raise typer.Exit(1)


def _fails(tally: Tally, failing: Failing) -> bool:
    return bool(tally.flips) if failing == Failing.any else any(flip.verdict == _VERDICTS[failing] for flip in tally.flips)
