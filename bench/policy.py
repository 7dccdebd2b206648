"""Decisions of the policy against the same written by hand, and with one channel block against thousands."""

from collections.abc import Callable
from typing import Final

from bench import byhand, calls, sample
from bench.calls import Candidate
from bench.ratios import Findings
from proxy.policy.decision import Allow, Request

DECIDE_GOAL: Final = 4.0
BLOCKS_GOAL: Final = 1.15
MANY: Final = 2000

Decide = Callable[[Request, sample.Facts], object]


def publish() -> Findings:
    """Compare a publish with the hand-written one."""
    return _decisions("publish")


def subscribe() -> Findings:
    """Compare a subscribe with the hand-written one."""
    return _decisions("subscribe")


def blocks() -> Findings:
    """Compare a publish among many blocks with one where there is but one."""
    few, many = sample.policy(1), sample.policy(MANY)
    name = f"the same of {MANY:,}"
    candidates = [_candidate(name, "publish", many.decide, many.revision)]
    found = calls.run(_candidate("one block", "publish", few.decide, few.revision), candidates, {name: BLOCKS_GOAL})
    return Findings(yardstick="a policy of one channel block", intervals=found, goals={name: BLOCKS_GOAL})


def _decisions(op: str) -> Findings:
    policy = sample.policy(1)
    author = byhand.Author(policy.revision)
    name = f"decide, {op}"
    candidates = [_candidate(name, op, policy.decide, policy.revision)]
    found = calls.run(_candidate("by hand", op, author.decide, policy.revision), candidates, {name: DECIDE_GOAL})
    return Findings(yardstick="the same decision by hand", intervals=found, goals={name: DECIDE_GOAL})


def _candidate(name: str, op: str, decide: Decide, revision: str) -> Candidate:
    """Expect of a policy what the hand-written function says, and that half the inputs are allowed."""
    requests, facts = sample.requests(op), sample.facts(op)
    author = byhand.Author(revision)
    expected = [author.decide(request, facts) for request in requests]
    assert sum(isinstance(each, Allow) for each in expected) == sample.INPUTS // 2
    return Candidate(name=name, call=decide, inputs=[(request, facts) for request in requests], expected=expected)
