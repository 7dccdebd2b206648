"""The command line: one module for each command."""

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import cast

import typer

from proxy.cli import (
    check,
    config,
    decide,
    dev,
    diff,
    doctor,
    evaluate,
    explain,
    fmt,
    key,
    matrix,
    outbox,
    prove,
    publish,
    replay,
    serve,
    sign,
    test,
    token,
    who_can,
)

COMMANDS: dict[str, Callable[..., None]] = {
    "serve": serve.serve,
    "dev": dev.dev,
    "check": check.check,
    "fmt": fmt.fmt,
    "test": test.run,
    "decide": decide.decide,
    "eval": evaluate.evaluate,
    "doctor": doctor.doctor,
    "explain": explain.explain,
    "who-can": who_can.who_can,
    "matrix": matrix.matrix,
    "diff": diff.diff,
    "replay": replay.replay,
    "prove": prove.prove,
    "publish": publish.publish,
    "sign": sign.sign,
}
GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "token": token.COMMANDS,
    "outbox": outbox.COMMANDS,
    "key": key.COMMANDS,
    "config": config.COMMANDS,
}
"""Commands of two words."""


def main() -> None:
    """Run the command that the arguments name; what a terminal cannot show is told to it escaped."""
    for stream in (sys.stdout, sys.stderr):
        cast("TextIOWrapper", stream).reconfigure(errors="backslashreplace")
    app = typer.Typer(
        name="centrigate",
        help="Decides who may connect, subscribe, publish and call on a Centrifugo server.",
        no_args_is_help=True,
    )
    for name, command in COMMANDS.items():
        app.command(name)(command)
    for name, commands in GROUPS.items():
        group = typer.Typer(no_args_is_help=True)
        for verb, command in commands.items():
            group.command(verb)(command)
        app.add_typer(group, name=name)
    app()
