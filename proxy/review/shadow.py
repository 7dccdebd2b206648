"""A second policy, asked on live traffic what it would have decided; nobody is answered by it."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from proxy.policy.decision import Allow, Deny, FactKey, Known, Lost, NeedFacts, Request
from proxy.policy.declared import Fact
from proxy.policy.policy import Policy

MOST: Final = 5_000
"""Decisions that wait to be compared; more are passed over and counted."""

TOGETHER: Final = 50
"""Comparisons made before hooks get their turn again."""

PAUSE_S: Final = 0.05
"""Seconds between two looks at what waits: with `TOGETHER` it bounds what the shadow costs, to 1,000 comparisons a second."""

KEPT: Final = 200
"""Differences that are remembered, the latest."""

_LOG: Final = logging.getLogger(__name__)

Verdict = Literal["same", "newly allowed", "newly denied", "other reason", "unknown"]


class Source(Protocol):
    """Facts at hand."""

    def get(self, key: FactKey, /) -> Known | Lost | None:
        """The fact, None if it would have to be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was decided, and what the shadow says; of the request only who asked what of which channel or method."""

    verdict: Verdict
    operation: str
    user: str | None
    service: str | None
    target: str | None
    reason: str
    rule: str | None
    other_reason: str
    other_rule: str | None


class Shadow:
    """Compares decisions as they are made, later and a few at a time.

    `counts` counts verdicts by operation, `passed` what was never compared, `latest` holds the last differences. A comparison whose facts
    the running policy does not have at hand is `unknown`: nothing is loaded for the shadow. `beside` is called before the first decision.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.passed = 0
        self.counts: Counter[tuple[str, Verdict]] = Counter()
        self.latest: deque[Difference] = deque(maxlen=KEPT)
        self._waiting: deque[tuple[Request, Allow | Deny]] = deque()
        self._running: Mapping[str, Fact] = {}
        self._source: Source

    async def take(self, policy: Policy) -> None:
        """Let another policy be the shadow."""
        self.policy = policy
        self.beside(self._running, self._source)

    def beside(self, running: Mapping[str, Fact], source: Source) -> None:
        """Stand beside a running policy that declares the facts of this source."""
        self._running, self._source = running, source
        self._alike = {name for name, fact in self.policy.facts.items() if name in running and _origin(fact) == _origin(running[name])}

    def watch(self, request: Request, decision: Allow | Deny) -> None:
        """Note a decision for comparison; those of no policy (nobody is known, a block) are not compared."""
        if len(self._waiting) >= MOST:
            self.passed += 1
        elif decision.revision:
            self._waiting.append((request, decision))

    async def run(self) -> None:
        """Compare what waits, for ever."""
        while True:
            await asyncio.sleep(PAUSE_S)
            for _ in range(min(TOGETHER, len(self._waiting))):
                self._compare(*self._waiting.popleft())

    def _compare(self, request: Request, decision: Allow | Deny) -> None:
        found = self.policy.decide(request, _Read(decision.facts, self._source, self._alike))
        verdict = _verdict(decision, found)
        self.counts[request.op, verdict] += 1
        if isinstance(found, NeedFacts) or verdict == "same":
            return
        difference = Difference(
            verdict=verdict,
            operation=request.op,
            user=request.user,
            service=request.service,
            target=request.channel or request.method,
            reason=decision.reason,
            rule=decision.rule,
            other_reason=found.reason,
            other_rule=found.rule,
        )
        if difference not in self.latest:
            _LOG.info("the shadow policy differs: %s", difference)
        self.latest.append(difference)


class _Read:
    """The facts that the decision read, then those at hand, of the facts that both policies declare alike."""

    def __init__(self, read: Mapping[FactKey, Known | Lost], source: Source, alike: set[str]) -> None:
        self._read, self._source, self._alike = read, source, alike

    def get(self, key: FactKey, /) -> Known | Lost | None:
        if key[0] not in self._alike:
            return None
        return self._read.get(key) or self._source.get(key)


def _origin(fact: Fact) -> object:
    return fact.parameters, fact.type, fact.nullable, fact.source


def _verdict(decision: Allow | Deny, found: Allow | Deny | NeedFacts) -> Verdict:
    if isinstance(found, NeedFacts):
        return "unknown"
    allowed, shadowed = isinstance(decision, Allow) or decision.reason == "limit", isinstance(found, Allow)
    if allowed != shadowed:
        return "newly allowed" if shadowed else "newly denied"
    return "same" if allowed or decision.reason == found.reason else "other reason"
