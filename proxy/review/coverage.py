"""What tests leave untried: conditions that never held or never failed to hold, facts that were never lost."""

import dataclasses
from collections.abc import Iterator

from proxy.policy.checking.world import Code
from proxy.policy.deciding.evaluate import Outcome
from proxy.policy.decision import Allow, Deny, Lost
from proxy.policy.findings import Position
from proxy.policy.policy import Policy
from proxy.policy.reading.syntax import Chain, Conditional, Expression, Literal, Name, Paren, Unary
from proxy.review.cases import every
from proxy.review.wording import worded


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that no test tried: an atomic condition with its place, or a fact, which has none; `lacks` says what is missing."""

    what: str
    lacks: str
    at: Position | None = None


class Meter:
    """Counts what the decisions of a test run evaluate."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._seen: dict[int, set[bool]] = {}
        self._lost: set[str] = set()

    def watch(self, node: Expression, outcome: Outcome) -> None:
        """Takes one evaluation, as `proxy.policy.deciding.evaluate.Watch`."""
        if outcome is True or outcome is False:
            self._seen.setdefault(id(node), set()).add(outcome)

    def note(self, found: Allow | Deny) -> None:
        """Takes one decision."""
        self._lost.update(str(key[0]) for key, fact in found.facts.items() if isinstance(fact, Lost))

    def gaps(self) -> tuple[Gap, ...]:
        """What was not tried: conditions in the order of files and lines, then facts."""
        return (
            *self._conditions(),
            *(Gap(what=f"fact {name}", lacks="never fails") for name in self._policy.facts if name not in self._lost),
        )

    def _conditions(self) -> Iterator[Gap]:
        plans = [*every(self._policy.decider.plans)]
        codes = [deny.when for plan in plans for deny in plan.denies] + [rule.when for plan in plans for rule in plan.rules if rule.when]
        nodes = {id(node): node for code in codes for node in self._atoms(code, code.node)}
        for node in sorted(nodes.values(), key=lambda node: node.at):
            seen = self._seen.get(id(node), set())
            if len(seen) < len((True, False)):
                lacks = f"never {'false' if True in seen else 'true'}" if seen else "never evaluated"
                yield Gap(what=worded(node), lacks=lacks, at=node.at)

    def _atoms(self, code: Code, node: Expression) -> Iterator[Expression]:
        """The conditions of which a condition is made, those of lets included."""
        match node:
            case Literal():
                return
            case Chain():
                inner: tuple[Expression, ...] = node.terms
            case Unary() | Paren():
                inner = (node.of,)
            case Conditional():
                inner = (node.test, node.then, node.other)
            case Name():
                lets = {binding.name: binding.value for binding in (self._policy.decider.statics.bindings[s] for s in code.uses.direct)}
                let = lets.get(node.id)
                yield from self._atoms(let, let.node) if let else (node,)
                return
            case _:
                yield node
                return
        for part in inner:
            yield from self._atoms(code, part)
