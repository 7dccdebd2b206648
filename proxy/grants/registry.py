"""Who holds what: every connection and subscription that was allowed and may still live."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from sys import intern
from typing import Final, TypeAlias

from proxy.grants.grant import TOKEN, Grant, Key
from proxy.grants.index import Index
from proxy.policy.decision import FactKey

SLACK_S: Final = 120
"""Seconds that a grant is kept beyond its end: Centrifugo asks about an ended subscription up to 52 s late, and again after 60 s."""

STEP_S: Final = 8
"""Grants whose ends are no further apart than this are forgotten together."""

RECENT_S: Final = 60
"""Seconds that an invalidation is remembered: longer than any decision takes, so that none made with a stale fact slips in behind it."""

_Changed: TypeAlias = str | FactKey
"""A topic, or the name of a fact alone in a tuple: all of that fact."""


class Registry:
    """Grants by key, found by user and topic.

    `clock` gives epoch milliseconds, `topics` what invalidates a fact, which is the same until `relist` is called.

    At most `most` are kept. Above that the oldest are forgotten, counted in `evicted`: they live on until their leases end, but no change
    can take them back before.
    """

    def __init__(self, topics: Callable[[FactKey], Iterable[str]], clock: Callable[[], int], *, most: int = 1_000_000) -> None:
        self.evicted = 0
        self.changed: Callable[[Key], None] | None = None
        """Hears of every grant that is held or dropped."""
        self._topics_of = topics
        self._clock = clock
        self._most = most
        self._grants: dict[Key, Grant] = {}
        self._users: Index[str, Key] = Index()
        self._topics: Index[str, Key] = Index()
        self._tokens: dict[str, Key] = {}
        self._ends: dict[int, list[Key]] = {}
        self._dropped: dict[_Changed, int] = {}
        self._drops: deque[tuple[int, _Changed]] = deque()

    def __len__(self) -> int:
        """Give the number of grants."""
        return len(self._grants)

    def get(self, key: Key) -> Grant | None:
        """Give the grant of a key."""
        return self._grants.get(key)

    def hold(self, grant: Grant) -> bool:
        """Keep a grant in place of an earlier one of its key; False if a fact that it rests on was invalidated since it was loaded."""
        key = grant.key
        if self.changed is not None:
            self.changed(key)
        before = self._grants.get(key)
        if before is None:
            if len(self._grants) >= self._most:
                self._evict()
        elif (before.facts, before.rule, before.user) == (grant.facts, grant.rule, grant.user):
            self._replace(key, before, grant)
            return self._current(grant)
        else:
            self.drop(key)
        self._share(grant)
        key = grant.key
        self._grants[key] = grant
        self._enter(key, grant)
        self._schedule(key, grant.end_s)
        return self._current(grant)

    def drop(self, key: Key) -> None:
        """Forget a grant."""
        grant = self._grants.pop(key, None)
        if grant is None:
            return
        if self.changed is not None:
            self.changed(key)
        if self._tokens.get(grant.holder) == key:
            del self._tokens[grant.holder]
        self._users.discard(grant.user, key)
        for topic in self._topics_under(grant):
            self._topics.discard(topic, key)

    def release(self, key: Key) -> None:
        """Forget what has ended: a grant, and with a connection its subscriptions."""
        grant = self._grants.get(key)
        if grant is None:
            return
        self.drop(key)
        if not key[1]:
            for other in self.of_user(grant.user):
                if other[0] == key[0]:
                    self.drop(other)

    def keys(self) -> Iterator[Key]:
        """Give all keys, as they are now."""
        yield from tuple(self._grants)

    def of_token(self, token: str) -> Grant | None:
        """Give what the token with this `jti` grants."""
        key = self._tokens.get(TOKEN + token)
        return None if key is None else self._grants.get(key)

    def of_user(self, user: str) -> tuple[Key, ...]:
        """Give the grants of a user."""
        return self._users.get(user)

    def by_rules(self, changed: Callable[[str], bool]) -> tuple[Key, ...]:
        """Give the grants of the rules whose id satisfies `changed`."""
        known = cache(changed)  # rules are few, and grants are many
        return tuple(key for key, grant in self._grants.items() if known(grant.rule))

    def resting_on(self, topics: Iterable[str]) -> tuple[Key, ...]:
        """Give the grants that rest on facts of these topics, once each, and remember that those were invalidated now."""
        now_ms = self._clock()
        self._forget(now_ms)
        found: dict[Key, None] = {}
        for topic in topics:
            self._note(topic, now_ms)
            found.update(dict.fromkeys(self._topics.get(topic)))
        return tuple(found)

    def resting_on_facts(self, names: frozenset[str]) -> tuple[Key, ...]:
        """Give the grants that rest on facts with these names, once each, and remember that all of those were invalidated now."""
        now_ms = self._clock()
        self._forget(now_ms)
        for name in names:
            self._note((name,), now_ms)
        return tuple(dict.fromkeys([key for key, grant in self._grants.items() for fact in grant.facts if fact[0] in names]))

    def relist(self) -> None:
        """Find out anew which topics invalidate the facts, since they are declared otherwise."""
        self._topics = Index()
        for key, grant in self._grants.items():
            self._list(key, grant)

    def expire(self) -> int:
        """Forget the grants that ended more than `SLACK_S` ago and give their number."""
        now_s = self._clock() // 1000
        gone = 0
        for step in [step for step in self._ends if (step + 1) * STEP_S + SLACK_S <= now_s]:
            for key in self._ends.pop(step):
                grant = self._grants.get(key)
                # it may have been prolonged since, and stands under another step then
                if grant is not None and grant.end_s is not None and grant.end_s // STEP_S == step:
                    self.release(key)
                    gone += 1
        return gone

    def _share(self, grant: Grant) -> None:
        """Let a grant refer to what another of its user has, instead of to equal copies."""
        grant.transport = grant.transport and intern(grant.transport)
        known = self._users.first(grant.user)
        if known is None:
            return
        other = self._grants[known]
        grant.user = other.user
        if other.holder == grant.holder:
            grant.holder = other.holder
        if other.meta == grant.meta:
            grant.meta = other.meta
        theirs = other.facts
        grant.facts = tuple([theirs[theirs.index(fact)] if fact in theirs else fact for fact in grant.facts])

    def _enter(self, key: Key, grant: Grant) -> None:
        if grant.minted:
            self._tokens.setdefault(grant.holder, key)  # of a connection's token, that of the connection, which comes first
        self._users.add(grant.user, key)
        self._list(key, grant)

    def _list(self, key: Key, grant: Grant) -> None:
        for topic in self._topics_under(grant):
            self._topics.add(topic, key)

    def _topics_under(self, grant: Grant) -> set[str]:
        topics: set[str] = set()
        for fact in grant.facts:
            topics.update(self._topics_of(fact))
        return topics

    def _replace(self, key: Key, before: Grant, grant: Grant) -> None:
        grant.holder, grant.user, grant.channel, grant.facts = before.holder, before.user, before.channel, before.facts
        grant.transport = before.transport if before.transport == grant.transport else grant.transport
        grant.meta = before.meta if before.meta == grant.meta else grant.meta
        self._grants[key] = grant
        if before.end_s is None or grant.end_s is None or grant.end_s // STEP_S != before.end_s // STEP_S:
            self._schedule(key, grant.end_s)

    def _schedule(self, key: Key, end_s: int | None) -> None:
        if end_s is not None:
            self._ends.setdefault(end_s // STEP_S, []).append(key)

    def _evict(self) -> None:
        # several at once, because finding the first key of a dictionary costs as much as keys were taken from its front
        for key in list(islice(self._grants, self._most // 64 + 1)):
            self.drop(key)
            self.evicted += 1

    def _current(self, grant: Grant) -> bool:
        if not self._dropped:
            return True
        self._forget(self._clock())
        return not any(self._changed(fact, grant.decided_ms) for fact in grant.facts)

    def _changed(self, fact: FactKey, since_ms: int) -> bool:
        changes: list[_Changed] = [fact[:1], *self._topics_of(fact)]
        return any(self._dropped.get(change, -1) >= since_ms for change in changes)

    def _note(self, change: _Changed, now_ms: int) -> None:
        self._dropped[change] = now_ms
        self._drops.append((now_ms, change))

    def _forget(self, now_ms: int) -> None:
        while self._drops and self._drops[0][0] < now_ms - RECENT_S * 1000:
            at_ms, change = self._drops.popleft()
            if self._dropped.get(change) == at_ms:
                del self._dropped[change]
