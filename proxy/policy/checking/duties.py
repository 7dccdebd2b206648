"""Checks the obligations of an allow rule."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from proxy.policy.checking.flow import Known
from proxy.policy.checking.infer import value
from proxy.policy.checking.plan import LimitPlan, Obligations
from proxy.policy.checking.world import Book, Code, Scope
from proxy.policy.reading import clauses, obligations
from proxy.policy.types import ANY, STRING

PAYLOADS = ("publish", "map_publish")
WITH_DATA = (*PAYLOADS, "subscribe", "connect", "rpc")
MEANT: Mapping[str, tuple[str, ...]] = {
    "schema": WITH_DATA,
    "stamp": PAYLOADS,
    "tags": (*PAYLOADS, "map_remove"),
    "skip_history": ("publish",),
    "idempotency": (*PAYLOADS, "map_remove"),
    "info": ("subscribe",),
    "data": ("subscribe",),
    "expire": ("subscribe",),
}
"""Operations for which an obligation has a meaning; `limit` has one for all."""

_WORDS = {
    obligations.Schema: "schema",
    obligations.Stamp: "stamp",
    obligations.Tags: "tags",
    obligations.SkipHistory: "skip_history",
    obligations.Idempotency: "idempotency",
    obligations.Expire: "expire",
    obligations.Limit: "limit",
}


def base(operation: str) -> str:
    """The client operation whose obligations a service method takes: `service broadcast` takes those of `publish`."""
    method = operation.removeprefix("service ")
    return "publish" if method == "broadcast" else method


def applies(name: str, operation: str) -> bool:
    """Whether an obligation has a meaning for an operation."""
    return name == "limit" or base(operation) in MEANT[name]


class Duties:
    """The obligations of one rule, checked once and then given to each operation they mean something for."""

    def __init__(self, book: Book, node: obligations.Allow, ops: list[str], scope: Scope) -> None:
        self.book, self.node, self.ops, self.scope = book, node, ops, scope
        self.found: dict[str, Any] = {}

    def check(self, known: Known) -> None:
        """Checks each obligation."""
        for obligation in self.node.obligations:
            name = obligation.name.text if isinstance(obligation, clauses.Assign) else _WORDS[type(obligation)]
            where = [op for op in self.ops if applies(name, op)]
            if name in self.found:
                self.book.find("wrong-obligation", obligation.at, f"{name} stands twice")
            elif not where and self.ops:
                self.book.find("wrong-obligation", obligation.at, f"{name} has no meaning for {', '.join(self.ops)}")
            scope = dataclasses.replace(self.scope, where=frozenset(where))
            self.found[name] = self._checked(obligation, scope, known)

    def _checked(self, obligation: obligations.Obligation, scope: Scope, known: Known) -> object:
        match obligation:
            case obligations.Stamp():
                return self._stamp(obligation, scope, known)
            case obligations.Tags():
                return self._tags(obligation, scope, known)
            case obligations.Idempotency():
                return value(obligation.value, self.book, scope, known, STRING)
            case clauses.Assign():
                return value(obligation.value, self.book, scope, known)
            case obligations.Limit():
                return self._limit(obligation)
            case _:
                return obligation

    def _tags(self, node: obligations.Tags, scope: Scope, known: Known) -> Code:
        code = value(node.value, self.book, scope, known)
        for _, item in node.value.entries:
            found = self.book.types[id(item)]
            if found not in (STRING, ANY):
                self.book.find("wrong-type", item.at, f"a tag is a string, found {found}")
        return code

    def _stamp(self, node: obligations.Stamp, scope: Scope, known: Known) -> tuple[tuple[str, Code], ...]:
        seen: set[str] = set()
        for key, _ in node.members:
            if key.value in seen:
                self.book.find("duplicate-name", key.at, f'"{key.value}" is stamped twice')
            seen.add(key.value)
        return tuple((key.value, value(item, self.book, scope, known)) for key, item in node.members)

    def _limit(self, node: obligations.Limit) -> LimitPlan:
        services = any(op.startswith("service ") for op in self.ops)
        allowed = ["service", "channel"] if services else ["user", "client"]
        if not services and not {"connect", "rpc"} & set(self.ops):
            allowed.append("channel")
        for word in node.per:
            if word.text not in allowed:
                self.book.find("wrong-obligation", word.at, f'a limit here is not per "{word.text}"', f"it can be per {', '.join(allowed)}")
        return LimitPlan(
            rate=node.count.value,
            per_ms=node.every.ms,
            burst=node.burst.value if node.burst else node.count.value,
            per=tuple(w.text for w in node.per) or (allowed[0],),
        )

    def of(self, operation: str) -> Obligations:
        """The obligations for one operation."""
        own = {name: found for name, found in self.found.items() if applies(name, operation)}
        expire: obligations.Expire | None = own.get("expire")
        return Obligations(
            stamp=own.get("stamp", ()),
            tags=own.get("tags"),
            skip_history="skip_history" in own,
            idempotency=own.get("idempotency"),
            info=own.get("info"),
            data=own.get("data"),
            expire_ms=expire.duration.ms if expire else None,
            jitter=expire.jitter.value if expire and expire.jitter else 0,
            limit=own.get("limit"),
        )
