"""A report over a large Swarm: every control, the whole process, against a simulated manager in another process.

The manager has 4,700 nodes, 1,000 services and 10,000 tasks; the home issued each node its certificate. What is
measured ends with the whole report on standard output and its digest in the log.
"""

from __future__ import annotations

from typing import Final

from benchmarks.measure import Figure
from benchmarks.swarm import NODES, cost_of, figures_of, large_swarm
from tests.peers.large_swarm import SERVICES, TASKS

ROUNDS: Final = 3
REPORT_MS: Final = 10_000.0
REPORT_MIB: Final = 500.0
FORMATS: Final = ("json", "html")


def run() -> list[Figure]:
    """Measure the formats that hold every result."""
    figures: list[Figure] = []
    with large_swarm() as (home, url):
        for form in FORMATS:
            options = ["--docker", url, "--profile", "swarmsec-strict", "--format", form]
            costs = [cost_of(["--home", str(home), "audit", "report", *options], home.parent) for _ in range(ROUNDS)]
            name = f"audit report, {form}, {NODES} nodes, {SERVICES} services, {TASKS} tasks"
            figures += figures_of(name, costs, milliseconds=REPORT_MS, mebibytes=REPORT_MIB)
    return figures
