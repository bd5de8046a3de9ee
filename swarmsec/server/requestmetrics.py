"""How many requests were answered, and how fast: counted as plain numbers, worded when somebody asks for the metrics.

The counters of ``prometheus_client`` may be counted from any thread, which takes a lock and several calls for each.
Requests are counted by the event loop's thread alone, and there is one for every certificate.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

DURATIONS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bucket bounds in seconds, each part of its bucket."""
_BOUNDS: Final = (*map(floatToGoString, DURATIONS), "+Inf")
_REQUESTS: Final = "swarmsec_http_requests"
_SECONDS: Final = "swarmsec_http_request_duration_seconds"


@dataclass(slots=True)
class _Tally:
    """How often each bucket was hit, and the sum of all durations."""

    buckets: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    seconds: float = 0.0
    created: float = field(default_factory=time.time)


class RequestMetrics(Collector):
    """Counts answered requests, for the thread of one event loop."""

    def __init__(self) -> None:
        self._by_status: dict[tuple[str, int], _Tally] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one."""
        key = (route, status)
        tally = self._by_status.get(key)
        if tally is None:
            tally = self._by_status[key] = _Tally()
        tally.seconds += seconds
        tally.buckets[bisect_left(DURATIONS, seconds)] += 1

    def collect(self) -> Iterator[Metric]:
        """Word what was counted: requests by route and status, durations by route."""
        requests = CounterMetricFamily(_REQUESTS, "Answered requests", labels=("route", "status"))
        for (route, status), tally in self._by_status.items():
            requests.add_metric((route, str(status)), sum(tally.buckets), created=tally.created)
        yield requests
        durations = HistogramMetricFamily(_SECONDS, "Time from headers read to answer written", labels=("route",))
        for route in dict.fromkeys(route for route, _ in self._by_status):
            tallies = [tally for (name, _), tally in self._by_status.items() if name == route]
            hits = accumulate(map(sum, zip(*(tally.buckets for tally in tallies), strict=True)))
            durations.add_metric((route,), list(zip(_BOUNDS, hits, strict=True)), sum(each.seconds for each in tallies))
            created = min(each.created for each in tallies)
            durations.add_sample(f"{_SECONDS}_created", {"route": route}, created)
        yield durations
