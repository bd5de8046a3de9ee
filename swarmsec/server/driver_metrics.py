"""The secret driver's own metrics, on a loopback address: labels are few and never name a secret, task or node."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.services.secrets.delivery_records import DELIVERED, RefusalKind

DURATIONS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 1.0)
"""Bucket bounds in seconds; a request is answered or refused within the last but one."""


def parse_loopback(text: str) -> tuple[str, int]:
    """Check ``ADDRESS:PORT`` of a loopback address.

    Raises:
        UsageProblem: it is none: metrics are for this machine alone, and nobody proves who they are.
    """
    host, _, port = text.rpartition(":")
    try:
        is_loopback = ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise UsageProblem(f"expected a loopback address with a port, got {text!r:.60}", hint="such as 127.0.0.1:9327")
    return host.strip("[]"), int(port)


class DriverMetrics:
    """Counts what became of requests, and shows it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        deliveries = Counter(
            "swarmsec_secret_deliveries",
            "Requests of tasks for secrets: delivered, or why not",
            ("result",),
            registry=self.registry,
        )
        # As in the server: an increase is seen only from a count that was there before.
        self._counts = {result: deliveries.labels(result) for result in (DELIVERED, *RefusalKind)}
        self._durations = Histogram(
            "swarmsec_driver_request_duration_seconds",
            "Time from a request of the engine to its answer",
            buckets=DURATIONS,
            registry=self.registry,
        )
        self._runner: web.ServerRunner | None = None

    def count(self, result: str, seconds: float) -> None:
        """Count one answered request."""
        self._counts[result].inc()
        self._durations.observe(seconds)

    async def start(self, host: str, port: int) -> None:
        """Show them at ``http://HOST:PORT/metrics``.

        Raises:
            Unavailable: the address cannot be listened on.
        """
        self._runner = web.ServerRunner(web.Server(self._show, access_log=None))
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise Unavailable(f"{host}:{port} could not be listened on: {error.strerror}") from None

    async def stop(self) -> None:
        """Show them no longer."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _show(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET" or request.path != "/metrics":
            return web.Response(status=404)
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        return web.Response(body=generate_latest(self.registry), headers=headers)
