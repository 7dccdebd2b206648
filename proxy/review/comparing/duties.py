"""What a grant brings with it besides being one: which of it is looser or tighter than before."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from proxy.policy.checking.plan import LimitPlan, Obligations
from proxy.review.comparing.logic import Key

Turn = Literal["loosened", "tightened", "changed"]

Spelled = Mapping[str, Key]
"""The expressions of a rule's obligations, by what they are for."""

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def compared(before: Obligations, after: Obligations, spelled: tuple[Spelled, Spelled]) -> Iterator[tuple[Turn, str]]:
    """Give what differs, and how: a lease or limit that holds back less, or a stamp that the sender may now set, is loosened."""
    yield from lease((before.expire_ms, before.jitter), (after.expire_ms, after.jitter))
    yield from _limit(before.limit, after.limit)
    yield from _expressions(*spelled)
    if before.skip_history is not after.skip_history:
        yield "changed", f"skip_history {'stands' if after.skip_history else 'is gone'}"


def lease(before: tuple[int | None, int], after: tuple[int | None, int]) -> Iterator[tuple[Turn, str]]:
    """Compare two `expire`s, each milliseconds and jitter; no end is the longest."""
    (old, jitter), (new, other) = before, after
    if old != new:
        shorter = new is not None and (old is None or new < old)
        yield "tightened" if shorter else "loosened", f"expire {_lasting(old)} → {_lasting(new)}"
    elif jitter != other:
        yield "changed", f"jitter {jitter}% → {other}%"


def _limit(before: LimitPlan | None, after: LimitPlan | None) -> Iterator[tuple[Turn, str]]:
    if before == after:
        return
    text = f"limit {limited(before)} → {limited(after)}"
    if before is None or after is None:
        yield "tightened" if after else "loosened", text
        return
    steps = [after.rate * before.per_ms - before.rate * after.per_ms, after.burst - before.burst]
    steps += [len({*after.per} - {*before.per}), -len({*before.per} - {*after.per})]  # more parts in the key, more buckets
    if min(steps) >= 0 and max(steps) > 0:
        yield "loosened", text
    elif max(steps) <= 0 and min(steps) < 0:
        yield "tightened", text
    else:
        yield "changed", text


def _expressions(before: Spelled, after: Spelled) -> Iterator[tuple[Turn, str]]:
    for name in [*before, *(each for each in after if each not in before)]:
        if before.get(name) == after.get(name):
            continue
        stamp = name.startswith("stamp ")
        if name not in after:
            yield "loosened" if stamp else "changed", f"{name} is gone"
        elif name not in before:
            yield "tightened" if stamp else "changed", f"{name} is new"
        else:
            yield "changed", f"{name} is another expression"


def _lasting(span: int | None) -> str:
    return "never" if span is None else time(span)


def time(span: int) -> str:
    """A duration in the largest unit that divides it."""
    unit, length = next((unit, length) for unit, length in _UNITS if span % length == 0)
    return f"{span // length}{unit}"


def limited(plan: LimitPlan | None) -> str:
    """A limit as a policy has it, `none` where there is none."""
    if plan is None:
        return "none"
    return f"{plan.rate}/{time(plan.per_ms)} burst {plan.burst} per {', '.join(plan.per)}"
