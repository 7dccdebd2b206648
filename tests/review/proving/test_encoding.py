"""The formulas of an expression come to what its exact evaluation comes to, whatever the expression and its variables are."""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
import z3

from proxy.policy.checking.world import Code
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Exact, Failure
from proxy.policy.decision import Request
from proxy.policy.policy import Policy
from proxy.policy.types import ANY, ListOf, Type
from proxy.review.proving.expressions import Formulas, Stand
from proxy.review.proving.logic import every, opposite
from proxy.review.proving.operators import equal
from proxy.review.proving.outcomes import Outcome
from proxy.review.proving.trees import Node, Tree, World, apply
from proxy.review.proving.values import SCALARS, Kind, constant
from tests.trust import expressions
from tests.trust.expressions import TYPES, UNTYPED
from tests.trust.test_cel import loaded

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "240"))
SEED = os.environ.get("FUZZ_SEED", "0")
PARTS = 4
YES, NO = z3.BoolVal(True), z3.BoolVal(False)  # noqa: FBT003 - terms
SORTS = {"int": z3.IntSort(), "double": z3.RealSort(), "string": z3.StringSort()}
KINDS: dict[type, Kind] = {type(None): "null", bool: "bool", int: "int", float: "double", str: "string", list: "list", dict: "map"}


def pinned(world: World, node: Node, type_: Type, value: object) -> Iterator[z3.BoolRef]:
    """That what was asked of a tree is what this value has."""
    tree = Tree(world, node, type_)
    kind = KINDS[type(value)]
    yield tree.kinds[kind]
    if kind in SCALARS and value is not None:
        yield tree.term(kind) == constant(value).term(kind)  # type: ignore[arg-type]  # likewise
    if isinstance(value, list) and isinstance(type_, ListOf) and str(type_.of) in SORTS:
        held = z3.K(SORTS[str(type_.of)], NO)
        for item in value:
            held = z3.Store(held, constant(item).term("int"), YES)
        yield apply(f"{node.name}!set:{type_.of}", (), held.sort()) == held
    if isinstance(value, list | dict):
        yield z3.Int(f"{node.name}!size") == len(value)
    for name, child in node.children.items() if isinstance(value, dict) else ():
        present, below = tree.member(name)
        assert isinstance(below, Tree)
        assert isinstance(value, dict)
        yield present == (name in value)
        if name in value:
            yield from pinned(world, child, below.type, value[name])


def same(found: Outcome, wanted: object) -> z3.BoolRef | None:
    """That the outcome is the wanted one; None where that cannot be said."""
    if isinstance(wanted, Failure):
        return found.err
    if isinstance(wanted, list | dict):
        return every((found.fine, found.value.kinds.get("list" if isinstance(wanted, list) else "map", NO)))
    if isinstance(wanted, float) and not math.isfinite(wanted):
        return None
    told = equal(found.value, constant(wanted))  # type: ignore[arg-type]  # a scalar
    kind = found.value.kinds.get(KINDS[type(wanted)], NO)
    return every((found.fine, kind, opposite(told.err), opposite(told.free), told.holds))


def code_of(policy: Policy) -> Code:
    ((_, plans),) = policy.decider.plans.channels
    (rule,) = plans["subscribe"].rules
    found = rule.when or rule.obligations.info
    assert found is not None
    return found


def judged(policy: Policy, values: dict[str, object]) -> str:
    """Ask both about one expression with these values; what they say, or raise AssertionError."""
    code = code_of(policy)
    meta, data = {name: values[name] for name in TYPES}, {name: values[name] for name in UNTYPED}
    request = Request(op="subscribe", user="u", channel="c", meta=meta, data=data)
    wanted = Exact(Context(request, {}, {}), policy.decider.statics, code).whole(code.node)
    world = World()
    found = Formulas(policy, world, Stand(names={"data": Tree(world, world.root("data"), ANY)})).outcome(code)
    told = same(found, wanted)
    if told is None:
        return "not comparable"
    pins = [*pinned(world, world.root("data"), ANY, data), z3.Not(world.flag("meta!misfit"))]
    pins += pinned(world, world.root("meta"), policy.meta or ANY, meta)
    solver = z3.Solver()
    solver.set("timeout", 10_000)
    solver.add(*world.axioms, *pins)
    possible = solver.check(told)
    assert possible != z3.unsat, f"impossible: {wanted!r}"
    if world.opaque:
        return "opaque"
    certain = solver.check(z3.Not(told))
    assert certain != z3.sat, f"not only: {wanted!r}"
    if z3.unknown in (possible, certain):
        return "too hard"
    return "error" if isinstance(wanted, Failure) else f"{str(wanted).lower()}" if isinstance(wanted, bool) else "value"


@pytest.mark.parametrize("part", range(PARTS))
def test_a_formula_comes_to_what_the_expression_comes_to(part: int) -> None:
    seen: Counter[str] = Counter()
    for number in range(part, EXAMPLES, PARTS):
        chance = Random(f"{SEED} {number}")  # noqa: S311 - the same dice again are wanted
        kinds = ("bool", "bool", "bool", "any", "int", "double", "text", "list", "map")
        written = expressions.made(chance, expressions.GRAMMAR, chance.choice(kinds), chance.randint(1, 4))
        policy = loaded(written.text, "when")
        if policy == "wrong-type":
            policy = loaded(written.text, "info =")
        if isinstance(policy, str):
            seen["refused"] += 1
            continue
        for _ in range(3):
            values = expressions.values(chance)
            try:
                seen[judged(policy, values)] += 1
            except AssertionError as error:
                pytest.fail(f"{written.text}\n  {values}\n  {error}")
    assert EXAMPLES < 240 or {"true", "false", "error", "value", "opaque"} <= seen.keys()
    assert seen["too hard"] <= sum(seen.values()) // 20
    sys.stdout.write(f"\n{dict(seen)}\n")
