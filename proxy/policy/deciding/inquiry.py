"""One request before the policy: what was read, what is still needed, and how an expression is asked."""

from typing import Any, Protocol

from proxy.policy.checking.plan import DenyPlan, RulePlan
from proxy.policy.checking.world import Code
from proxy.policy.deciding.context import Context
from proxy.policy.deciding.evaluate import Statics, Watch, exact
from proxy.policy.decision import Deny, FactKey, Facts, Known, Lost, Request
from proxy.policy.failure import Exhausted

_NO_NEEDS: frozenset[FactKey] = frozenset()


class Ground(Protocol):
    """The policy by which it is decided."""

    statics: Statics
    revision: str


class Inquiry(Context):
    """The context of a decision `by` a policy, with what its steps share.

    A `watch` sees every part of the expressions, evaluated exactly.
    """

    __slots__ = ("by", "needs", "watch")

    def __init__(self, by: Ground, request: Request, facts: Facts, read: dict[FactKey, Known | Lost], watch: Watch | None = None) -> None:
        super().__init__(request, facts, read)
        self.by, self.watch = by, watch
        self.needs: frozenset[FactKey] = _NO_NEEDS

    def deny(self, reason: str, by: DenyPlan | RulePlan | None = None, detail: str = "") -> Deny:
        """A refusal, named after what refused."""
        return Deny(
            reason=reason,
            rule=by.id if by else None,
            at=by.at if by else None,
            revision=self.by.revision,
            facts=self.read,
            detail=detail,
        )

    def value(self, code: Code) -> Any:  # noqa: ANN401 - a JSON value
        """The value of an expression; raises `Failed`, `LostFact` or `Missing`."""
        if self.watch is None:
            try:
                return code.run(self, self.request)
            except Exhausted:  # nothing erred before, so the exact evaluation would get as far
                raise
            except Exception:  # noqa: BLE001, S110 - whatever it was, the exact evaluation says what it means
                pass
        return exact(code, self, self.by.statics, self.watch)
