"""Who holds what: every connection and subscription that was allowed and may still live."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from sys import intern
from typing import Final

from proxy.grants.grant import TOKEN, Grant, Key
from proxy.grants.holdings import Holdings
from proxy.grants.index import Index

SLACK_S: Final = 120
"""Seconds that a grant is kept beyond its end: Centrifugo asks about an ended subscription up to 52 s late, and again after 60 s."""

STEP_S: Final = 8
"""Grants whose ends are no further apart than this are forgotten together."""

RECENT_S: Final = 60
"""Seconds that an invalidation is remembered: longer than any decision takes, so that none made with a stale fact slips in behind it."""


class Registry:
    """Grants by key, found by user and topic. `clock` gives epoch milliseconds.

    About `most` are kept. Above that the oldest are forgotten, counted in `evicted`: they live on until their leases end, but no change
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
        self._grants = Holdings()
        self._topics = Index()
        self._tokens: dict[str, Grant] = {}
        self._ends: defaultdict[int, set[Grant]] = defaultdict(set)
        self._dropped: dict[str, int] = {}
        self._drops: deque[tuple[int, str]] = deque()
        self._doubted_ms = -1

    def __len__(self) -> int:
        """Give the number of grants."""
        self.catch_up()
        return len(self._grants)

    def __iter__(self) -> Iterator[Grant]:
        """Give all grants, as they are now."""
        self.catch_up()
        return iter(tuple(self._grants))

    def get(self, key: Key) -> Grant | None:
        """Give the grant of a key."""
        self.catch_up()
        return self._grants.get(key)

    def hold(self, grants: Iterable[Grant]) -> list[Grant]:
        """Keep these, each renewing an earlier one of its key; gives those that rest on a fact that was invalidated since it was loaded."""
        stale = []
        for grant in grants:
            if self.changed is not None:
                self.changed(grant.key)
            held = self._grants.place(grant)
            if held is grant:
                self._add(grant)
            elif held.topics == grant.topics:
                self._renew(held, grant)
            else:
                self._remove(held)
                self._add(self._grants.place(grant))
            if grant.decided_ms <= self._doubted_ms or (self._dropped and not self._current(grant)):
                stale.append(grant)
        if len(self._grants) > self._most:
            self._evict()
        return stale

    def drop(self, key: Key) -> None:
        """Forget a grant."""
        grant = self.get(key)
        if grant is not None:
            self._remove(grant)

    def release(self, key: Key) -> None:
        """Forget what has ended: a grant, and with a connection its subscriptions."""
        grant = self.get(key)
        if grant is None:
            return
        for each in (grant,) if grant.channel else self._grants.of_holder(grant.user, grant.holder):
            self._remove(each)

    def of_token(self, token: str) -> Grant | None:
        """Give what the token with this `jti` grants, of a connection's that of the connection."""
        self.catch_up()
        return self._tokens.get(TOKEN + token)

    def of_holder(self, user: str, holder: str) -> tuple[Grant, ...]:
        """Give the grants of a client or token of a user."""
        self.catch_up()
        return self._grants.of_holder(user, holder)

    def of_user(self, user: str) -> tuple[Grant, ...]:
        """Give the grants of a user."""
        self.catch_up()
        return self._grants.of_user(user)

    def by_rules(self, changed: Callable[[str], bool]) -> tuple[Grant, ...]:
        """Give the grants of the rules whose id satisfies `changed`."""
        self.catch_up()
        known = cache(changed)  # rules are few, and grants are many
        return tuple(grant for grant in self._grants if known(grant.rule))

    def resting_on(self, topics: Iterable[str]) -> tuple[Grant, ...]:
        """Give the grants that rest on facts of these topics, once each, and remember that those were invalidated now."""
        self.catch_up()
        now_ms = self._clock()
        self._forget(now_ms)
        found: dict[Grant, None] = {}
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
        before, now_s = len(self._grants), self._clock() // 1000
        for step in [step for step in self._ends if (step + 1) * STEP_S + SLACK_S <= now_s]:
            for grant in self._ends.pop(step):
                self.release(grant.key)
        return before - len(self._grants)

    def _add(self, grant: Grant) -> None:
        if grant.transport is not None:
            grant.transport = intern(grant.transport)
        for topic in grant.topics:
            self._topics.add(topic, grant)
        if grant.usable_s is not None:
            self._tokens.setdefault(grant.holder, grant)  # of a connection's token, that of the connection, which comes first
        if grant.end_s is not None:
            self._ends[grant.end_s // STEP_S].add(grant)

    def _renew(self, grant: Grant, later: Grant) -> None:
        self._forget_end(grant)
        grant.renew(later)
        if grant.end_s is not None:
            self._ends[grant.end_s // STEP_S].add(grant)

    def _remove(self, grant: Grant) -> None:
        if self.changed is not None:
            self.changed(grant.key)
        self._grants.remove(grant)
        for topic in grant.topics:
            self._topics.discard(topic, grant)
        if self._tokens.get(grant.holder) is grant:
            del self._tokens[grant.holder]
        self._forget_end(grant)

    def _forget_end(self, grant: Grant) -> None:
        if grant.end_s is not None:
            self._ends[grant.end_s // STEP_S].discard(grant)

    def _evict(self) -> None:
        # several at once, because finding the first of a dictionary costs as much as were taken from its front
        for grant in list(islice(self._grants, len(self._grants) - self._most + self._most // 64)):
            self._remove(grant)
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
