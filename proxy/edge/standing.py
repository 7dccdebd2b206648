"""The numbers of what stands beside the hooks, for Prometheus: revocation, the policy in force, its shadow, the decision log."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.grants.mirror import Mirror
from proxy.grants.revocation import Revocation

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets of lags, in seconds."""


class Lags:
    """Seconds from causes to acknowledgements, counted."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)

    def __call__(self, seconds: float) -> None:
        """Count one."""
        self.seconds += seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1


class Reloads(Protocol):
    """How often another policy was put in force or failed to be, and why the latest did."""

    taken: int
    failures: int
    refused: str


class Log(Protocol):
    """How many decisions were written, and how many could not be."""

    written: int
    dropped: int


class Shadow(Protocol):
    """How many decisions were compared, by operation and verdict, and how many were not."""

    passed: int

    @property
    def counts(self) -> Mapping[tuple[str, Any], int]:
        """Comparisons by operation and verdict."""


class Standing(Collector):
    """Reads integers when somebody asks."""

    def __init__(
        self, revocation: Revocation, lags: Lags, reloads: Reloads, journal: Log | None, shadow: Shadow | None, mirror: Mirror | None
    ) -> None:
        self._revocation = revocation
        self._lags = lags
        self._reloads = reloads
        self._journal = journal
        self._shadow = shadow
        self._mirror = mirror

    def collect(self) -> Iterator[Metric]:
        """Give the metrics; those of the shadow, of the log and of the mirror only where there is one."""
        registry, endings = self._revocation.registry, self._revocation.endings
        yield GaugeMetricFamily("centrigate_grants", "Connections, subscriptions and tokens that are known.", value=len(registry))
        yield CounterMetricFamily("centrigate_grants_evicted", "Grants forgotten for want of room.", value=registry.evicted)
        yield CounterMetricFamily("centrigate_redecisions", "Grants that were decided again.", value=self._revocation.redecision.asked)
        yield CounterMetricFamily("centrigate_revocations", "Grants that were ended.", value=endings.ended)
        yield CounterMetricFamily("centrigate_revocation_failures", "Attempts to end one that failed.", value=endings.failures)
        yield CounterMetricFamily("centrigate_revocations_abandoned", "Grants that ended before it succeeded.", value=endings.abandoned)
        yield GaugeMetricFamily("centrigate_revocations_waiting", "Grants that are to be ended.", value=len(endings))
        lag = HistogramMetricFamily("centrigate_revocation_lag_seconds", "Time from a cause to Centrifugo's acknowledgement.")
        lag.add_metric((), list(zip([*map(str, BOUNDS), "+Inf"], accumulate(self._lags.buckets), strict=True)), self._lags.seconds)
        yield lag
        reloads = CounterMetricFamily("centrigate_reloads", "Other policies that were put in force or refused.", labels=("outcome",))
        reloads.add_metric(("taken",), self._reloads.taken)
        reloads.add_metric(("refused",), self._reloads.failures)
        yield reloads
        refused = GaugeMetricFamily("centrigate_policy_refused", "1 while the policy in the folder is not the one in force.")
        refused.add_metric((), int(bool(self._reloads.refused)))
        yield refused
        if self._mirror is not None:
            yield GaugeMetricFamily("centrigate_grants_unmirrored", "Grants that Redis does not have yet.", value=self._mirror.backlog)
            yield CounterMetricFamily("centrigate_grants_adopted", "Grants taken over of lost instances.", value=self._mirror.adopted)
        if self._journal is not None:
            yield CounterMetricFamily("centrigate_log_lines", "Decisions written to the log.", value=self._journal.written)
            yield CounterMetricFamily("centrigate_log_dropped", "Decisions that could not be.", value=self._journal.dropped)
        if self._shadow is not None:
            yield from _verdicts(self._shadow)


def _verdicts(shadow: Shadow) -> Iterator[Metric]:
    compared = CounterMetricFamily(
        "centrigate_shadow_decisions", "Decisions compared with those of the shadow policy.", labels=("operation", "verdict")
    )
    for (operation, verdict), count in shadow.counts.items():
        compared.add_metric((operation, verdict), count)
    yield compared
    yield CounterMetricFamily("centrigate_shadow_passed", "Decisions that were not compared.", value=shadow.passed)
