"""What the hooks ask of others."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from proxy.identity.chain import Credentials, Refusal
from proxy.policy.decision import Allow, Deny, Request
from proxy.policy.policy import Person
from proxy.wire.api import Command, Outcome

Clock: TypeAlias = Callable[[], int]
"""Gives epoch milliseconds."""

Watch: TypeAlias = Callable[[Request, Allow | Deny], None]
"""Is told of a decision; never raises and never waits."""

Renewed: TypeAlias = tuple[str, str, str]
"""A user, a client and, for a subscription, its channel: what is prolonged."""


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

    def known(self, credentials: Credentials) -> Person | Refusal | None:
        """Find it out as `identify` does if nobody has to be asked, else None; never waits."""

    async def recall(self, credentials: Credentials, user: str) -> Person | Refusal | None:
        """Find out who shows them now, since `user` was connected by them; None when they say nothing."""


class Grace(Protocol):
    """How long something lives on while nobody can decide about it."""

    def extends(self, key: Renewed) -> bool:
        """Whether it may be prolonged once more without a decision."""

    def settle(self, key: Renewed) -> None:
        """Forget the trouble with it: there was a decision."""


class Ledger(Protocol):
    """Where it is written down what was allowed, so that it can be taken back; `end_s` is when that ends by itself, in epoch seconds."""

    def connected(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """A connection was allowed or prolonged, with the subscriptions that it begins with."""

    def subscribed(self, request: Request, allow: Allow, end_s: int | None) -> None:
        """A subscription was allowed or prolonged."""

    def ended(self, user: str, client: str, channel: str) -> None:
        """A connection (channel `""`) or a subscription was not prolonged."""


class Applications(Protocol):
    """The applications that a policy names."""

    async def forward(self, remote: str, path: str, told: Mapping[str, object]) -> object:
        """Give what an application replies to this; raises `FactFault`."""


class Courier(Protocol):
    """The way to Centrifugo's server API."""

    async def send(self, command: Command, /) -> Outcome:
        """Have one command carried out; raises `DeliveryFault` and `Overload`."""
