"""Changes one thing at a time in modules of the policy and asks the tests: what no test notices is printed.

    python tools/mutate.py proxy/policy/checking proxy/policy/types.py [--jobs 2]

The files stay as they are: each mutant lives in a forked process, where the changed function takes the place of the one that stands in the
file. Only tests that call that function run, the quick ones first, until one fails. What is not a function, or runs while modules are
imported, is tried by all tests in a process that imports the changed module anew.

`tools/survivors.txt` explains survivors, one a line: the mutant as it is printed, two spaces, `# ` and the reason why it changes nothing
that anybody could notice. Exit code 1 when a survivor is not explained, or when a line there names no mutant.
"""

import argparse
import ast
import dataclasses
import gc
import importlib
import importlib.abc
import importlib.machinery
import itertools
import math
import mmap
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / "tools" / "survivors.txt"
SUITE = ("tests/policy", "tests/review", "tests/test_gate.py", "tests/test_policies.py")
OPTIONS = ("-x", "-s", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "no:xdist", "-p", "no:terminal", "--assert=plain")
MEMORY, ALONE_S, SLOW_S = 4 << 30, 300, 0.05
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted((ROOT / "proxy" / "policy").rglob("[a-z]*.py"))]

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A node that can be changed: what becomes of it, the function around it (or "") and the expression that shows it to a reader."""

    node: ast.AST
    to: ast.expr | None
    function: str
    shown: ast.AST
    body: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of a file: the number of its point, and a name that keeps when lines move."""

    file: Path
    number: int
    name: str
    function: str

    @property
    def module(self) -> str:
        """The module that is changed."""
        return ".".join(self.file.relative_to(ROOT).with_suffix("").parts)

    def code(self) -> CodeType:
        """The changed module, compiled."""
        tree = ast.parse(self.file.read_text(encoding="utf-8"))
        _change(list(points(tree))[self.number])
        return compile(ast.fix_missing_locations(tree), str(self.file), "exec")


def points(tree: ast.Module) -> Iterator[Point]:
    """Every change of a module; annotations, decorators, docstrings and messages are left alone."""
    for node, parent, function, body in _code(tree, tree, "", body=False):
        shown = parent if isinstance(parent, ast.expr | ast.keyword | ast.arguments | ast.Return | ast.Assign | ast.AnnAssign) else node
        for to in _changes(node):
            yield Point(node=node, to=to, function=function, shown=shown if isinstance(node, ast.Constant) else node, body=body)


def _code(node: ast.AST, parent: ast.AST, function: str, *, body: bool) -> Iterator[tuple[ast.AST, ast.AST, str, bool]]:
    """The nodes that run, each with its parent, the outermost function around it, and whether that function runs it."""
    yield node, parent, function, body
    opens = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not body
    inner = ".".join(filter(None, (function, getattr(node, "name", "")))) if opens else function
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        runs = body or (opens and not isinstance(node, ast.ClassDef) and name == "body")
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _code(each, node, inner, body=runs)


