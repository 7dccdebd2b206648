"""Reviewing: comparing two large policies, deciding a log again, proving invariants, counting what tests try."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final
from unittest.mock import patch

from bench import sample
from bench.ratios import CONTROL, Findings, interval
from proxy.policy.deciding.evaluate import Outcome
from proxy.policy.decision import Allow, Deny, NeedFacts
from proxy.policy.load import load
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Expression
from proxy.review import trials
from proxy.review.comparing.changes import Version
from proxy.review.comparing.compare import compare
from proxy.review.coverage import Meter
from proxy.review.flips import Tally
from proxy.review.journal import Veil, line
from proxy.review.proving.prove import prove
from proxy.review.proving.reach import idle
from proxy.review.replay import Replay
from proxy.stores import folder

BLOCKS: Final = 200
LINES: Final = 5_000
REPLAY_GOAL: Final = 5.0
UNCHANGED_GOAL: Final = 0.8
"""Of the time that it takes to load one of the policies."""
CHANGED_GOAL: Final = 4.0

WHOLE: Final = 100
_ROUNDS: Final = 6
_TESTED: Final = 20
_SLACK: Final = 0.1


def replaying() -> Findings:
    """Read, decide and compare logged decisions, in times of deciding the same requests."""
    policy, by = sample.policy(1), Replay(sample.policy(1))
    raw = [entry for op in ("subscribe", "publish") for entry in _logged(policy, op)]
    entries = [raw[number % len(raw)] for number in range(LINES)]
    asked = [(request, sample.facts(op)) for op in ("subscribe", "publish") for request in sample.requests(op)]
    requests = [asked[number % len(asked)] for number in range(LINES)]

    def again() -> None:
        tally = Tally()
        for number, each in enumerate(entries, 1):
            by.line(each, number, tally)
        assert (tally.same, tally.read) == (LINES, LINES)

    def decided() -> None:
        for request, facts in requests:
            policy.decide(request, facts)

    yardstick, spent = [_timed(decided)], []
    for _ in range(_ROUNDS):
        spent.append(_timed(again))
        yardstick.append(_timed(decided))
    ratios = [2 * each / (before + after) for each, (before, after) in zip(spent, pairwise(yardstick), strict=True)]
    return Findings(
        yardstick="a decision",
        intervals={CONTROL: interval([after / before for before, after in pairwise(yardstick)]), "replay a line": interval(ratios)},
        goals={"replay a line": REPLAY_GOAL},
        slack=_SLACK,
        amounts={"lines replayed a second, of one core": LINES / min(spent)},
    )


def comparing() -> Findings:
    """Compare 200 blocks with themselves laid out anew, and with 200 rules that allow one more role, in times of loading them."""
    files = sample.files(BLOCKS)
    policies = {name: _version(_edited(files, *edit)) for name, edit in _EDITS.items()}
    old = _version(files)
    yardstick = [_timed(lambda: load(files)) for _ in range(_ROUNDS + 1)]
    spent = {name: [_timed(partial(compare, old, new)) for _ in range(_ROUNDS)] for name, new in policies.items()}
    changed = compare(old, policies["compare 200 changed rules"])
    assert [change.kind for change in changed.changes] == ["newly allowed"] * BLOCKS
    assert all(change.witness for change in changed.changes)
    middles = [(before + after) / 2 for before, after in pairwise(yardstick)]
    ratios = {name: interval([each / middle for each, middle in zip(times, middles, strict=True)]) for name, times in spent.items()}
    return Findings(
        yardstick=f"loading {BLOCKS} blocks",
        intervals={CONTROL: interval([after / before for before, after in pairwise(yardstick)]), **ratios},
        goals={"compare 200 blocks unchanged": UNCHANGED_GOAL, "compare 200 changed rules": CHANGED_GOAL},
        slack=_SLACK,
        amounts={f"{name}, s": min(times) for name, times in spent.items()},
    )


def proving() -> Findings:
    """Prove the invariants of the sample and look for its idle rules, in times of loading it; and one invariant about 200 blocks."""
    files, _ = folder.read(Path(__file__).parents[1] / "policies")
    many = {**sample.files(BLOCKS), "z.policy": _EVERYWHERE}
    policy, wide = load(files).policy, load(many).policy
    assert policy is not None
    assert wide is not None
    assert all(proof.state == "proved" for proof in [*prove(policy, files, _PATIENCE_MS), *prove(wide, many, _PATIENCE_MS)])
    assert not idle(policy, files, _PATIENCE_MS)
    tasks = {
        "prove the sample's invariants": lambda: prove(policy, files, _PATIENCE_MS),
        "find the sample's idle rules": lambda: idle(policy, files, _PATIENCE_MS),
    }
    yardstick = [_timed(lambda: load(files)) for _ in range(_ROUNDS + 1)]
    spent = {name: [_timed(task) for _ in range(_ROUNDS)] for name, task in tasks.items()}
    middles = [(before + after) / 2 for before, after in pairwise(yardstick)]
    ratios = {name: interval([each / middle for each, middle in zip(times, middles, strict=True)]) for name, times in spent.items()}
    one = _timed(lambda: prove(wide, many, _PATIENCE_MS))
    return Findings(
        yardstick="loading the sample",
        intervals={CONTROL: interval([after / before for before, after in pairwise(yardstick)]), **ratios},
        slack=_SLACK,
        amounts={f"{name}, ms": min(times) * 1000 for name, times in spent.items()} | {f"an invariant about {BLOCKS} blocks, s": one},
    )


class _Blind(Meter):
    """Counts nothing."""

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Pass over what an expression came to."""

    def note(self, found: Allow | Deny) -> None:
        """Pass over a decision."""


