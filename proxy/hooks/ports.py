"""What the hooks ask of others."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from proxy.identity.chain import Credentials, Refusal
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Person

Clock: TypeAlias = Callable[[], int]
"""Gives epoch milliseconds."""

Watch: TypeAlias = Callable[[Request, Allow | Deny], None]
"""Is told of a decision; never raises and never waits."""

Renewed: TypeAlias = tuple[str, str]
"""A client and, for a subscription, its channel: what is prolonged."""


class Decider(Protocol):
    """Where decisions come from."""

    def now(self, request: Request) -> Allow | Deny | None:
        """Decide one request if nothing has to be waited for, as `decide` does; else None, and nothing has happened."""

    async def decide(self, request: Request) -> Allow | Deny:
        """Decide one request; takes one token of the limit of the rule that allows it."""


class Identifier(Protocol):
    """Who says whose a credential is."""

    async def identify(self, credentials: Credentials) -> Person | Refusal:
        """Find out who shows these credentials."""


class Grace(Protocol):
    """How long something lives on while nobody can decide about it."""

    def extends(self, key: Renewed) -> bool:
        """Whether it may be prolonged once more without a decision."""

    def settle(self, key: Renewed) -> None:
        """Forget the trouble with it: there was a decision."""
