"""Expressions mean what they mean to Google's CEL, but for the clauses that narrow it, which `tests.trust.peer` lists."""

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import pytest

from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.review import probe
from tests.policy.policies import Facts
from tests.trust import expressions, peer
from tests.trust.expressions import TYPES, UNTYPED, Written

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "600"))
SEED = os.environ.get("FUZZ_SEED", "0")
"""How many expressions are made up, and from what: the same seed makes the same ones."""

PARTS = 4

REFUSALS = {"wrong-type", "maybe-null", "missing-optional", "unsupported", "too-large", "duplicate-name"}
"""Clause: what section 4 refuses is a load error where types are known. Whatever else is made up here must load."""

NAMES = re.compile(r"\b(?:" + "|".join((*TYPES, *UNTYPED)) + r")\b")


def loaded(text: str, clause: str) -> Policy | str:
    """The policy whose only rule has the expression as its condition (`when`) or value (`info =`), or the id of its load error."""
    names = sorted(set(NAMES.findall(text)))
    lets = "\n".join(f"let {name} = {'data' if name in UNTYPED else 'meta'}.{name};" for name in names)
    fields = ", ".join(f"{name}: {TYPES[name]}" for name in names if name in TYPES)
    source = f'language 1;\nmeta {{ {fields} }}\n{lets}\nchannel "c" {{ allow subscribe {clause} {text}; }}'
    found = load({"p.policy": source.encode()})
    return found.policy or next(finding.id for finding in found.findings if finding.severity == "error")


def decided(policy: Policy, values: Mapping[str, object]) -> Allow | None:
    """What the policy says with these values; None where its rule does not hold."""
    meta, data = {name: values[name] for name in TYPES}, {name: values[name] for name in UNTYPED}
    found = policy.decide(Request(op="subscribe", user="u", channel="c", meta=meta, data=data), Facts())
    if isinstance(found, Allow):
        return found
    assert isinstance(found, Deny)
    assert found.reason == "no_rule"
    return None


def evaluated(text: str, values: Mapping[str, object]) -> str:
    """What `eval` says, as an outcome of the peer."""
    names = set(NAMES.findall(text))
    types = {name: TYPES[name] for name in names if name in TYPES}
    answer = probe.evaluate(text, types, {name: values[name] for name in names})
    assert answer.finding is None
    return peer.ERROR if answer.error is not None else peer.shown(answer.value)


def compare(written: Written, several: Sequence[Mapping[str, object]], seen: Counter[str]) -> Iterator[str]:
    """Ask all about one expression and give what they do not agree on; `seen` counts what they said."""
    clause, policy = "when", loaded(written.text, "when")
    if policy == "wrong-type":
        clause, policy = "info =", loaded(written.text, "info =")
    if isinstance(policy, str):
        seen[f"refused: {policy}"] += 1
        if policy not in REFUSALS:
            yield f"{written.text}\n  {policy}"
        return
    plain, strict = peer.compiled(written.text), peer.compiled(written.strict)
    if plain is None or strict is None:
        seen["too deep for CEL"] += 1
        return
    seen["with types" if plain[1] else "without types"] += 1
    for values in several:
        ours, theirs, narrowed = evaluated(written.text, values), peer.outcome(plain[0], values), peer.outcome(strict[0], values)
        rule = held(decided(policy, values), clause)
        if ours != narrowed or ours not in (theirs, peer.ERROR) or rule != (ours if clause != "when" else str(ours == "true")):
            yield f"{written.text}\n  {written.strict}\n  {values}\n  eval {ours}, rule {rule}, CEL {theirs}, strict CEL {narrowed}"
        seen[said(ours, theirs)] += 1


def held(allow: Allow | None, clause: str) -> str:
    """Whether a condition held, or the outcome that a value had."""
    if clause == "when":
        return str(allow is not None)
    return peer.ERROR if allow is None else peer.shown(allow.info)


def said(ours: str, theirs: str) -> str:
    if ours != peer.ERROR:
        return f"both: {ours if ours in ('true', 'false') else 'another value'}"
    return "both: error" if theirs == peer.ERROR else "ours: error, CEL: value"


def run(part: int, make: Callable[[Random], Written]) -> Counter[str]:
    """Compare this part's expressions; of those on which all do not agree, the shortest are reported."""
    seen: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(part, EXAMPLES, PARTS):
        chance = Random(f"{SEED} {number}")  # noqa: S311 - the same dice again are wanted
        faults += compare(make(chance), [expressions.values(chance) for _ in range(4)], seen)
    lines = [f"  {count:9} {name}" for name, count in sorted(seen.items())]
    sys.stdout.write("\n".join([f"\nseed {SEED}, part {part + 1} of {PARTS}:", *lines, ""]))
    if faults:
        pytest.fail("\n".join([f"{len(faults)} disagreements of seed {SEED}; the shortest:", *sorted(faults, key=len)[:5]]))
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_an_expression_has_the_outcome_that_cel_gives_it(part: int) -> None:
    kinds = ("bool", "bool", "bool", "any", "int", "double", "text", "list", "map")
    seen = run(part, lambda chance: expressions.made(chance, expressions.GRAMMAR, chance.choice(kinds), chance.randint(1, 4)))
    wanted = ("both: true", "both: false", "both: another value", "both: error", "with types")
    assert EXAMPLES < 600 or [name for name in wanted if not seen[name]] == []


@pytest.mark.parametrize("part", range(PARTS))
def test_operators_bind_as_in_cel(part: int) -> None:
    seen = run(part, lambda chance: expressions.made(chance, expressions.FLAT, "whole", 4))
    assert seen["ours: error, CEL: value"] == 0
    assert seen["both: true"] > seen["refused: wrong-type"]


DIFFERENT = [
    # Clause: int and double compare by value. CEL turns the int into a double first, which above 2**53 loses digits.
    ("9007199254740993 == 9007199254740992.0", "false", "true"),
    ("9007199254740993 > 9007199254740992.0", "true", "false"),
    # Clause: int is 64 bit. CEL's conversion refuses the smallest of them.
    # Clause: overflow is an error, a condition is `bool`. CEL drops two signs in a row unread.
    ("- -x", peer.ERROR, "-9223372036854775808"),
    ("!!x", peer.ERROR, "-9223372036854775808"),
    # Clause: no mixed comparison; `in` and `==` absorb errors as `||` and `&&` do.
    ('x == "1"', peer.ERROR, "false"),
    ('x in ["1", 1]', peer.ERROR, "false"),
    ('[x, 1] == ["1", 2]', "false", "false"),
    # Clause: 1000 elements per macro; no list `+`; what `int` and `string` take; order is of numbers and of strings.
    ("y.all(i, i == 1)", peer.ERROR, "true"),
    ("size(y + y)", peer.ERROR, "2002"),
    ('int("+5")', peer.ERROR, "5"),
]
"""Where the language does not mean what CEL means: the expression, its outcome here and there.

The strict peer knows all but the first three."""


@pytest.mark.parametrize(("text", "ours", "theirs"), DIFFERENT)
def test_the_language_differs_from_cel_here(text: str, ours: str, theirs: str) -> None:
    values = {"x": -(2**63), "y": [1] * 1001}
    expression = peer.compiled(text)
    assert expression is not None
    assert evaluated(text, values) == ours
    assert peer.outcome(expression[0], values) == theirs
