"""Changes one thing at a time in modules of the policy and asks the tests: what no test notices is printed.

    python tools/mutate.py proxy/policy/deciding proxy/policy/operations.py [--jobs 2] [--deep]

Each mutant runs in a process of its own, first against the conformance cases and then, with --deep, against all tests of the policy.
Exit code 1 when a mutant survives that `tools/survivors.txt` does not explain.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / "tools" / "survivors.txt"
SUITE = (
    *(
        f"tests/policy/test_{name}.py"
        for name in ["decide", "findings", "operations", "people", "types", "load", "patterns", "overlap", "schemas", "derivation"]
    ),
    *("tests/test_gate.py", "tests/review", "tests/test_policies.py", "tests/policy/test_equality.py"),
)
"""Quick ones first: a mutant that is noticed costs no more."""
QUICK_S, DEEP_S = 60, 300

_SWAPS: dict[type[ast.AST], Any] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: neither annotations nor decorators."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _code(each)


def points(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every node that can be changed and what the change is; annotations, docstrings and messages are left alone."""
    for node in _code(tree):
        match node:
            case ast.Compare(ops=[op, *_]) if type(op) in _SWAPS:
                yield node, type(op).__name__
            case ast.BoolOp():
                yield node, type(node.op).__name__
            case ast.BinOp() if type(node.op) in _SWAPS and not isinstance(node.left, ast.Constant):
                yield node, type(node.op).__name__
            case ast.UnaryOp(op=ast.Not()):
                yield node, "Not"
            case ast.Constant(value=bool() | int()) if not isinstance(node.value, float):
                yield node, repr(node.value)
            case ast.If() | ast.IfExp() | ast.While():
                yield node, "condition is true"
                yield node, "condition is false"


def mutate(node: ast.AST, what: str) -> None:
    """Makes the change in place."""
    match node:
        case ast.Compare():
            node.ops[0] = _SWAPS[type(node.ops[0])]()
        case ast.BoolOp() | ast.BinOp():
            node.op = _SWAPS[type(node.op)]()
        case ast.UnaryOp():
            node.op = ast.UAdd()
            node.operand = ast.Call(func=ast.Name(id="bool", ctx=ast.Load()), args=[node.operand], keywords=[])
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant(value=int() as number):
            node.value = number + 1
        case ast.If() | ast.IfExp() | ast.While():
            node.test = ast.Constant(value=what == "condition is true")


def mutants(path: Path) -> Iterator[tuple[str, ast.Module]]:
    """Each mutant of a file with its name: `file:line:column what`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for number, (_, what) in enumerate(points(tree)):
        changed = copy.deepcopy(tree)
        target, _ = list(points(changed))[number]
        mutate(target, what)
        yield f"{path.relative_to(ROOT)}:{target.lineno}:{target.col_offset + 1} {what}", ast.fix_missing_locations(changed)  # type: ignore[attr-defined]  # a place


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its mutated code."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """The module to change, and no other."""
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Runs the changed code."""
        exec(compile(self.tree, self.name, "exec"), module.__dict__)  # noqa: S102 - our own code


def survives(name: str, tree: ast.Module, *, deep: bool) -> bool:
    """Whether all tests pass with the mutant; one that hangs or kills its process does not survive."""
    child = os.fork()
    if child == 0:
        _judge(name, tree, deep=deep)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status) == 0


def _judge(name: str, tree: ast.Module, *, deep: bool) -> None:
    signal.alarm(DEEP_S if deep else QUICK_S)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.meta_path.insert(0, Finder(name, tree))
    try:
        _conform()
        os._exit(_suite() if deep else 0)
    except BaseException:  # noqa: BLE001 - noticed, however
        os._exit(1)


def _conform() -> None:
    from tests.policy import test_conformance as cases  # noqa: PLC0415 - the mutant must be in place first

    for each in cases.SETS:
        cases.test_a_set_decides_as_expected(each)
    for each in sorted(path.name for path in (cases.CASES / "eval").iterdir()):
        cases.test_an_expression_has_the_expected_value(each)
    for each in sorted(cases.BAD):
        cases.test_a_mistake_is_found_where_it_stands(each)


def _suite() -> int:
    import pytest  # noqa: PLC0415 - likewise

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov", *SUITE]))


def _files(arguments: Sequence[str]) -> list[Path]:
    paths = [(ROOT / argument).resolve() for argument in arguments]
    return [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def main() -> int:
    """Runs the mutants and prints the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--deep", action="store_true", help="run all tests of the policy on what the cases do not notice")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    explained = EXPLAINED.read_text(encoding="utf-8") if EXPLAINED.exists() else ""
    work = [(mutant, file, tree) for file in _files(given.paths) for mutant, tree in mutants(file)]
    began, survivors = time.monotonic(), 0

    def run(item: tuple[str, Path, ast.Module]) -> str | None:
        mutant, file, tree = item
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        alive = survives(module, tree, deep=False) and (not given.deep or survives(module, tree, deep=True))
        return mutant if alive else None

    with ThreadPoolExecutor(given.jobs) as pool:
        for found in pool.map(run, work):
            if found and found not in explained:
                survivors += 1
                sys.stdout.write(f"{found}\n")
    sys.stdout.write(f"{len(work)} mutants, {survivors} survivors that nothing explains, {time.monotonic() - began:.0f} s\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
