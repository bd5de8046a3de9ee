"""The metrics have the documented names and stay apart between servers."""

from __future__ import annotations

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from swarmsec.http import ANONYMOUS, Caller, Request, Response
from swarmsec.server.driver_metrics import DriverMetrics
from swarmsec.server.metrics import Metrics, delivery_result
from swarmsec.server.requestmetrics import DURATIONS
from swarmsec.services.secrets.delivery_records import DELIVERED, RefusalKind


def shown(metrics: Metrics) -> str:
    caller = Caller(role=ANONYMOUS, name="", address="127.0.0.1")
    request = Request(method="GET", path="/metrics", caller=caller, request_id="")

    async def main() -> Response:
        return await metrics.route().handler(request)

    return asyncio.run(main()).body.decode()


def test_names_and_labels_are_as_documented() -> None:
    metrics = Metrics(version="1.2.3")
    metrics.requests.observe("who", 200, 0.01)
    metrics.certificates_issued.labels("swarm-worker", "issued").inc()
    metrics.audit_entries.labels("ca.issue", "ok").inc()
    metrics.audit_write_failures.inc()
    metrics.sealed.set(1)
    text = shown(metrics)
    for line in (
        'swarmsec_build_info{version="1.2.3"} 1.0',
        'swarmsec_http_requests_total{route="who",status="200"} 1.0',
        'swarmsec_http_request_duration_seconds_count{route="who"} 1.0',
        'swarmsec_ca_certificates_issued_total{profile="swarm-worker",result="issued"} 1.0',
        'swarmsec_audit_entries_total{action="ca.issue",outcome="ok"} 1.0',
        "swarmsec_audit_write_failures_total 1.0",
        "swarmsec_sealed 1.0",
    ):
        assert line in text.splitlines()


def test_requests_are_counted_as_the_library_would_count_them() -> None:
    metrics, registry = Metrics(version="1"), CollectorRegistry()
    requests = Counter("swarmsec_http_requests", "Answered requests", ("route", "status"), registry=registry)
    text = "Time from headers read to answer written"
    seconds = Histogram(
        "swarmsec_http_request_duration_seconds", text, ("route",), buckets=DURATIONS, registry=registry
    )
    for route, status, taken in (("who", 200, 0.0), ("who", 403, 0.001), ("a", 200, 0.0011), ("who", 200, 11.0)):
        metrics.requests.observe(route, status, taken)
        requests.labels(route, str(status)).inc()
        seconds.labels(route).observe(taken)
    ours = {line for line in shown(metrics).splitlines() if "swarmsec_http_request" in line}
    # When a series began is the only thing in which they may differ.
    expected = generate_latest(registry).decode().splitlines()
    assert {line for line in ours if "_created{" not in line} == {line for line in expected if "_created{" not in line}
    began = {line.rpartition(" ")[0] for line in ours if "_created{" in line}
    assert began == {line.rpartition(" ")[0] for line in expected if "_created{" in line}
    assert len(began) == 5


def test_every_family_is_ours_and_parses() -> None:
    families = list(text_string_to_metric_families(shown(Metrics(version="1"))))
    assert families
    assert all(re.fullmatch(r"swarmsec_[a-z_]+", family.name) for family in families)


@pytest.mark.parametrize("registry", [Metrics(version="1").registry, DriverMetrics().registry], ids=["serve", "driver"])
def test_refusals_of_secrets_begin_at_0_so_that_the_first_one_is_an_increase(registry: CollectorRegistry) -> None:
    for result in (DELIVERED, *RefusalKind):
        assert registry.get_sample_value("swarmsec_secret_deliveries_total", {"result": result}) == 0


@pytest.mark.parametrize(
    ("outcome", "fields", "result"),
    [
        ("success", {"task": "a"}, "delivered"),
        ("denied", {"task": "a", "kind": "late", "takes_back": 2}, "taken_back"),
        ("denied", {"task": "b", "kind": "late"}, "late"),
        ("denied", {"task": "b"}, "other"),
    ],
)
def test_a_delivery_that_came_too_late_to_leave_counts_as_one_request(
    outcome: str, fields: dict[str, object], result: str
) -> None:
    assert delivery_result(outcome, fields) == result
    counted = Metrics(version="1").registry.get_sample_value(
        "swarmsec_secret_deliveries_total", {"result": "taken_back"}
    )
    assert counted == 0


def test_two_servers_in_one_process_do_not_share() -> None:
    first, second = Metrics(version="1"), Metrics(version="1")
    first.audit_write_failures.inc()
    assert "swarmsec_audit_write_failures_total 0.0" in shown(second)
