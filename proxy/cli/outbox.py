"""`outbox status` and `outbox retry`: what waits for Centrifugo and what it refused, while the service runs or not."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proxy import settings
from proxy.cli.ending import ending
from proxy.cli.token import span
from proxy.errors import Malformed, SetupFault
from proxy.stores.outbox import Letter, Numbers, Store
from proxy.stores.outboxes import outbox

Place: TypeAlias = Annotated[str | None, typer.Option("--store", help="Where the outbox stands; else as the service has it.")]

_Given = TypeVar("_Given")


@ending
def status(
    *,
    store: Place = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count what waits and list the latest dead letters; exit code 1 if there are any, 2 for a store that cannot be used."""
    numbers, letters = _asked(store, _look)
    now_ms = time.time_ns() // 1_000_000
    if as_json:
        typer.echo(json.dumps({**asdict(numbers), "letters": [asdict(letter) for letter in letters]}))
    else:
        _show(numbers, letters, now_ms)
    if numbers.dead:
        raise typer.Exit(1)


@ending
def retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID…]", help="The dead letters, by their ids.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    store: Place = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send dead letters again, behind what waits in their channels; exit code 1 if an id is that of none, 2 if nothing could be done."""
    if bool(ids) == every:
        raise Malformed("give the ids of dead letters, or --all")
    chosen = None if every else ids
    found = _asked(store, lambda opened: opened.retry(chosen, time.time_ns() // 1_000_000))
    missing = sorted({*(chosen or ())} - {*found})
    if as_json:
        typer.echo(json.dumps({"retried": found, "missing": missing}))
    else:
        typer.echo(f"{len(found)} sent again" + (f"; no dead letters: {', '.join(map(str, missing))}" if missing else ""))
    if missing:
        raise typer.Exit(1)


COMMANDS: dict[str, Callable[..., None]] = {"status": status, "retry": retry}


async def _look(store: Store) -> tuple[Numbers, Sequence[Letter]]:
    return await store.numbers(), await store.letters()


def _asked(place: str | None, ask: Callable[[Store], Awaitable[_Given]]) -> _Given:
    async def within(store: Store) -> _Given:
        try:
            await store.open()
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(within(outbox(_address(place))))


def _set() -> settings.Secret:
    chosen = settings.read()
    return chosen.hand_over or chosen.store_url


def _address(place: str | None) -> str:
    try:
        url = _set() if place is None else TypeAdapter[settings.Secret](settings.StoreUrl).validate_python(place)
    except ValidationError as error:
        raise SetupFault(f"--store {error.errors()[0]['ctx']['error']}") from None
    address = str(url.get_secret_value())
    file = Path(address.removeprefix("sqlite:///"))
    if address.startswith("sqlite:///") and not file.is_file():
        raise SetupFault(f"there is no outbox in {file}: the service makes it when a service of the policy is durable")
    return address


def _show(numbers: Numbers, letters: Sequence[Letter], now_ms: int) -> None:
    console = Console(highlight=False)
    age = f", the oldest for {span((now_ms - numbers.oldest_ms) // 1000)}" if numbers.oldest_ms is not None else ""
    console.print(f"{numbers.waiting} waiting{age}\n{numbers.dead} dead")
    if not letters:
        return
    table = Table("id", "channel", "age", "attempts", "reason", box=None)
    for letter in letters:
        age = span(max(0, now_ms - letter.accepted_ms) // 1000)
        table.add_row(*map(_plain, (str(letter.id), letter.channel, age, str(letter.attempts), letter.reason)))
    # Nobody who reads it from a file wants it broken into the lines of a terminal.
    Console(highlight=False, width=None if console.is_terminal else 500).print(table)


def _plain(text: str) -> str:
    """Keep what others wrote from steering the terminal or the table."""
    return escape(text if text.isprintable() else repr(text))
