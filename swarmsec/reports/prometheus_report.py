"""The report as metrics, in the text format that node_exporter's textfile collector reads.

Labels are ids of controls and words that swarmsec itself chose: a name of the Swarm's things is in none, so there are
never more series than controls and states. What was not read has no series; zero would be an answer.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from swarmsec.reports.model import Report


def render_prometheus(report: Report) -> bytes:
    """Write the report (Prometheus, "Exposition formats", text format 0.0.4)."""
    registry = CollectorRegistry()
    _add_results(registry, report)
    _add_waivers(registry, report)
    if report.quorum_margin is not None:
        margin = Gauge(
            "swarmsec_swarm_quorum_margin",
            "Managers that may be lost before the Swarm loses its quorum; below 0 it is lost",
            registry=registry,
        )
        margin.set(report.quorum_margin)
    created = Gauge("swarmsec_report_timestamp_seconds", "When the report was made", registry=registry)
    created.set(datetime.fromisoformat(report.created).timestamp())
    return generate_latest(registry)


def _add_results(registry: CollectorRegistry, report: Report) -> None:
    gauge = Gauge(
        "swarmsec_check_results",
        "Results of a control by how they stand",
        ("control", "status", "severity"),
        registry=registry,
    )
    counts = Counter((item.control.id, item.state.value, item.control.severity.value) for item in report.results)
    for labels, count in counts.items():
        gauge.labels(*labels).set(count)


def _add_waivers(registry: CollectorRegistry, report: Report) -> None:
    gauge = Gauge(
        "swarmsec_waivers_expiring_timestamp_seconds",
        "When the first of a control's waived failures is a failure again",
        ("control",),
        registry=registry,
    )
    first: dict[str, int] = {}
    for result in report.results:
        if result.waiver_id:
            control = result.control.id
            first[control] = min(result.waiver_expires, first.get(control, result.waiver_expires))
    for control, expires in first.items():
        gauge.labels(control).set(expires)
