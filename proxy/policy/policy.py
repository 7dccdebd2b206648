"""A loaded policy: what it declares, and its decisions."""

import dataclasses
from collections.abc import Mapping

from proxy.policy.checking.check import Set
from proxy.policy.checking.world import Book
from proxy.policy.deciding.compile import compile_all
from proxy.policy.deciding.decide import Decider, Outcome
from proxy.policy.deciding.evaluate import Statics
from proxy.policy.deciding.inquiry import Inquiry
from proxy.policy.decision import UNCHANGED, Facts, Request
from proxy.policy.declared import GuestIdentity
from proxy.policy.failure import Failed
from proxy.policy.functions import to_int
from proxy.policy.types import fitter


@dataclasses.dataclass(slots=True, kw_only=True)
class Seen:
    """What an identity's expressions may look at; `source` is the token's claims or the application's reply."""

    source: object
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    data: object = None
    name: str = ""
    version: str = ""


@dataclasses.dataclass(slots=True, kw_only=True)
class Person:
    """Who speaks: `user` is "" for a guest, `expires_at` is in epoch seconds, `info` is UNCHANGED when nothing is said."""

    user: str
    meta: Mapping[str, object] | None = None
    info: object = UNCHANGED
    expires_at: int | None = None


class Policy:
    """A policy set without errors; immutable, so that many may ask it at once."""

    def __init__(self, checked: Set, book: Book, revision: str) -> None:
        self.revision = revision
        self.databases, self.remotes, self.facts = checked.databases, checked.remotes, checked.facts
        self.identities, self.services, self.logging = checked.identities, checked.services, checked.logging
        self.answers = {method: plan.answer.kind for method, plan in checked.plans.rpcs.items()}
        self.meta = checked.meta
        self.claims = checked.claims
        self.guests = any(isinstance(i, GuestIdentity) for i in self.identities)
        fit = fitter(checked.meta) if checked.meta is not None else None
        compile_all(book, fit)
        statics = Statics(
            bindings=book.bindings,
            arguments={name: tuple(fitter(t) for t in types) for name, types in book.parameters.items()},
            patterns=book.patterns,
            meta=fit,
        )
        self._people = checked.plans.people
        self._fit_meta = fit
        self.decider = Decider(checked.plans, statics, revision, guests=self.guests)
        self.reads = {operation: checked.plans.reads(operation) for operation in ("connect", "subscribe")}

    def decide(self, request: Request, facts: Facts) -> Outcome:
        """Allow, Deny or the facts that must be loaded before asking again; total and pure."""
        return self.decider.decide(request, facts)

    def resting_on(self, facts: frozenset[str]) -> frozenset[str]:
        """The connections and subscriptions about which such facts may decide, as the ids of their rules begin."""
        return self.decider.plans.resting_on(facts)

    def person(self, identity: str, seen: Seen) -> Person | None:
        """Who the identity says is speaking; None when its expressions give no usable answer."""
        plan = self._people[identity]
        if plan.user is None:
            return Person(user="")
        request = Request(op="identity", headers=seen.headers, data=seen.data, name=seen.name, version=seen.version)
        inquiry = Inquiry(self.decider, request, {}, {})
        inquiry.payload = seen.source
        try:
            user = inquiry.value(plan.user)
            meta = inquiry.value(plan.meta) if plan.meta else None
            if self._fit_meta is not None and meta is not None:
                meta = self._fit_meta(meta)
            info = inquiry.value(plan.info) if plan.info else UNCHANGED
            expire = _seconds(inquiry.value(plan.expire)) if plan.expire else None
        except Exception:  # noqa: BLE001 - whatever went wrong: nobody is known by it
            return None
        return _person(user, meta, info, expire)


def _person(user: object, meta: object, info: object, expire: int | None) -> Person | None:
    if type(user) is int:
        user = str(user)
    if type(user) is not str or not user or not (meta is None or isinstance(meta, dict)):
        return None
    return Person(user=user, meta=meta, info=info, expires_at=expire)


def _seconds(value: object) -> int:
    if type(value) is str:
        raise Failed("an expiry is a number")
    return to_int(value)
