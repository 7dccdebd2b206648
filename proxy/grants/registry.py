"""Who holds what: every connection and subscription that was allowed and may still live."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from sys import intern
from typing import Final

from proxy.grants.grant import TOKEN, Grant, Key
from proxy.grants.index import Index

SLACK_S: Final = 120
"""Seconds that a grant is kept beyond its end: Centrifugo asks about an ended subscription up to 52 s late, and again after 60 s."""

STEP_S: Final = 8
"""Grants whose ends are no further apart than this are forgotten together."""

RECENT_S: Final = 60
"""Seconds that an invalidation is remembered: longer than any decision takes, so that none made with a stale fact slips in behind it."""


class Registry:
    """Grants by key, found by user and topic. `clock` gives epoch milliseconds.

    At most `most` are kept. Above that the oldest are forgotten, counted in `evicted`: they live on until their leases end, but no change
    can take them back before.
    """

    def __init__(self, clock: Callable[[], int], *, most: int = 1_000_000) -> None:
        self.evicted = 0
        self.changed: Callable[[Key], None] | None = None
        """Hears of every grant that is held or dropped."""
        self.catch_up: Callable[[], None] = _nothing
        """Has those grants held that were only noted yet; called before anything is looked for."""
        self._clock = clock
        self._most = most
        self._grants: dict[Key, Grant] = {}
        self._users: Index[str, Key] = Index()
        self._topics: Index[str, Key] = Index()
        self._tokens: dict[str, Key] = {}
        self._ends: defaultdict[int, list[Key]] = defaultdict(list)
        self._dropped: dict[str, int] = {}
        self._drops: deque[tuple[int, str]] = deque()
        self._doubted_ms = -1

    def __len__(self) -> int:
        """Give the number of grants."""
        self.catch_up()
        return len(self._grants)

    def get(self, key: Key) -> Grant | None:
        """Give the grant of a key."""
        self.catch_up()
        return self._grants.get(key)

    def hold(self, grant: Grant) -> bool:
        """Keep a grant in place of an earlier one of its key; False if a fact that it rests on was invalidated since it was loaded."""
        key = grant.key
        if self.changed is not None:
            self.changed(key)
        before = self._grants.get(key)
        if before is None:
            self._add(key, grant)
        elif before.topics == grant.topics and before.user == grant.user:
            self._replace(key, before, grant)
        else:
            self.drop(key)
            self._add(key, grant)
        return grant.decided_ms > self._doubted_ms and (not self._dropped or self._current(grant))

    def drop(self, key: Key) -> None:
        """Forget a grant."""
        self.catch_up()
        grant = self._grants.pop(key, None)
        if grant is None:
            return
        if self.changed is not None:
            self.changed(key)
        if self._tokens.get(grant.holder) == key:
            del self._tokens[grant.holder]
        self._users.discard((grant.user,), key)
        self._topics.discard(grant.topics, key)

    def release(self, key: Key) -> None:
        """Forget what has ended: a grant, and with a connection its subscriptions."""
        grant = self.get(key)
        if grant is None:
            return
        self.drop(key)
        if not key[1]:
            for other in self.of_user(grant.user):
                if other[0] == key[0]:
                    self.drop(other)

    def keys(self) -> Iterator[Key]:
        """Give all keys, as they are now."""
        self.catch_up()
        yield from tuple(self._grants)

    def of_token(self, token: str) -> Grant | None:
        """Give what the token with this `jti` grants."""
        self.catch_up()
        key = self._tokens.get(TOKEN + token)
        return None if key is None else self._grants.get(key)

    def of_user(self, user: str) -> tuple[Key, ...]:
        """Give the grants of a user."""
        self.catch_up()
        return self._users.get(user)

    def by_rules(self, changed: Callable[[str], bool]) -> tuple[Key, ...]:
        """Give the grants of the rules whose id satisfies `changed`."""
        self.catch_up()
        known = cache(changed)  # rules are few, and grants are many
        return tuple(key for key, grant in self._grants.items() if known(grant.rule))

    def resting_on(self, topics: Iterable[str]) -> tuple[Key, ...]:
        """Give the grants that rest on facts of these topics, once each, and remember that those were invalidated now."""
        self.catch_up()
        now_ms = self._clock()
        self._forget(now_ms)
        found: dict[Key, None] = {}
        for topic in topics:
            self._note(topic, now_ms)
            found.update(dict.fromkeys(self._topics.get(topic)))
        return tuple(found)

    def doubt(self) -> None:
        """Remember that any fact may have been invalidated now."""
        self.catch_up()
        self._doubted_ms = self._clock()

    def expire(self) -> int:
        """Forget the grants that ended more than `SLACK_S` ago and give their number."""
        self.catch_up()
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

    def _add(self, key: Key, grant: Grant) -> None:
        if len(self._grants) >= self._most:
            self._evict()
        beside = self._users.first(grant.user)
        if beside is not None:
            key = self._shared(key, grant, self._grants[beside])
        if grant.transport is not None:
            grant.transport = intern(grant.transport)
        self._grants[key] = grant
        self._users.add((grant.user,), key)
        self._topics.add(grant.topics, key)
        if grant.usable_s is not None:
            self._tokens.setdefault(grant.holder, key)  # of a connection's token, that of the connection, which comes first
        if grant.end_s is not None:
            self._ends[grant.end_s // STEP_S].append(key)

    @staticmethod
    def _shared(key: Key, grant: Grant, other: Grant) -> Key:
        """Let a grant and its key refer to what another grant of its user has, instead of to equal copies."""
        grant.user = other.user
        if other.meta == grant.meta:
            grant.meta = other.meta
        if other.topics == grant.topics:
            grant.topics = other.topics
        if other.holder != grant.holder:
            return key
        grant.holder = other.holder
        return grant.key

    def _replace(self, key: Key, before: Grant, grant: Grant) -> None:
        grant.holder, grant.user, grant.channel, grant.topics = before.holder, before.user, before.channel, before.topics
        grant.transport = before.transport if before.transport == grant.transport else grant.transport
        grant.meta = before.meta if before.meta == grant.meta else grant.meta
        self._grants[key] = grant
        end_s = grant.end_s
        if end_s is not None and (before.end_s is None or end_s // STEP_S != before.end_s // STEP_S):
            self._ends[end_s // STEP_S].append(key)

    def _evict(self) -> None:
        # several at once, because finding the first key of a dictionary costs as much as keys were taken from its front
        for key in list(islice(self._grants, self._most // 64 + 1)):
            self.drop(key)
            self.evicted += 1

    def _current(self, grant: Grant) -> bool:
        self._forget(self._clock())
        since_ms = grant.decided_ms
        return all(self._dropped.get(topic, -1) < since_ms for topic in grant.topics)

    def _note(self, topic: str, now_ms: int) -> None:
        self._dropped[topic] = now_ms
        self._drops.append((now_ms, topic))

    def _forget(self, now_ms: int) -> None:
        while self._drops and self._drops[0][0] < now_ms - RECENT_S * 1000:
            at_ms, topic = self._drops.popleft()
            if self._dropped.get(topic) == at_ms:
                del self._dropped[topic]


def _nothing() -> None:
    pass
