"""The project's files, for tests that hold them against the house rules."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its path."""
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in sorted((ROOT / "proxy").rglob("*.py"))}


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function, nested ones and methods included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


@cache
def texts() -> dict[str, str]:
    """Every text file that belongs to the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in filter(None, listed):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            found[name] = content.decode(errors="replace")
    return found
