"""Matrices of a test file: who may do what on which channel, drawn and compared."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final, cast

from proxy.policy.checking.plan import Obligations, Plan
from proxy.policy.deciding.decide import Decider, Decision
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Policy
from proxy.policy.reading.lex import lex
from proxy.policy.reading.trials import Matrix
from proxy.review.cases import user_request
from proxy.review.coverage import Meter
from proxy.review.fixtures import Fixtures
from proxy.review.wording import quoted

_GAP: Final = "  "


def loose(policy: Policy) -> Decider:
    """A decider that passes over schemas and obligations: a rule holds where its condition does, without a payload."""
    own = policy.decider
    channels = tuple((pattern, {op: _loose(plan) for op, plan in found.items()}) for pattern, found in own.plans.channels)
    plans = dataclasses.replace(own.plans, channels=channels)
    return Decider(plans, own.statics, own.revision, guests=own.guests)


def draw(decider: Decider, node: Matrix, facts: Fixtures, meter: Meter) -> str:
    """The matrix as it is: a row for each user, for each operation its first letter, or `-` where it is refused."""
    table = [["", *(label(channel.value) for channel in node.channels)]]
    for user in node.users:
        requests = ([user_request(word.text, user.value, channel.value) for word in node.operations] for channel in node.channels)
        table.append([label(user.value), *("".join(_letter(decider, request, facts, meter) for request in cell) for cell in requests)])
    return "".join(f"{row}\n" for row in aligned(table))


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table as lines, each column as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def label(text: str) -> str:
    """A user or channel as it is, or quoted where it would not be one word."""
    plain = text.isprintable() and text.split() == [text] and not text.startswith('"')
    return text if plain else quoted(text)


def alike(expected: str, drawn: str) -> bool:
    """Whether two matrices say the same; how far apart things stand says nothing."""
    return _cells(expected) == _cells(drawn)


def compared(expected: str, drawn: str) -> Iterator[str]:
    """The lines of the drawn matrix, those that differ marked and followed by what was expected."""
    wanted, lines = _cells(expected), drawn.splitlines()
    for place, (line, cells) in enumerate(zip(lines, _cells(drawn), strict=True)):
        own = wanted[place] if place < len(wanted) else []
        yield f"  {line}" if cells == own else f"! {line}  (expected {_GAP.join(own) or 'nothing'})"
    for rest in wanted[len(lines) :]:
        yield f"! (expected {_GAP.join(rest)})"


def rewrite(source: str, changes: Sequence[tuple[Matrix, str]]) -> str:
    """The text of a test file with the expectations of these matrices replaced and nothing else changed."""
    places = {(lexeme.line, lexeme.column): lexeme.text for lexeme in lex("", source).lexemes if lexeme.type == "STRING"}
    starts = [0, *(place + 1 for place, character in enumerate(source) if character == "\n")]
    for node, drawn in sorted(changes, key=lambda change: change[0].expect.at, reverse=True):
        at = node.expect.at
        begin = starts[at.line - 1] + at.column - 1
        end = begin + len(places[at.line, at.column])
        source = source[:begin] + _literal(drawn, _indent(node.expect.value)) + source[end:]
    return source


def _loose(plan: Plan) -> Plan:
    rules = (dataclasses.replace(rule, obligations=Obligations(), looks=False) for rule in plan.rules)
    return dataclasses.replace(plan, rules=tuple(rules))


def _letter(decider: Decider, request: Request, facts: Fixtures, meter: Meter) -> str:
    # Watched, because it is evaluated exactly then: compiled conditions rely on the payload having the type of its schema.
    found = cast("Allow | Deny", Decision(decider, request, facts, {}, meter.watch).decide())
    meter.note(found)
    return request.op[0] if isinstance(found, Allow) else "-"


def _cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def _indent(text: str) -> str:
    """What stands before the rows now."""
    rows = [line for line in text.splitlines() if line.strip()]
    return rows[-1][: len(rows[-1]) - len(rows[-1].lstrip())] if rows else ""


def _literal(drawn: str, indent: str) -> str:
    escaped = drawn.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return '"""\n' + "".join(f"{indent}{line}\n" for line in escaped.splitlines()) + '"""'
