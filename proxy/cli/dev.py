"""`centrigate dev`: Centrifugo, the service with the demo policy, and the scenario."""

import logging
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from proxy.cli import server
from proxy.cli.ending import ending
from proxy.errors import SetupFault


@ending
def dev(
    *,
    once: Annotated[bool, typer.Option("--once", help="Play the scenario, then stop; the exit code tells how it went.")] = False,
    attach: Annotated[bool, typer.Option("--attach", help="Start no Centrifugo: use that at CENTRIGATE_CENTRIFUGO_URL.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the service, instead of CENTRIGATE_PORT.", min=0, max=65535)] = None,
    centrifugo_port: Annotated[int, typer.Option(help="Port of Centrifugo; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Start Centrifugo and the service with the demo policy, play a scenario with real clients, and stay up for the demo page."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        # Its clients are not installed where only the service runs.
        from proxy.demo.dev import Options, run  # noqa: PLC0415

        options = Options(once=once, attach=attach, port=port, centrifugo_port=centrifugo_port)
        played = uvloop.run(run(options, server, Console()))
    except ModuleNotFoundError as missing:
        raise SetupFault(f"{missing.name} is not installed: install centrigate[demo]") from None
    raise typer.Exit(0 if played else 1)
