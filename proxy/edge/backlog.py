"""The numbers of the outbox for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy.delivery.outbox import Outbox


class Backlog(Collector):
    """How much waits, for how long, and how often it was tried; what was counted last, so that nothing is read when somebody asks."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def collect(self) -> Iterator[Metric]:
        """Give the metrics, none while the outbox is not open."""
        if not self._outbox.open:
            return
        numbers = self._outbox.numbers
        yield GaugeMetricFamily("centrigate_outbox_length", "Messages that wait in the outbox.", value=numbers.waiting)
        yield GaugeMetricFamily("centrigate_outbox_age_seconds", "Age of the oldest message that waits.", value=self._outbox.age_s())
        yield GaugeMetricFamily("centrigate_outbox_dead", "Dead letters.", value=numbers.dead)
        yield CounterMetricFamily("centrigate_outbox_attempts", "Messages sent from here, retries included.", value=self._outbox.attempts)
