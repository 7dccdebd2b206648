"""Numbers for Prometheus: own integers on the hot path, turned into metrics when somebody asks.

Source of the formats: Prometheus exposition formats, https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.edge.flight import Flight
from proxy.policy.decision import Allow, Deny, Request

Outcome: TypeAlias = Literal["allowed", "refused", "overload", "undecided", "malformed", "unauthorized", "failed"]
"""How a hook was answered; `undecided` is a refresh that was answered without a decision, because something failed."""

OUTCOMES: Final[tuple[Outcome, ...]] = ("allowed", "refused", "overload", "undecided", "malformed", "unauthorized", "failed")
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends of the latency buckets, in seconds; Centrifugo gives up after 4."""


class Meter:
    """The numbers of one hook."""

    __slots__ = ("buckets", "hook", "outcomes", "seconds")

    def __init__(self, hook: str) -> None:
        self.hook = hook
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def record(self, outcome: Outcome, seconds: float) -> None:
        """Count one answer that took so many seconds."""
        self.outcomes[outcome] += 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Metrics(Collector):
    """All numbers of one service, in a registry of its own; `registry` takes the collectors of other parts, too."""

    def __init__(self, flight: Flight) -> None:
        self.registry = CollectorRegistry()
        self.flight = flight
        self._meters: list[Meter] = []
        self._decisions: dict[tuple[str, str, str], int] = {}
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def meter(self, hook: str) -> Meter:
        """Give the meter of a hook."""
        meter = Meter(hook)
        self._meters.append(meter)
        return meter

    def watch(self, request: Request, decision: Allow | Deny) -> None:
        """Count a decision; rules and reasons are as many as the policy has."""
        key = (request.op, decision.reason, decision.rule or "")
        self._decisions[key] = self._decisions.get(key, 0) + 1

    def render(self) -> bytes:
        """Write everything in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Give the metrics of the hooks and the decisions."""
        answered = CounterMetricFamily("centrigate_hooks", "Hooks that were answered.", labels=("hook", "outcome"))
        took = HistogramMetricFamily("centrigate_hook_seconds", "Time from the head of a hook to its answer.", labels=("hook",))
        for meter in self._meters:
            for outcome, count in meter.outcomes.items():
                answered.add_metric((meter.hook, outcome), count)
            ends = [*map(str, BOUNDS), "+Inf"]
            took.add_metric((meter.hook,), list(zip(ends, accumulate(meter.buckets), strict=True)), meter.seconds)
        yield answered
        yield took
        decided = CounterMetricFamily("centrigate_decisions", "Decisions of the policy.", labels=("operation", "reason", "rule"))
        for key, count in self._decisions.items():
            decided.add_metric(key, count)
        yield decided
        yield GaugeMetricFamily("centrigate_in_flight", "Hooks in work.", value=self.flight.count)
        yield GaugeMetricFamily("centrigate_in_flight_limit", "Hooks that may be in work at once.", value=self.flight.most)
        yield GaugeMetricFamily("centrigate_oldest_wait_seconds", "How long the oldest of them has waited.", value=self.flight.oldest_s)
