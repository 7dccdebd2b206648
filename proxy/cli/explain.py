"""`explain`: why a decision is what it is; by fixtures, from the decision log, or by the running service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from proxy.cli.fixtures import given
from proxy.cli.live import ask
from proxy.cli.options import taking
from proxy.cli.policies import SETUP, usable
from proxy.errors import DeliveryFault, Malformed, SetupFault
from proxy.review import explain as telling
from proxy.review import logged
from proxy.review.cases import CLIENT, TIMESTAMP_MS, TRANSPORT
from proxy.review.explain import Explanation, explained, origin, whole
from proxy.review.lines import request, strict
from proxy.review.masks import looked_at
from proxy.review.stated import Stated

_DEFAULTS: Final = {"client": CLIENT, "transport": TRANSPORT, "timestamp_ms": TIMESTAMP_MS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    target: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="The channel; for the operation rpc the method.")] = None
    user: Annotated[str | None, typer.Option(help="Who asks: a user.")] = None
    service: Annotated[str | None, typer.Option(help="Who asks: a service of the policy; --op is then a method of the server API.")] = None
    op: Annotated[str | None, typer.Option(help="The operation, such as subscribe, publish, connect or rpc.")] = None
    members: Annotated[
        str, typer.Option("--request", metavar="JSON", help='More of the request, such as {"data": …, "meta": …, "headers": …}.')
    ] = "{}"
    policies: Annotated[Path, typer.Option(help="The folder with the *.policy files.")] = Path("policies")
    fixtures: Annotated[Path | None, typer.Option(help="A file with fixtures, instead of those in the folder.")] = None
    facts: Annotated[str, typer.Option(metavar="JSON", help='Facts before those of fixtures: {"account(\\"42\\")": …}.')] = "{}"
    log: Annotated[Path | None, typer.Option(help="Explain a decision of this decision log: the last that fits, or --at.")] = None
    at: Annotated[int | None, typer.Option(min=1, help="The line of the log.")] = None
    live: Annotated[bool, typer.Option("--live", help="Ask the running service, with the facts that it has now.")] = False
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8010"
    key: Annotated[str, typer.Option(metavar="VARIABLE", help="The variable that holds the key of a service that may explain.")] = (
        "SERVICE_KEY"
    )
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False


@taking(Asked)
def explain(asked: Asked) -> None:
    """Explain a decision: pattern, every deny and rule with all values, facts, what decided; exit code 1 for a refusal."""
    try:
        told = _told(asked)
        shown = [json.dumps(told, ensure_ascii=False, indent=2)] if asked.as_json else [*telling.as_lines(told)]
    except (SetupFault, DeliveryFault, Malformed, OSError, UnicodeDecodeError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(SETUP) from None
    console = Console(highlight=False)
    for line in shown:
        typer.echo(line) if isinstance(line, str) else console.print(line, soft_wrap=True)
    if told["decision"]["effect"] != "allow":
        raise typer.Exit(1)


def _told(asked: Asked) -> Explanation:
    ways = [asked.live, asked.log is not None, asked.fixtures is not None or asked.facts != "{}"]
    if sum(ways) > 1 or (asked.at and not asked.log):
        raise Malformed("facts come from --live, from --log (with --at), or from --fixtures and --facts")
    if asked.live:
        return _live(asked)
    return _logged(asked, asked.log) if asked.log else _stated(asked)


def _line(asked: Asked) -> dict[str, Any]:
    """The request as the command `decide` reads it; raises `Malformed`."""
    if asked.op is None or (asked.user is None) == (asked.service is None):
        raise Malformed("say who asks for what: --user or --service, and --op")
    more = _object("--request", asked.members)
    who = {"user": asked.user} if asked.service is None else {"service": asked.service, "method": asked.op}
    named = "method" if asked.op == "rpc" and asked.service is None else "channel"
    return {**more, **who, "op": asked.op, **({} if asked.target is None else {named: asked.target})}


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        found = strict(text)
    except Malformed as error:
        raise Malformed(f"{name} is {error}") from None
    if not isinstance(found, dict):
        raise Malformed(f"{name} must be a JSON object")
    return found


def _stated(asked: Asked) -> Explanation:
    policy = usable(asked.policies, quiet=True)
    line = _line(asked)
    asking = request({**(_DEFAULTS if asked.service is None else {"timestamp_ms": TIMESTAMP_MS}), **line})
    facts = Stated(_object("--facts", asked.facts), given(policy, asked.policies, asked.fixtures))
    told = whole(policy, asking, facts)
    notes = [f"{text} was stated but not read" for text in facts.unread(told.found.facts)]
    return explained(asking, told, facts.source, notes=notes)


def _live(asked: Asked) -> Explanation:
    line = _line(asked)
    request(line)
    told: Explanation = ask(asked.url, asked.key, line)
    try:
        [*telling.as_lines(told)]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DeliveryFault("what answered is no service of this version") from None
    return told


def _logged(asked: Asked, log: Path) -> Explanation:
    policy = usable(asked.policies, quiet=True)
    number, entry = _entry(asked, log)
    facts = logged.Recalled(policy.facts, entry)
    told = whole(policy, entry.request, facts)
    notes = [f"line {number} of {log}", *entry.differences(told.found)]
    if unseen := looked_at(policy, entry.request, facts):
        notes.append(f"{unseen}, so that it may have been otherwise")
    return explained(entry.request, told, lambda key: origin(policy.facts[str(key[0])]), entry.at_ms, notes)


def _entry(asked: Asked, log: Path) -> tuple[int, logged.Entry]:
    """The line that is meant, with its number; raises `Malformed`, `OSError`."""
    found = None
    with log.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if asked.at == number:
                return number, logged.read(line)
            if asked.at is None and (entry := _fitting(asked, line)):
                found = number, entry
    if found is None:
        raise Malformed(f"{log} has no such line")
    return found


def _fitting(asked: Asked, line: str) -> logged.Entry | None:
    """The line if it is what the options say; one that cannot be read never is."""
    try:
        entry = logged.read(line)
    except Malformed:
        return None
    made = entry.request
    wanted: Mapping[str, str | None] = {"user": asked.user, "service": asked.service, "op": asked.op}
    same = all(value is None or getattr(made, name) == value for name, value in wanted.items())
    return entry if same and asked.target in (None, made.channel, made.method) else None
