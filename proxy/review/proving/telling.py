"""Proofs as people read them in a terminal, and as programs do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.text import Text

from proxy.review.proving.prove import Proof
from proxy.review.proving.reach import Idle, Why
from proxy.review.wording import visible, worded

_COLOURS: Final = {"proved": "green", "refuted": "red", "unknown": "yellow"}
_REASONS: Final[Mapping[Why, str]] = {
    "never holds": "what it needs is never so",
    "is denied before": "a deny refuses all of it",
    "comes too late": "rules above it decide all of it",
}


def as_lines(proofs: Sequence[Proof], idle: Sequence[Idle]) -> Iterator[Text]:
    """The proofs line by line, the rules that never decide, and how many there are of each."""
    for proof in proofs:
        yield Text.assemble((f"{proof.state:9}", f"bold {_COLOURS[proof.state]}"), f"{visible(_statement(proof))}  {proof.claim.at}")
        if proof.why:
            yield Text(f"  {visible(proof.why)}")
        if proof.shown is not None:
            yield Text(f"  allowed by {visible(proof.shown.rule)} ({proof.shown.at})")
            yield Text(f"  e.g. {visible(json.dumps(proof.shown.request, ensure_ascii=False))}")
    for each in idle:
        yield Text.assemble(("idle     ", "bold yellow"), f"{visible(each.rule)}  {each.at}\n  never decides: {_REASONS[each.why]}")
    yield Text(_summary(proofs, idle))


def as_object(proofs: Sequence[Proof], idle: Sequence[Idle]) -> dict[str, object]:
    """The same for programs."""
    return {
        "invariants": [_object(proof) for proof in proofs],
        "idle": [{"rule": each.rule, "at": each.at, "why": each.why} for each in idle],
    }


def _object(proof: Proof) -> dict[str, object]:
    shown = proof.shown
    found: dict[str, object] = {"invariant": _statement(proof), "at": proof.claim.at, "state": proof.state, "why": proof.why or None}
    if shown is not None:
        found |= {"rule": shown.rule, "rule_at": shown.at, "request": dict(shown.request)}
    return {name: value for name, value in found.items() if value is not None}


def _statement(proof: Proof) -> str:
    when = proof.claim.when
    return f"{proof.claim.text} when {worded(when.node)}" if when else proof.claim.text


def _summary(proofs: Sequence[Proof], idle: Sequence[Idle]) -> str:
    counts = [(sum(proof.state == state for proof in proofs), state) for state in _COLOURS]
    said = ", ".join(f"{count} {state}" for count, state in counts if count) or "no invariants"
    rules = f"; {len(idle)} rule{'s' if len(idle) > 1 else ''} that never decide{'' if len(idle) > 1 else 's'}" if idle else ""
    return said + rules