def _changes(node: ast.AST) -> Iterator[ast.expr | None]:
    """What can stand in the place of a node, or of its condition; None stands for the opposite operator."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in _SWAPS:
            yield None
        case ast.BoolOp():
            yield None
        case ast.BinOp() if type(node.op) in _SWAPS and not isinstance(node.left, ast.Constant):
            yield None
        case ast.UnaryOp(op=ast.Not()):
            yield ast.Call(func=ast.Name(id="bool", ctx=ast.Load()), args=[node.operand], keywords=[])
        case ast.Constant(value=bool()):
            yield ast.Constant(value=not node.value)
        case ast.Constant(value=int() as number):
            yield ast.Constant(value=number + 1)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return  # for those who read it, and never true where it runs
        case ast.If() | ast.IfExp() | ast.While():
            constant = node.test.value if isinstance(node.test, ast.Constant) else None
            yield from (ast.Constant(value=value) for value in (True, False) if value is not constant)


def _change(point: Point) -> None:
    match point.node, point.to:
        case ast.Compare() as node, _:
            node.ops[0] = _SWAPS[type(node.ops[0])]()
        case (ast.BoolOp() | ast.BinOp()) as node, _:
            node.op = _SWAPS[type(node.op)]()
        case ast.UnaryOp() as node, ast.expr() as to:
            node.op, node.operand = ast.UAdd(), to
        case ast.Constant() as node, ast.Constant(value=value):
            node.value = value
        case (ast.If() | ast.IfExp() | ast.While()) as node, ast.expr() as to:
            node.test = to


def _text(node: ast.AST) -> str:
    match node:
        case ast.If() | ast.While():
            return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
        case ast.IfExp():
            return f"… if {ast.unparse(node.test)} else …"
    return " ".join(ast.unparse(node).split())


def mutants(file: Path) -> Iterator[Mutant]:
    """The mutants of a file, named `file function: before → after`; like ones of one function are numbered."""
    source = file.read_text(encoding="utf-8")
    names: Counter[str] = Counter()
    for number in range(len(list(points(ast.parse(source))))):
        point = list(points(ast.parse(source)))[number]
        before = _text(point.shown)
        _change(point)
        name = f"{file.relative_to(ROOT)} {point.function or '(module)'}: {before} → {_text(point.shown)}"
        names[name] += 1
        again = f" ({names[name]})" if names[name] > 1 else ""
        yield Mutant(file=file, number=number, name=name + again, function=point.function if point.body else "")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its mutated code."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """The module to change, and no other."""
        return importlib.machinery.ModuleSpec(name, self) if name == self.mutant.module else None

    def exec_module(self, module: ModuleType) -> None:
        """Runs the changed code."""
        exec(self.mutant.code(), module.__dict__)  # noqa: S102 - our own code


def function(module: ModuleType, name: str) -> FunctionType | None:
    """The function that stands under a name like `Class.method`, without what is wrapped around it."""
    found: Any = module
    for part in name.split("."):
        found = vars(found).get(part)
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    found = getattr(found, "__wrapped__", found)
    return found if isinstance(found, FunctionType) and found.__code__.co_qualname == name else None


def codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from codes(inner)


def called(do: Callable[[], object]) -> frozenset[int]:
    """The identities of the code objects that run meanwhile."""
    seen: set[int] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(id(frame.f_code))

    sys.setprofile(note)
    try:
        do()
    finally:
        sys.setprofile(None)
    return frozenset(seen)


def forget(module: ModuleType) -> None:
    """Empties the caches of a module, so that its functions run again; that of the grammar is kept, as it takes long to fill."""
    for name, each in vars(module).items():
        if name != "grammar":
            getattr(each, "cache_clear", int)()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a test ran with nothing changed."""

    item: pytest.Item
    seconds: float
    codes: frozenset[int]


