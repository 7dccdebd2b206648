"""Whether a decision looks at something that the decision log masks."""

from collections import Counter
from collections.abc import Sequence

from proxy.policy.checking.flow import is_null
from proxy.policy.checking.plan import RulePlan
from proxy.policy.deciding.decide import Decision
from proxy.policy.deciding.evaluate import Failure, Outcome
from proxy.policy.decision import Allow, Deny, Facts, NeedFacts, Request
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Binary, Expression, Has, Index, Literal, Member, Name
from proxy.review.journal import MASK
from proxy.review.trace import plan
from proxy.review.wording import worded


def looked_at(policy: Policy, request: Request, facts: Facts) -> str:
    """What of the masked parts the decision looks at, in words; empty where it looks at none."""
    watching = _Watching(request)
    found = Decision(policy.decider, request, facts, {}, watching.watch).decide()
    if watching.seen:
        return f"{watching.seen} is masked"
    if watching.held:
        return "a masked part is looked at"
    if isinstance(found, NeedFacts) or not masked(request.data):
        return ""
    return "data is masked, which a schema looks at" if any(rule.schema for rule in _reached(policy, request, found)) else ""


def masked(value: object) -> bool:
    """Whether a value is masked or holds something masked."""
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text if text == MASK:
                return True
            case list() as items:
                pending.extend(items)
            case dict() as members:
                pending.extend(members.values())
    return False


class _Watching:
    """Notes values that are masked; one that holds something masked counts unless the next step takes a member of it."""

    def __init__(self, request: Request) -> None:
        self.seen = ""
        self._meta = masked(request.meta)
        self._holding: Counter[int] = Counter()
        self._outcomes: dict[int, Outcome] = {}
        self._latest: Outcome = None

    @property
    def held(self) -> bool:
        """Whether something that holds a masked part was taken as a whole."""
        return any(count > 0 for count in self._holding.values())

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Take one evaluation, as `proxy.policy.deciding.evaluate.Watch`."""
        self._outcomes[id(node)] = outcome
        for part in _passed(node):
            self._holding[id(self._outcomes.get(id(part)))] -= 1
        if isinstance(node, Literal):
            return
        unfit = self._meta and isinstance(node, Name) and node.id == "meta" and isinstance(outcome, Failure)
        if unfit or (isinstance(outcome, str) and outcome == MASK):
            self.seen = self.seen or worded(node)
        elif isinstance(outcome, dict | list) and outcome is not self._latest and masked(outcome):
            self._holding[id(outcome)] += 1
        self._latest = outcome


def _passed(node: Expression) -> Sequence[Expression]:
    """What of the parts of an expression is not looked into: that of which it takes a member, or compares with null."""
    match node:
        case Member() | Index() | Has():
            return (node.of,)
        case Binary(op="==" | "!="):
            return (node.left, node.right) if is_null(node.left) or is_null(node.right) else ()
        case _:
            return ()


def _reached(policy: Policy, request: Request, found: Allow | Deny) -> Sequence[RulePlan]:
    """The rules that were tried."""
    tried = plan(policy.decider, request)
    if any(found.rule == deny.id for deny in tried.denies):
        return ()
    last = next(
        (number for number, rule in enumerate(tried.rules, 1) if isinstance(found, Allow) and rule.id == found.rule), len(tried.rules)
    )
    return tried.rules[:last]
