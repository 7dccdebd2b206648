"""A grant: one connection or subscription that the policy allowed, with what it rests on."""

from dataclasses import dataclass
from typing import TypeAlias

from proxy.policy.decision import FactKey, Request

Key: TypeAlias = tuple[str, str]
"""Whose grant: a client's id, or `token:` and the token's `jti`; then the channel, `""` for the connection itself."""

TOKEN = "token:"  # noqa: S105 - the beginning of a key, no secret
"""Begins the holder of what a token grants: no client is known before it is used."""


@dataclass(slots=True, kw_only=True)
class Grant:
    """What was allowed; not frozen, because one is made for every hook.

    `request` can be decided again; it has no `headers` and no `data` but those that the policy reads. `rule` is the id of the rule that
    allowed it, `revision` that of its policy. `end_s` is when it ends by itself, in epoch seconds, None if it does not. It was given at
    `since_ms` and decided last at `decided_ms`; a token may be used until `usable_s`.
    """

    holder: str
    request: Request
    rule: str
    revision: str
    facts: tuple[FactKey, ...]
    end_s: int | None
    since_ms: int
    decided_ms: int
    usable_s: int | None = None

    @property
    def key(self) -> Key:
        """Under which it is kept."""
        return self.holder, self.channel

    @property
    def channel(self) -> str:
        """The channel that is subscribed to, `""` if it is a connection."""
        return self.request.channel or ""

    @property
    def minted(self) -> bool:
        """Whether it is a token, which any number of clients may use."""
        return self.usable_s is not None
