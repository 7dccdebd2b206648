"""`explain`: why a decision is what it is; by fixtures, from the decision log, or by the running service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from proxy.cli.ending import ending
from proxy.cli.fixtures import given
from proxy.cli.live import ask
from proxy.cli.options import taking
from proxy.cli.policies import usable
from proxy.errors import DeliveryFault, Malformed
from proxy.review import explain as telling
from proxy.review import logged
from proxy.review.cases import CLIENT, TIMESTAMP_MS, TRANSPORT
from proxy.review.explain import Explanation, explained, whole
from proxy.review.lines import request, strict
from proxy.review.logged import Entry
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
@ending
def explain(asked: Asked) -> None:
    """Explain a decision: pattern, every deny and rule with all values, facts, what decided; exit code 1 for a refusal."""
    told = _told(asked)
    if asked.as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        console = Console(highlight=False)
        for line in telling.as_lines(told):
            console.print(line, soft_wrap=True)
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
    if more.keys() & {"op", "user", "service"}:
        raise Malformed("--request says more, not who asks for what: that is said by --user or --service, and --op")
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
    except telling.UNLIKE:
        raise DeliveryFault("what answered is no service of this version") from None
    return told


def _logged(asked: Asked, log: Path) -> Explanation:
    if asked.members != "{}" or (asked.at and _wanted(asked)):
        raise Malformed("the log has the request: name its line with --at, or say who, --op and channel, but no --request")
    policy = usable(asked.policies, quiet=True)
    number, entry = _entry(asked, log)
    return entry.explained(policy, f"line {number} of {log}")


def _entry(asked: Asked, log: Path) -> tuple[int, Entry]:
    """The line that is meant, with its number; raises `Malformed`, `OSError`."""
    found, wanted = None, _wanted(asked)
    with log.open("rb") as stream:
        for number, line in enumerate(logged.lines(stream), 1):
            if asked.at == number:
                return number, logged.read(line)
            if asked.at is None and (entry := _fitting(wanted, line)):
                found = number, entry
    if found is None:
        raise Malformed(f"{log} has no such line")
    return found


def _wanted(asked: Asked) -> Mapping[str, str]:
    """What the options say of a line."""
    wanted = {"user": asked.user, "service": asked.service, "op": asked.op, "target": asked.target}
    return {name: value for name, value in wanted.items() if value is not None}


def _fitting(wanted: Mapping[str, str], line: bytes) -> Entry | None:
    """The line if it is what is wanted; one that cannot be read never is."""
    try:
        entry = logged.read(line)
    except Malformed:
        return None
    made = entry.request
    had = {"user": (made.user,), "service": (made.service,), "op": (made.op,), "target": (made.channel, made.method)}
    return entry if all(value in had[name] for name, value in wanted.items()) else None
