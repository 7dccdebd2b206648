"""What comes with a decision that is not of one rule: the reply of `connect` and of an rpc."""

from collections.abc import Iterator, Sequence

from proxy.policy.checking.plan import AnswerPlan
from proxy.policy.overlap import Undecided, witness
from proxy.policy.patterns import Pattern
from proxy.policy.policy import Policy
from proxy.review.comparing.conditions import Conditions
from proxy.review.comparing.duties import Turn, lease
from proxy.review.comparing.logic import Key
from proxy.review.comparing.units import Pair


def compared(policies: Sequence[Policy], pair: Pair) -> Iterator[tuple[Turn, str]]:
    """Give what differs in the reply."""
    if pair.operation == "connect":
        yield from _connect(policies)
    elif pair.operation == "rpc" and all(pair.units):
        old, new = (policy.decider.plans.rpcs[pair.target].answer for policy in policies)
        if _answer(policies[0], 0, old) != _answer(policies[1], 1, new):
            yield "changed", "the answer is another one"


def _connect(policies: Sequence[Policy]) -> Iterator[tuple[Turn, str]]:
    old, new = (policy.decider.plans.connect for policy in policies)
    yield from lease((old.expire_ms, old.jitter), (new.expire_ms, new.jitter))
    readers = [Conditions(policy, side, None) for side, policy in enumerate(policies)]
    before, after = (
        {reader.spelled(code.node, code): code for code in plan.channels} for reader, plan in zip(readers, (old, new), strict=True)
    )
    for key, code in before.items():
        if key not in after:
            yield "tightened", f"no longer subscribes {readers[0].term(code.node, code).text}"
    for key, code in after.items():
        if key not in before:
            yield "loosened", f"subscribes {readers[1].term(code.node, code).text}"
    data = [reader.spelled(plan.data.node, plan.data) if plan.data else () for reader, plan in zip(readers, (old, new), strict=True)]
    if data[0] != data[1]:
        yield "changed", "its data is another expression"


def _answer(policy: Policy, side: int, answer: AnswerPlan) -> tuple[object, ...]:
    value: Key = Conditions(policy, side, None).spelled(answer.value.node, answer.value) if answer.value else ()
    return answer.kind, answer.limit, answer.remote, answer.path, value


def channel(inside: Sequence[Pattern], outside: Sequence[Pattern]) -> str | None:
    """A channel that matches what it must and nothing else; None for no channel at all."""
    try:
        return witness(inside, outside) if inside else None
    except Undecided:
        return None
