"""`python -m bench`: run every case and judge its gated ratios; exit code 1 if one is missed."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import engines, footprint, gateway, grants, hook, limits, loading, outbox, policy, reconnect, review, revocation, storm, tokens
from bench.ratios import CONTROL, Findings, Interval

CASES: Final[Mapping[str, Callable[[], Findings]]] = {
    "subscribe hook": hook.findings,
    "deciding a subscribe": policy.subscribe,
    "deciding a publish": policy.publish,
    "deciding among many": policy.blocks,
    "loading few": loading.few,
    "loading many": loading.many,
    "one condition elsewhere": engines.findings,
    "reading cached facts": storm.cached,
    "a cold storm on SQLite": storm.sqlite,
    "a cold storm on PostgreSQL": storm.postgresql,
    "noting what is allowed": grants.registry,
    "remembering what is allowed": grants.memory,
    "a shadow policy beside": grants.shadow,
    "counting a limit": limits.memory,
    "counting a limit in Redis": limits.shared,
    "publishing": gateway.findings,
    "keeping on disk": outbox.findings,
    "replaying a decision log": review.replaying,
    "comparing policies": review.comparing,
    "proving invariants": review.proving,
    "counting what tests try": review.covering,
    "minting for a connection": tokens.connection,
    "minting for a subscription": tokens.subscription,
    "minting with ECDSA": tokens.ecdsa,
    "minting with EdDSA": tokens.eddsa,
    "minting with RSA": tokens.rsassa,
    "knowing a token again": tokens.known,
    "taking access back": revocation.findings,
    "reconnecting": reconnect.many,
    "reconnecting all at once": reconnect.crowd,
    "reconnecting in other ways": reconnect.ways,
    "reconnecting on slow facts": reconnect.slow,
}
PROCESSES: Final = 3
"""A confidence interval covers one process only, so there are several, and the middle one counts."""
ONCE: Final = frozenset(case for case in CASES if case.startswith(("reconnecting", "taking")))
"""Whatever these measure runs in processes that they start, and takes long: one of this is enough."""


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios to yardsticks of the same run, judged against goals.")
    parser.add_argument("only", nargs="*", choices=[[], *CASES], metavar="CASE", help=f"measure these cases alone: {', '.join(CASES)}")
    parser.add_argument("--case", choices=CASES, help="measure this case in this process and print it as JSON")
    chosen = parser.parse_args()
    if chosen.case:
        sys.stdout.write(json.dumps(asdict(CASES[chosen.case]())))
        return 0
    console = Console()
    met = [_judge(name, console) for name in chosen.only or CASES]
    for line in () if chosen.only else footprint.report():
        console.print(line, highlight=False)
    return 0 if all(met) else 1


def _judge(name: str, console: Console) -> bool:
    """Print what was found in a case; whether all its goals are met or nothing can be said."""
    runs: list[Findings] = []
    processes = 1 if name in ONCE else PROCESSES
    for number in range(processes):
        with console.status(f"{name}: process {number + 1} of {processes}"):
            runs.append(_fresh(name))
    goals = runs[0].goals
    middle = {each: _middle([run.intervals[each] for run in runs]) for each in runs[0].intervals}
    restless = sum(run.void for run in runs)
    console.print(_table(f"{name}, times {runs[0].yardstick}", middle, runs[0]))
    for amount in runs[0].amounts:
        console.print(f"{amount}: {statistics.median(run.amounts[amount] for run in runs):.2f}", highlight=False)
    for note in runs[0].notes:
        console.print(note, highlight=False, soft_wrap=True)
    failures = [failure for run in runs for failure in run.failures]
    for failure in failures:
        console.print(f"missed: {failure}", highlight=False, soft_wrap=True)
    if restless > processes // 2:
        console.print(f"void: the machine was too restless in {restless} of {processes} processes, no ratio is claimed")
        return not failures
    return not failures and all(middle[each].high <= goal for each, goal in goals.items())


def _fresh(name: str) -> Findings:
    command = [sys.executable, "-m", "bench", "--case", name]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603 - ourselves
    return Findings(**{**found, "intervals": {each: Interval(**numbers) for each, numbers in found["intervals"].items()}})


def _middle(intervals: Sequence[Interval]) -> Interval:
    median = statistics.median_low(each.median for each in intervals)
    return next(each for each in intervals if each.median == median)


def _table(title: str, intervals: Mapping[str, Interval], findings: Findings) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("candidate", "ratio", "95 % interval", "goal", ""):
        table.add_column(column, justify="left" if column in {"candidate", ""} else "right")
    for each, found in intervals.items():
        goal = findings.goals.get(each)
        verdict = "" if goal is None else "met" if found.high <= goal else "missed"
        control = f"1 ± {findings.slack * 100:.0f} %" if each == CONTROL else ""
        wanted = f"≤ {goal}" if goal is not None else control
        table.add_row(each, _brief(found.median), f"{_brief(found.low)} - {_brief(found.high)}", wanted, verdict)
    return table


def _brief(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"


if __name__ == "__main__":
    sys.exit(main())
