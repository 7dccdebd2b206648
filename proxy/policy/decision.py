"""A decision: what is asked, what may be answered."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

OPERATIONS = ("subscribe", "publish", "presence", "history", "map_publish", "map_remove")
"""What a client may do on a channel."""

RENEWALS = {"refresh": "connect", "sub_refresh": "subscribe"}
"""What a client prolongs by which operation."""

REASONS = ("allowed", "no_identity", "bad_channel", "no_channel", "no_method", "error", "fact_error", "schema", "limit", "no_rule")
"""Built-in reasons; any other reason is the name of a `deny`."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Request:
    """What is asked. Not frozen, because one is built for every hook and freezing doubles the cost; nobody changes one.

    `op` is one of `OPERATIONS` or `connect refresh sub_refresh rpc`; for a `service` it is the server API method.
    None means that the request has no such thing; `data` is JSON, where absent and null are the same.
    `ambiguous` says that the payload's text could be read in two ways (duplicate keys, numbers beyond 64 bits): rules that
    look at it fail as on a schema.
    """

    op: str
    user: str | None = None
    service: str | None = None
    channel: str | None = None
    method: str | None = None
    key: str | None = None
    client: str | None = None
    transport: str | None = None
    data: object = None
    ambiguous: bool = False
    meta: object = None
    labels: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None
    name: str = ""
    version: str = ""
    timestamp_ms: int | None = None

    @property
    def renewed(self) -> str | None:
        """What a client prolongs; None for all else, also for a service that has a connection refreshed."""
        return RENEWALS.get(self.op) if self.service is None else None

    @property
    def operation(self) -> str:
        """What rules are for, and see as `op`: what a client prolongs, if it does."""
        return self.renewed or self.op


FactKey = tuple[object, ...]
"""The fact's name, then its arguments in the order of its parameters."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A fact that was loaded and fits its type; `at_ms` is when (epoch milliseconds), `topics` are what invalidates it."""

    value: object
    at_ms: int = 0
    topics: tuple[str, ...] = dataclasses.field(default=(), compare=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A fact whose source failed; `why` is for operators, not for clients, `topics` are what invalidates the fact."""

    why: str
    topics: tuple[str, ...] = dataclasses.field(default=(), compare=False)


class Facts(Protocol):
    """The facts at hand. Looking one up never blocks and never loads."""

    def get(self, key: FactKey, /) -> Known | Lost | None:
        """The fact, or None when it must be loaded first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate limit to take one token from: `rate` tokens every `per_ms`, at most `burst` at once, one bucket per `rule` and `key`."""

    rule: str
    rate: int
    per_ms: int
    burst: int
    key: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """An rpc goes to an application: POST `path` of the `http` named `remote`."""

    remote: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An rpc is answered with the presence or history of a channel; `limit` counts publications."""

    kind: Literal["presence", "history"]
    channel: str
    limit: int | None


UNCHANGED = object()
"""`Allow.data` of a rule that leaves the payload as it is and never looked at it."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Allow:
    """A rule held. `rule` is its id, `at` is `file:line`.

    `data` is the payload to pass on (publish), the data of the reply (connect, subscribe) or the answer (rpc); UNCHANGED when the
    rule says nothing of it. `expire_ms` is a lifetime without its `jitter` (percent). `channels` are the server-side
    subscriptions of a connect with their own decisions; `left_out` those that were refused.
    """

    rule: str
    at: str
    revision: str
    facts: Mapping[FactKey, Known | Lost]
    reason: str = "allowed"
    data: object = UNCHANGED
    info: object = UNCHANGED
    tags: Mapping[str, str] | None = None
    skip_history: bool = False
    idempotency_key: str | None = None
    limit: Limit | None = None
    expire_ms: int | None = None
    jitter: int = 0
    channels: Mapping[str, "Allow"] | None = None
    left_out: Mapping[str, "Deny"] | None = None
    answer: Forwarding | Reading | None = None

    def until(self, now_ms: int, chance: Callable[[], float]) -> int | None:
        """The end of what is granted, in epoch seconds; None without `expire_ms`.

        `chance` gives a number from 0 to 1: the part of the jitter that shortens the lifetime, so that grants made together are not all
        renewed together. The end is at least a second away, because clients take one that has passed as a refusal for good.
        """
        if self.expire_ms is None:
            return None
        end, soonest = int(now_ms + self.expire_ms * (1 - self.jitter / 100 * chance())) // 1000, now_ms // 1000 + 1
        return end if end > soonest else soonest  # noqa: FURB136 - `max` takes twice as long, once for each grant and token


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Nothing held, or something forbids it: `reason` is one of `REASONS` or a deny's name; `rule` and `at` name what decided."""

    reason: str
    rule: str | None = None
    at: str | None = None
    revision: str = ""
    facts: Mapping[FactKey, Known | Lost] = dataclasses.field(default_factory=dict)
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NeedFacts:
    """The decision needs these facts; load them together and ask again."""

    keys: frozenset[FactKey]


Decision = Allow | Deny
