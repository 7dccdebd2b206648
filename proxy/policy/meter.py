"""How much work a decision may take: what grows with a payload is paid in steps, and when they are spent it ends.

A step is about what compiled code needs for one operator.
"""

from proxy.policy.failure import Exhausted

STEPS = 6_000_000
"""Steps of one decision: enough for two macros over 1000 elements each, the inner one with five operators, names and constants."""

FAILURE = 8
"""Steps that an error inside a macro costs on top: raising and absorbing it takes longer than an operator."""

GRAIN = 64
"""Characters that are handled in one step."""


class Meter:
    """What is left of the steps of one decision; once it is below zero, whatever has to pay fails."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEPS

    def spend(self, steps: int) -> None:
        """Pays for work before it is done; raises `Exhausted`."""
        self.left -= steps
        if self.left < 0:
            raise Exhausted("the decision takes too much work")


class _Free(Meter):
    """For members that stand in the policy: the expression's own length pays for them."""

    __slots__ = ()

    def spend(self, steps: int) -> None:
        """Costs nothing."""


FREE = _Free()
