"""Commands with many options: the options are one value."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def taking(shape: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Make a command of a function of one value, whose fields, annotated as Typer wants parameters, are its options."""

    def made(run: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(run)
        def command(**given: Any) -> None:  # noqa: ANN401 - whatever the fields are
            run(shape(**given))

        command.__signature__ = inspect.signature(shape)  # type: ignore[attr-defined]  # what Typer reads
        command.__annotations__ = {}
        return command

    return made
