"""What is allowed on each pattern, in general and to one user; schemas and obligations are passed over, as by matrices of tests."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from rich.text import Text

from proxy.policy.checking.plan import Plan
from proxy.policy.decision import OPERATIONS, Facts, Request
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.review.comparing.course import Unit
from proxy.review.comparing.telling import code
from proxy.review.matrix import aligned, label, loose
from proxy.review.reaching.survey import Ban, Known, Nothing, Reach, Survey
from proxy.review.wording import quoted, visible, worded

Word = Literal["allowed", "conditional", "denied"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One pattern, or one channel with the pattern that it matches, and who gets through each operation on it."""

    name: str
    pattern: str | None
    cells: Mapping[str, Reach]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is allowed to `user`, or in general where it is None."""

    user: str | None
    rows: tuple[Row, ...]


def word(cell: Reach) -> Word:
    """A cell in one word: a rule without a condition allows, or one with a condition may, or none can; denies stand beside."""
    return "denied" if not cell.ways else "allowed" if any(way.free for way in cell.ways) else "conditional"


def tables(policy: Policy, users: Sequence[str], channels: Sequence[str], facts: Facts) -> Iterator[Table]:
    """The table in general and one for each user, whose facts are given; of all patterns, or of these channels."""
    plans = loose(policy).plans.channels
    survey = Survey(policy, {})
    for user in (None, *users):
        rows = [_channel(each, plans) for each in channels] or [(pattern.text, pattern, None, found) for pattern, found in plans]
        yield Table(user=user, rows=tuple(_row(survey, row, user, facts) for row in rows))


_Entry = tuple[str, Pattern | None, Mapping[str, object] | None, Mapping[str, Plan]]
"""The name of a row, its pattern, the variables if they are known, and the plans."""


def _channel(channel: str, plans: Sequence[tuple[Pattern, Mapping[str, Plan]]]) -> _Entry:
    matches = ((pattern, pattern.matches(channel), found) for pattern, found in plans)
    return next(((channel, *match) for match in matches if match[1] is not None), (channel, None, None, {}))


def _row(survey: Survey, entry: _Entry, user: str | None, facts: Facts) -> Row:
    name, pattern, variables, plans = entry
    cells = {}
    for op in OPERATIONS:
        request = Request(op=op, user=user, channel=None if variables is None else name)
        names = {"op"} | ({"channel"} if variables is not None else set()) | ({"user"} if user is not None else set())
        known = Known(request=request, names=frozenset(names), variables=variables, facts=Nothing() if user is None else facts)
        found = plans.get(op, Plan()) if pattern else None
        cells[op] = Reach(why="no pattern matches") if found is None else survey.reach(Unit(plan=found, pattern=pattern), known)
    return Row(name=name, pattern=pattern.text if pattern else None, cells=cells)


def as_lines(found: Table) -> Iterator[Text]:
    """The table for a terminal."""
    if found.user is not None:
        yield Text(f"user {quoted(found.user)}", style="bold")
    shown = _shown(found)
    if shown:
        yield from map(Text, aligned([["", *shown], *([label(row.name), *(word(row.cells[op]) for op in shown)] for row in found.rows)]))
    yield from (Text(visible(f"{first} {rest}")) for first, rest in _notes(found, shown))


def as_markdown(found: Table) -> str:
    """The table for a pull request."""
    shown = _shown(found)
    lines = [f"### User {code(quoted(found.user))}" if found.user is not None else "### Who may do what", ""]
    if shown:
        lines += [f"| | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
        lines += [f"| {_cell(row.name)} | {' | '.join(word(row.cells[op]) for op in shown)} |" for row in found.rows] + [""]
    notes = [f"- {first} {code(visible(rest))}" for first, rest in _notes(found, shown)]
    return "\n".join([*lines, *notes, *([""] if notes else []), ""])


def as_object(found: Table) -> dict[str, object]:
    """The table as JSON."""
    return {
        "user": found.user,
        "rows": [
            {"name": row.name, "pattern": row.pattern, "cells": {op: _member(cell) for op, cell in row.cells.items()}} for row in found.rows
        ],
    }


def _member(cell: Reach) -> dict[str, object]:
    bans = [{"rule": ban.rule, "at": ban.at, "when": worded(ban.when)} for ban in _bans(cell)]
    return {"is": word(cell), "by": [way.rule for way in cell.ways], "unless": bans, "why": cell.why or None}


def _shown(found: Table) -> list[str]:
    """The operations that are not denied everywhere."""
    return [op for op in OPERATIONS if any(row.cells[op].ways for row in found.rows)]


def _bans(cell: Reach) -> list[Ban]:
    return [ban for ban in cell.bans if cell.ways and not ban.idle]


def _notes(found: Table, shown: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is to be said below: what is denied everywhere and why, and denies that come before every rule."""
    hidden = [op for op in OPERATIONS if op not in shown]
    if hidden:
        yield "denied everywhere:", ", ".join(hidden)
    cells = [(op, cell) for row in found.rows for op, cell in row.cells.items()]
    for why in dict.fromkeys(cell.why for _, cell in cells if cell.bans and not cell.ways):
        yield "denied:", why
    yield from (("no pattern matches", row.name) for row in found.rows if row.pattern is None)
    opened = {op for op, cell in cells if cell.ways}
    bans: dict[str, set[str]] = {}
    for op, cell in cells:
        for ban in _bans(cell):
            bans.setdefault(f"{worded(ban.when)}  {ban.rule}  {ban.at}", set()).add(op)
    for text, ops in bans.items():
        yield "unless", text + ("" if ops == opened else f"  on {', '.join(op for op in OPERATIONS if op in ops)}")


def _cell(text: str) -> str:
    """Code in a table of Markdown, where a bar separates unless it is escaped."""
    return code(visible(text)).replace("|", "\\|")
