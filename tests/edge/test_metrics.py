from prometheus_client.parser import text_string_to_metric_families

from proxy.edge.flight import Flight
from proxy.edge.metrics import Metrics
from proxy.policy.decision import Allow, Deny, Request


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples}


def test_a_fresh_service_counts_nothing() -> None:
    metrics = Metrics(Flight(7))
    metrics.meter("publish")
    found = samples(metrics)
    assert found["centrigate_hooks_total", ("publish", "allowed")] == 0
    assert found["centrigate_hook_seconds_bucket", ("publish", "+Inf")] == 0
    assert found["centrigate_in_flight_limit", ()] == 7
    assert found["centrigate_in_flight", ()] == 0


def test_answers_are_counted_by_hook_and_outcome() -> None:
    metrics = Metrics(Flight(1))
    meter = metrics.meter("publish")
    metrics.meter("connect").record("refused", 9.0)
    meter.record("allowed", 0.001)
    meter.record("allowed", 0.0011)
    found = samples(metrics)
    assert found["centrigate_hooks_total", ("publish", "allowed")] == 2
    assert found["centrigate_hooks_total", ("connect", "refused")] == 1
    assert found["centrigate_hooks_total", ("connect", "allowed")] == 0


def test_latency_is_cumulative_and_an_upper_end_belongs_to_its_bucket() -> None:
    metrics = Metrics(Flight(1))
    meter = metrics.meter("publish")
    for seconds in (0.001, 0.0011, 9.0):
        meter.record("allowed", seconds)
    found = samples(metrics)
    buckets = {end: found["centrigate_hook_seconds_bucket", ("publish", end)] for end in ("0.0005", "0.001", "0.0025", "2.5", "+Inf")}
    assert buckets == {"0.0005": 0, "0.001": 1, "0.0025": 2, "2.5": 2, "+Inf": 3}
    assert found["centrigate_hook_seconds_count", ("publish",)] == 3
    assert found["centrigate_hook_seconds_sum", ("publish",)] == 9.0021


def test_decisions_are_counted_by_operation_reason_and_rule() -> None:
    metrics = Metrics(Flight(1))
    for _ in range(2):
        metrics.watch(Request(op="publish"), Allow(rule="a/publish/1", at="x:1", revision="r", facts={}))
    metrics.watch(Request(op="publish"), Deny(reason="no_rule"))
    found = samples(metrics)
    assert found["centrigate_decisions_total", ("publish", "allowed", "a/publish/1")] == 2
    assert found["centrigate_decisions_total", ("publish", "no_rule", "")] == 1


def test_two_services_in_one_process_count_for_themselves() -> None:
    first, second = Metrics(Flight(1)), Metrics(Flight(1))
    first.meter("publish").record("failed", 0)
    second.meter("publish")
    assert samples(second)["centrigate_hooks_total", ("publish", "failed")] == 0
    assert any(name == "process_cpu_seconds_total" for name, _ in samples(first))
