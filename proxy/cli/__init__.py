"""The command line: one module for each command."""

import typer

from proxy.cli.check import check
from proxy.cli.decide import decide
from proxy.cli.dev import dev
from proxy.cli.evaluate import evaluate
from proxy.cli.fmt import fmt
from proxy.cli.serve import serve


def main() -> None:
    """Run the command that the arguments name."""
    app = typer.Typer(
        name="centrigate", help="Decides who may connect, subscribe, publish and call on a Centrifugo server.", no_args_is_help=True
    )
    for name, command in (("serve", serve), ("dev", dev), ("check", check), ("fmt", fmt), ("decide", decide), ("eval", evaluate)):
        app.command(name)(command)
    app()