def covering() -> Findings:
    """Run the sample's tests, in times of running them without counting what they try; and those of loading it."""
    files, _ = folder.read(Path(__file__).parents[1] / "policies")
    policy = load(files).policy
    assert policy is not None
    assert trials.run(policy, files).coverage.percent == WHOLE

    def blind() -> None:
        with patch.object(trials, "Meter", _Blind):
            trials.run(policy, files)

    yardstick, spent = [_timed(blind)], []
    for _ in range(_TESTED):
        spent.append(_timed(lambda: trials.run(policy, files)))
        yardstick.append(_timed(blind))
    ratios = [2 * each / (before + after) for each, (before, after) in zip(spent, pairwise(yardstick), strict=True)]
    control = interval([after / before for before, after in pairwise(yardstick)])
    return Findings(
        yardstick="running tests without counting",
        intervals={CONTROL: control, "count what the tests try": interval(ratios)},
        slack=_SLACK,
        amounts={
            "the sample's tests, ms": min(spent) * 1000,
            "loading the sample, ms": min(_timed(lambda: load(files)) for _ in range(3)) * 1000,
        },
    )


_PATIENCE_MS: Final = 600_000
_EVERYWHERE: Final = b'language 1; never allow publish on "{all*}" for users when me.suspended;'


_EDITS: Final = {
    "compare 200 blocks unchanged": ('channel "', '\nchannel "'),
    "compare 200 changed rules": ('["editor", "owner"]', '["editor", "owner", "viewer"]'),
}


def _edited(files: Mapping[str, bytes], old: str, new: str) -> Mapping[str, bytes]:
    return {name: data.replace(old.encode(), new.encode()) for name, data in files.items()}


def _version(files: Mapping[str, bytes]) -> Version:
    policy = load(files).policy
    assert policy is not None
    return Version(policy=policy, files=files)


def _logged(policy: Policy, op: str) -> list[bytes]:
    veil, facts = Veil(policy.logging, policy.identities), sample.facts(op)
    decided = [(request, policy.decide(request, facts)) for request in sample.requests(op)]
    return [line(request, found, request.timestamp_ms or 0, veil) for request, found in decided if not isinstance(found, NeedFacts)]


def _timed(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began
