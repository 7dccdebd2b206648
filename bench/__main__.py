"""`python -m bench`: run every case and judge its gated ratios; exit code 1 if one is missed."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from bench import footprint, hook
from bench.ratios import CONTROL, Interval, void
from bench.slices import Opened, run

CASES: Final[Mapping[str, Callable[[], Opened]]] = {"subscribe hook": hook.opened}
PROCESSES: Final = 3
"""A confidence interval covers one process only, so there are several, and the middle one counts."""

Measured = Mapping[str, Interval]


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios to a raw ASGI application, judged against goals.")
    parser.add_argument("--case", choices=CASES, help="measure this case in this process and print it as JSON")
    chosen = parser.parse_args()
    if chosen.case:
        sys.stdout.write(json.dumps(uvloop.run(_measure(chosen.case))))
        return 0
    console = Console()
    met = [_judge(name, console) for name in CASES]
    for line in footprint.report():
        console.print(line, highlight=False)
    return 0 if all(met) else 1


async def _measure(name: str) -> dict[str, object]:
    async with CASES[name]() as case:
        intervals = await run(case)
        return {"goals": case.goals, "intervals": {each: asdict(found) for each, found in intervals.items()}}


def _judge(name: str, console: Console) -> bool:
    """Print the table of a case; whether all its goals are met or nothing can be said."""
    goals: Mapping[str, float] = {}
    runs: list[Measured] = []
    for number in range(PROCESSES):
        with console.status(f"{name}: process {number + 1} of {PROCESSES}"):
            goals, measured = _fresh(name)
        runs.append(measured)
    middle = {each: _middle([measured[each] for measured in runs]) for each in runs[0]}
    restless = sum(void(measured, goals) for measured in runs)
    console.print(_table(name, middle, goals))
    if restless > PROCESSES // 2:
        console.print(f"void: the machine was too restless in {restless} of {PROCESSES} processes, nothing is claimed")
        return True
    return all(middle[each].high <= goal for each, goal in goals.items())


def _fresh(name: str) -> tuple[Mapping[str, float], Measured]:
    command = [sys.executable, "-m", "bench", "--case", name]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603 - ourselves
    return found["goals"], {each: Interval(**numbers) for each, numbers in found["intervals"].items()}


def _middle(intervals: Sequence[Interval]) -> Interval:
    median = statistics.median_low(each.median for each in intervals)
    return next(each for each in intervals if each.median == median)


def _table(name: str, intervals: Measured, goals: Mapping[str, float]) -> Table:
    table = Table(title=f"{name}, times a raw ASGI echo", title_justify="left")
    for column in ("candidate", "ratio", "95 % interval", "goal", ""):
        table.add_column(column, justify="left" if column in {"candidate", ""} else "right")
    for each, found in intervals.items():
        goal = goals.get(each)
        verdict = "" if goal is None else "met" if found.high <= goal else "missed"
        control = "1 ± 3 %" if each == CONTROL else ""
        wanted = f"≤ {goal}" if goal is not None else control
        table.add_row(each, f"{found.median:.2f}", f"{found.low:.2f} - {found.high:.2f}", wanted, verdict)
    return table


if __name__ == "__main__":
    sys.exit(main())
