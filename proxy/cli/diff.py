"""`diff`: what another version of the policy would decide otherwise."""

import enum
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from proxy.cli.ending import ending
from proxy.cli.options import taking
from proxy.errors import Malformed, SetupFault
from proxy.policy.load import load
from proxy.policy.reading.render import as_text, summary
from proxy.review import flips, revisions
from proxy.review.comparing import telling
from proxy.review.comparing.changes import Comparison, Kind, Version
from proxy.review.comparing.compare import Beyond, compare
from proxy.review.comparing.units import Pair
from proxy.review.comparing.witness import Witness
from proxy.review.flips import Tally
from proxy.review.replay import replay
from proxy.stores import folder


class Format(enum.StrEnum):
    """How the comparison is printed."""

    text = "text"
    markdown = "markdown"
    json = "json"


class Failing(enum.StrEnum):
    """What the exit code says."""

    allowed = "newly-allowed"
    denied = "newly-denied"
    loosened = "loosened"
    any = "any"


_KINDS: Final[dict[Failing, frozenset[Kind]]] = {
    Failing.allowed: frozenset(("newly allowed", "not compared")),
    Failing.denied: frozenset(("newly denied", "not compared")),
    Failing.loosened: frozenset(("loosened", "not compared")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    old: Annotated[str, typer.Argument(help="The policy as it was: a folder, or a revision of git such as main.")]
    new: Annotated[str, typer.Argument(help="The policy as it shall be, likewise.")]
    path: Annotated[str, typer.Option(help="The folder with the *.policy files inside of a revision.")] = "policies"
    fail_on: Annotated[
        list[Failing] | None, typer.Option("--fail-on", help="Exit with 1 where this is found, or cannot be ruled out; may be repeated.")
    ] = None
    log: Annotated[Path | None, typer.Option(help="A decision log: say how many of its decisions flip, by rule.")] = None
    form: Annotated[Format | None, typer.Option("--format", help="For a terminal, a pull request, or programs.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False


@taking(Asked)
@ending
def diff(asked: Asked) -> None:
    """Say what NEW decides otherwise than OLD: who gains, who loses, with a request for each that both decide so."""
    form = _format(asked)
    old, new = _version(asked.old, asked.path), _version(asked.new, asked.path)
    with progressing("comparing") as told:
        found = compare(old, new, told, _beyond(old, new))
    with progressing("replaying") as told:
        tally = replay(asked.log, new.files, old.files, progress=told) if asked.log else None
    _show(found, tally, form)
    if any(_fails(found, each) for each in asked.fail_on or ()):
        raise typer.Exit(1)


def _beyond(old: Version, new: Version) -> Beyond:
    """The solver, where it is installed."""
    if find_spec("z3") is None:
        return lambda _pair: None

    def ask(pair: Pair) -> Sequence[Witness] | None:
        # It is large, and few comparisons need it.
        from proxy.review.proving.gap import Gap  # noqa: PLC0415

        return Gap(old, new).witnesses(pair)

    return ask


def _format(asked: Asked) -> Format:
    if asked.as_json and asked.form not in (None, Format.json):
        raise Malformed("--json and another --format exclude each other")
    return Format.json if asked.as_json else asked.form or Format.text


def _fails(found: Comparison, failing: Failing) -> bool:
    return bool(found.kinds) if failing == Failing.any else bool(found.kinds & _KINDS[failing])


def _version(name: str, path: str) -> Version:
    """The policy of a folder or revision; its findings are not the question here, but for those that keep it from loading."""
    if Path(name).is_dir():
        files, unread = folder.read(Path(name))
    else:
        files, unread = revisions.read(name, path, Path.cwd()), ()
    loaded = load(files)
    errors = [*unread, *(finding for finding in loaded.findings if finding.severity == "error")]
    if loaded.policy is None or unread:
        sources = {each: text.decode(errors="replace") for each, text in files.items()}
        typer.echo(as_text(errors, sources, colours=sys.stderr.isatty()), err=True, nl=False)
        raise SetupFault(f"the policy of {name} cannot be used: {summary(errors)}")
    return Version(policy=loaded.policy, files=files)


def _show(found: Comparison, tally: Tally | None, form: Format) -> None:
    match form:
        case Format.json:
            told = telling.as_object(found) | ({"log": flips.as_object(tally)} if tally else {})
            typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        case Format.markdown:
            typer.echo(telling.as_markdown(found), nl=False)
            if tally:
                typer.echo(flips.as_markdown(tally), nl=False)
        case _:
            console = Console(highlight=False)
            for line in (*telling.as_lines(found), *(flips.as_lines(tally) if tally else ())):
                console.print(line, soft_wrap=True)


@contextmanager
def progressing(word: str) -> Iterator[Callable[[int, int], None]]:
    """Give what is to be told how much is done, and of how much; it is shown on standard error where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(word, total=None)
        yield lambda done, every: shown.update(task, completed=done, total=every)
