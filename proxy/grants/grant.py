"""A grant: one connection or subscription that the policy allowed, with what it rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from proxy.policy.decision import Known, Lost, Request

Key: TypeAlias = tuple[str, str, str]
"""Whose grant: the user; a client's id, or `token:` and the token's `jti`; the channel, `""` for the connection itself."""

TOKEN = "token:"  # noqa: S105 - the beginning of a key, no secret
"""Begins the holder of what a token grants: no client is known before it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What only some requests have, as far as the policy reads it."""

    data: object = None
    ambiguous: bool = False
    headers: Mapping[str, str] | None = None
    name: str = ""
    version: str = ""


@dataclass(slots=True, eq=False)
class Grant:
    """What was allowed; neither frozen nor made by names, because each hook makes one, and without the request, which is as large.

    It is equal to itself alone, since it is renewed in place. It is a subscription to `channel`, or a connection if that is `""`. `rule`
    is the id of the rule that allowed it, `revision` that of its policy, `topics` are what invalidates the facts that it rests on. `end_s`
    is when it ends by itself, in epoch seconds, None if it does not. It was given at `since_ms` and decided last at `decided_ms`; a token
    may be used until `usable_s`. `meta` is JSON, which takes a fourth of the room of what it says.
    """

    holder: str
    user: str
    channel: str
    rule: str
    revision: str
    end_s: int | None
    since_ms: int
    decided_ms: int
    transport: str | None = None
    more: More | None = None
    topics: tuple[str, ...] = ()
    meta: str | None = None
    usable_s: int | None = None

    @property
    def key(self) -> Key:
        """Under which it is kept."""
        return self.user, self.holder, self.channel

    @property
    def minted(self) -> bool:
        """Whether it is a token, which any number of clients may use."""
        return self.usable_s is not None

    def renew(self, later: "Grant") -> None:
        """Take over what the same was granted later, on the same topics."""
        self.rule, self.revision, self.end_s = later.rule, later.revision, later.end_s
        self.since_ms, self.decided_ms = later.since_ms, later.decided_ms
        self.usable_s, self.more = later.usable_s, later.more
        if self.transport != later.transport:
            self.transport = later.transport
        if self.meta != later.meta:
            self.meta = later.meta

    def share(self, other: "Grant") -> None:
        """Refer to what another grant of the user has, instead of to equal copies."""
        self.user = other.user
        if self.holder == other.holder:
            self.holder = other.holder
        if self.meta == other.meta:
            self.meta = other.meta
        if self.topics == other.topics:
            self.topics = other.topics

    def request(self, now_ms: int) -> Request:
        """Give the request by which it is decided again, at this time."""
        more = self.more or _NONE
        return Request(
            op="sub_refresh" if self.channel else "refresh",
            user=self.user,
            channel=self.channel or None,
            client=None if self.minted else self.holder,
            transport=self.transport,
            data=more.data,
            ambiguous=more.ambiguous,
            meta=None if self.meta is None else orjson.loads(self.meta),
            headers=more.headers,
            name=more.name,
            version=more.version,
            timestamp_ms=now_ms,
        )


def topics(facts: Iterable[Known | Lost]) -> tuple[str, ...]:
    """Give what invalidates any of these facts; what two of them share stands there once."""
    found: tuple[str, ...] = ()
    for fact in facts:
        more = fact.topics
        for topic in found:
            if topic not in more:
                found += tuple(topic for topic in more if topic not in found)
                break
        else:
            found = more  # which needs no tuple of its own
    return found


_NONE = More()
