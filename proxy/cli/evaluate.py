"""`eval`: evaluates expressions of the policy language."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from proxy.cli.ending import ending
from proxy.errors import Malformed
from proxy.review import lines, probe


@ending
def evaluate(
    expression: Annotated[str | None, typer.Argument(help="An expression, such as 'size(name) < 5'.")] = None,
    *,
    types: Annotated[list[str] | None, typer.Option("--type", help="NAME=TYPE of a variable; without it, any.")] = None,
    variables: Annotated[list[str] | None, typer.Option("--var", help="NAME=JSON of a variable.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Read {expr, types, vars} lines from standard input.")] = False,
) -> None:
    """Evaluate an expression and print its type and value, or its error and the place; exit code 1 for an error."""
    if batch:
        for line in sys.stdin.buffer:
            if line.strip():
                typer.echo(_dumped(_one(line)))
        return
    if expression is None:
        raise Malformed("give an expression, or --batch and lines on standard input")
    values = {name: lines.strict(text) for name, text in _pairs(variables or ())}
    answer = probe.evaluate(expression, dict(_pairs(types or ())), values)
    typer.echo(_dumped(answer.line))
    if "error" in answer.line:
        raise typer.Exit(1)


def _pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [tuple(item.split("=", 1)) for item in given]
    for pair in pairs:
        if len(pair) == 1:
            raise Malformed(f'"{pair[0]}" is not NAME=…')
    return [(name, text) for name, text in pairs]


def _one(line: bytes) -> Mapping[str, object]:
    try:
        found: Any = lines.strict(line)
        text, types, values = found["expr"], found.get("types") or {}, found.get("vars") or {}
        fine = isinstance(text, str) and isinstance(values, dict) and all(isinstance(t, str) for t in types.values())
    except (Malformed, AttributeError, TypeError, KeyError) as error:
        return {"error": str(error) if isinstance(error, Malformed) else "a line is {expr, types, vars}"}
    return probe.evaluate(text, types, values).line if fine else {"error": "a line is {expr, types, vars}"}


def _dumped(line: Mapping[str, object]) -> str:
    try:
        return json.dumps(line, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps({"error": "the value is infinite or no number, which JSON cannot hold", "at": "1:1"})
