"""`publish`: one publication through a running service, with the key of one of its policy's services."""

import enum
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

import httpx
import typer

from proxy import settings
from proxy.cli.ending import ending
from proxy.errors import DeliveryFault, SetupFault
from proxy.wire.api import ApiError, Command, Outcome, decode_outcome
from proxy.wire.read import ambiguous, parse, refuse
from proxy.wire.write import dump

TIMEOUT_S: Final = 10.0
"""Seconds within which the service has to answer."""


class Delivery(enum.StrEnum):
    """How the publication gets to Centrifugo."""

    direct = "direct"
    durable = "durable"


@ending
def publish(
    message: Annotated[
        tuple[str, str], typer.Argument(metavar="CHANNEL DATA", help="Where to, and what: JSON, or - to read standard input.")
    ],
    *,
    key: Annotated[
        str, typer.Option(metavar="VARIABLE", help="The variable of the environment, or of .env, that holds the key.")
    ] = "SERVICE_KEY",
    url: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:8010",
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A tag; may be repeated.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Whatever is sent with it again is published once.")] = None,
    delivery: Annotated[Delivery | None, typer.Option(help="Another delivery than that of the key's service.")] = None,
) -> None:
    """Publish and print the result; exit code 1 when it is refused, 2 when the service cannot be asked or would not read it."""
    command = _command(message, tag or (), idempotency_key)
    outcome = _asked(f"{url.rstrip('/')}/api/publish{f'?delivery={delivery}' if delivery else ''}", secret(key), command)
    if isinstance(outcome, ApiError):
        typer.echo(f"error {outcome.code}: {outcome.message}", err=True)
        raise typer.Exit(1)
    typer.echo(dump(outcome.fields).decode())


def _command(message: tuple[str, str], tags: Sequence[str], idempotency_key: str | None) -> Command:
    channel, text = message
    raw = sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape")
    params: dict[str, object] = {"channel": channel, "data": parse(raw)}
    if ambiguous(raw):
        refuse("the data", "JSON that has one meaning: each member once, integers of 64 bits")
    if not all("=" in tag for tag in tags):
        refuse("a tag", "NAME=VALUE")
    if tags:
        params["tags"] = dict(tag.split("=", 1) for tag in tags)
    if idempotency_key:
        params["idempotency_key"] = idempotency_key
    return Command(method="publish", params=params)


def secret(variable: str) -> str:
    """Give the key in the variable, of several the first; raises `SetupFault`."""
    key = settings.variables().get(variable, "").partition(",")[0].strip()
    if not key:
        raise SetupFault(f"{variable} is not set: put the key of a service into it, or name another variable with --key")
    if key.startswith("sha256:") or not key.isascii() or not key.isprintable():
        raise SetupFault(f"{variable} holds no key that can be sent: it must be the key itself, not its hash")
    return key


def _asked(address: str, key: str, command: Command) -> Outcome:
    # Not from the environment: a proxy in between would see the key.
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    try:
        answer = httpx.post(address, content=command.encode(), headers=headers, timeout=TIMEOUT_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryFault(f"{address} could not be asked: {type(error).__name__}") from None
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise SetupFault("the service does not know this key")
    if answer.status_code != HTTPStatus.OK:
        raise DeliveryFault(f"the service answered with status {answer.status_code}: {answer.text.strip()[:500]}")
    return decode_outcome(answer.content)
