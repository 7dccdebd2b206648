"""The command line: one module for each command."""

from collections.abc import Callable

import typer

from proxy.cli import check, decide, dev, evaluate, fmt, serve, test

COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve.serve,
    "dev": dev.dev,
    "check": check.check,
    "fmt": fmt.fmt,
    "test": test.run,
    "decide": decide.decide,
    "eval": evaluate.evaluate,
}


def main() -> None:
    """Run the command that the arguments name."""
    app = typer.Typer(
        name="centrigate",
        help="Decides who may connect, subscribe, publish and call on a Centrifugo server.",
        no_args_is_help=True,
    )
    for name, command in COMMANDS.items():
        app.command(name)(command)
    app()
