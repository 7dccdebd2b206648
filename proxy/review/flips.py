"""Logged decisions counted by what another policy makes of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from rich.text import Text

from proxy.review.wording import visible

Verdict = Literal["newly allowed", "newly denied", "another rule", "another reason", "unknown"]

KEPT: Final = 3
"""Examples of each flip."""

ROWS: Final = 40
"""Flips that a report for people lists, the most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """Decisions that flip alike: of what operation on which pattern, and the rules or reasons of both sides; of unknown ones why."""

    verdict: Verdict
    operation: str
    target: str
    before: str
    after: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was counted; `examples` are lines of the log with the user or service and the channel or method.

    `passed` decisions were those of no policy, `unreadable` lines were no decisions; `first` is the first of these.
    """

    read: int = 0
    same: int = 0
    passed: int = 0
    unreadable: int = 0
    first: int | None = None
    flips: Counter[Flip] = field(default_factory=Counter)
    examples: dict[Flip, list[tuple[int, str]]] = field(default_factory=dict)

    def note(self, flip: Flip, line: int, example: str) -> None:
        """Count a flip."""
        self.flips[flip] += 1
        kept = self.examples.setdefault(flip, [])
        if len(kept) < KEPT:
            kept.append((line, example))

    def reject(self, line: int) -> None:
        """Count a line that is no decision."""
        self.unreadable += 1
        self.first = line if self.first is None else self.first

    def join(self, other: "Tally") -> None:
        """Add what was counted in the lines behind."""
        before = self.lines
        self.read += other.read
        self.same += other.same
        self.passed += other.passed
        self.unreadable += other.unreadable
        if self.first is None and other.first is not None:
            self.first = before + other.first
        self.flips += other.flips
        for flip, examples in other.examples.items():
            kept = self.examples.setdefault(flip, [])
            kept += [(before + line, example) for line, example in examples[: KEPT - len(kept)]]

    @property
    def lines(self) -> int:
        """Lines that were looked at."""
        return self.read + self.unreadable

    @property
    def verdicts(self) -> Counter[Verdict]:
        """How many decisions came out how."""
        counts: Counter[Verdict] = Counter()
        for flip, count in self.flips.items():
            counts[flip.verdict] += count
        return counts


def as_lines(tally: Tally) -> Iterator[Text]:
    """The tally line by line, flips by rule and pattern."""
    for flip, count in tally.flips.most_common(ROWS):
        yield Text(_told(flip, count), style="bold")
        yield from (Text(f"  line {line}: {visible(example)}") for line, example in tally.examples[flip])
    rest = len(tally.flips) - ROWS
    if rest > 0:
        yield Text(f"and {rest} more kinds of flips")
    yield Text(summary(tally))


def as_markdown(tally: Tally) -> str:
    """The tally as a table; bars and backticks of patterns are no markup in it."""
    rows = [(count, flip) for flip, count in tally.flips.most_common(ROWS)]
    lines = [f"**Logged decisions:** {summary(tally)}", ""]
    if rows:
        lines += ["| decisions | | operation | before | after |", "|---:|---|---|---|---|"]
    for count, flip in rows:
        cells = (f"{flip.operation} {flip.target}".strip(), flip.before, flip.after)
        lines.append(f"| {count:,} | {flip.verdict} | {' | '.join(_cell(each) for each in cells)} |")
    return "\n".join([*lines, ""])


def as_object(tally: Tally) -> dict[str, object]:
    """The tally as JSON."""
    flips = [
        {
            "verdict": flip.verdict,
            "operation": flip.operation,
            "target": flip.target,
            "before": flip.before,
            "after": flip.after,
            "count": count,
            "examples": [{"line": line, "request": example} for line, example in tally.examples[flip]],
        }
        for flip, count in tally.flips.most_common()
    ]
    counts = {"decisions": tally.read, "same": tally.same, "passed": tally.passed, "unreadable": tally.unreadable}
    return {**counts, "first_unreadable": tally.first, "flips": flips}


def summary(tally: Tally) -> str:
    """How many decisions came out how, in one line."""
    told = [f"{tally.read:,} decisions", f"{tally.same:,} the same"]
    told += [f"{count:,} {verdict}" for verdict, count in sorted(tally.verdicts.items())]
    told += [f"{tally.passed:,} of no policy"] if tally.passed else []
    told += [f"{tally.unreadable:,} lines cannot be read, the first is {tally.first}"] if tally.unreadable else []
    return ", ".join(told)


def _told(flip: Flip, count: int) -> str:
    return visible(f"{count:,} {flip.verdict}: {flip.operation} {flip.target}".rstrip() + f", {flip.before} → {flip.after}")


def _cell(text: str) -> str:
    return "`" + visible(text).replace("`", "'").replace("|", "\\|") + "`" if text else ""
