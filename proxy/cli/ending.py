"""How a command ends that cannot do its work."""

import functools
from collections.abc import Callable
from typing import Final, ParamSpec

import typer

from proxy.errors import CentrigateError

SETUP: Final = 2
"""Exit code of a command that cannot do its work."""

_P = ParamSpec("_P")


def ending(run: Callable[_P, None]) -> Callable[_P, None]:
    """Make a command of a function: a `CentrigateError` that it raises, or a file that it cannot use, is told and ends it with `SETUP`."""

    @functools.wraps(run)
    def command(*args: _P.args, **given: _P.kwargs) -> None:
        try:
            run(*args, **given)
        except CentrigateError as error:
            told = str(error)
        except OSError as error:
            if error.filename is None:
                raise
            told = f"{error.filename} cannot be used: {error.strerror}"
        else:
            return
        typer.echo(told, err=True)
        raise typer.Exit(SETUP)

    return command