class Steady:
    """A plugin by which properties try the same examples each time."""

    def pytest_sessionstart(self) -> None:
        """Sets it for all tests."""
        from hypothesis import Phase, settings  # noqa: PLC0415 - pytest has to know first that it will be imported

        settings.register_profile("mutants", database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")


class Judge:
    """A plugin that runs the tests once and then against each mutant; `early` is what ran while modules were imported."""

    def __init__(self, work: Sequence[Mutant], jobs: int, quick: float, early: frozenset[int]) -> None:
        self.work, self.jobs, self.quick, self.early = work, jobs, quick, early
        self.killer = memoryview(mmap.mmap(-1, 8)).cast("q")
        self.survivors: list[str] = []
        self.left: list[str] = []
        self.failed = False
        self.judging: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Ends a mutant at the first failure, before anything is made of it."""
        if self.judging is not None and call.excinfo and not call.excinfo.errisinstance(pytest.skip.Exception):
            self.killer[0] = self.judging
            os._exit(1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes that a test failed."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judges every mutant, as many at once as there are jobs."""
        runs = sorted((self._run(item) for item in session.items), key=lambda run: run.seconds)
        self.left = [run.item.nodeid for run in runs if run.seconds > self.quick]
        runs = [run for run in runs if run.seconds <= self.quick]
        running: dict[int, Mutant] = {}
        gc.freeze()
        for mutant in (*self.work, *[None] * self.jobs):
            while running and (mutant is None or len(running) >= self.jobs):
                child, status = os.wait()
                name = running.pop(child).name
                if os.environ.get("TIMES"):
                    sys.stdout.write(f"{time.monotonic():.2f} {status} {self.killer[0]} {name}\n")
                    sys.stdout.flush()
                if status == 0:
                    self.survivors.append(name)
                    sys.stderr.write(f"{name}\n")
                elif runs[self.killer[0]].seconds < SLOW_S:
                    runs.insert(0, runs.pop(self.killer[0]))
            if mutant is not None:
                running[self._start(mutant, runs)] = mutant
        return True

    def _run(self, item: pytest.Item) -> Run:
        for name in MODULES:
            forget(sys.modules[name])
        began = time.monotonic()
        seen = called(lambda: item.config.hook.pytest_runtest_protocol(item=item, nextitem=None))
        if self.failed:
            sys.stderr.write(f"left out, as it fails with nothing changed: {item.nodeid}\n")
        failed, self.failed = self.failed, False
        return Run(item=item, seconds=math.inf if failed else time.monotonic() - began, codes=seen)

    def _start(self, mutant: Mutant, runs: Sequence[Run]) -> int:
        child = os.fork()
        if child == 0:
            try:
                self._judge(mutant, runs)
            finally:
                os._exit(1)
        return child

    def _judge(self, mutant: Mutant, runs: Sequence[Run]) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        module = sys.modules[mutant.module]
        target = function(module, mutant.function)
        changed = [each for each in codes(mutant.code()) if each.co_qualname == mutant.function]
        if target is None or len(changed) != 1 or id(target.__code__) in self.early:
            signal.alarm(ALONE_S)
            left = [f"--leave={each}" for each in self.left]
            os.execv(sys.executable, [sys.executable, __file__, str(mutant.file), f"--only={mutant.number}", *left])  # noqa: S606 - this program
        own = {id(each) for each in codes(target.__code__)}
        target.__code__ = changed[0]
        forget(module)
        for number, run in enumerate(runs):
            if run.codes & own:
                self.judging = number
                signal.alarm(int(run.seconds * 20) + 3)
                run.item.config.hook.pytest_runtest_protocol(item=run.item, nextitem=None)
        os._exit(0)


def _early() -> None:
    for name in MODULES:
        importlib.import_module(name)
    sys.modules["proxy.policy.reading.grammar"].grammar()


def _files(arguments: Iterable[str]) -> list[Path]:
    paths = [(ROOT / argument).resolve() for argument in arguments]
    return [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def explained(files: Iterable[Path]) -> set[str]:
    """The names that are explained of mutants of these files."""
    lines = EXPLAINED.read_text(encoding="utf-8").splitlines() if EXPLAINED.exists() else []
    names = {line.rpartition("  # ")[0] for line in lines if not line.startswith("#")}
    own = {str(file.relative_to(ROOT)) for file in files}
    return {name for name in names if name.split(" ")[0] in own}


def alone(mutant: Mutant, leave: Iterable[str]) -> int:
    """Runs the tests against one mutant, whose module is imported changed; 0 when it survives."""
    sys.meta_path.insert(0, Finder(mutant))
    return int(pytest.main([*OPTIONS, *leave, *SUITE], plugins=[Steady()]))


def report(work: Sequence[Mutant], survivors: Sequence[str], known: set[str]) -> int:
    """Prints what is not explained, and what is explained for nothing; the exit code."""
    open_ = [name for name in survivors if name not in known]
    stale = sorted(known - {mutant.name for mutant in work})
    for file, found in itertools.groupby(work, key=lambda mutant: mutant.file.relative_to(ROOT)):
        names = [mutant.name for mutant in found]
        alive = [name for name in names if name in survivors]
        sys.stdout.write(f"{file}: {len(names)} mutants, {len(alive)} survive, {len([n for n in alive if n in known])} of them explained\n")
    for name in open_:
        sys.stdout.write(f"survives: {name}\n")
    for name in stale:
        sys.stdout.write(f"no such mutant: {name}\n")
    for name in sorted(known - set(survivors) - set(stale)):
        sys.stdout.write(f"explained, but noticed: {name}\n")
    sys.stdout.write(f"{len(work)} mutants, {len(survivors)} survive, {len(open_)} of them unexplained\n")
    return 1 if open_ or stale else 0


def main() -> int:
    """Runs the mutants and prints the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="number of one mutant, which all tests try; exit code 0: it survives")
    parser.add_argument("--quick", type=float, default=1e3, help="leave out tests that take longer than this (seconds)")
    parser.add_argument("--leave", action="append", default=[], help="leave out this test (a node id of pytest)")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    files = _files(given.paths)
    leave = [f"--deselect={each}" for each in given.leave]
    if given.only is not None:
        return alone(Mutant(file=files[0], number=given.only, name="", function=""), leave)
    work = [mutant for file in files for mutant in mutants(file)]
    judge = Judge(work, given.jobs, given.quick, called(_early))
    code = int(pytest.main([*OPTIONS, *leave, *SUITE], plugins=[Steady(), judge]))
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):  # tests that fail with nothing changed are named and left out
        sys.stderr.write("the tests could not be collected: pytest --collect-only says why\n")
        return code
    return report(work, judge.survivors, explained(files))


if __name__ == "__main__":
    sys.exit(main())
