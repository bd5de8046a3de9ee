"""Prometheus metrics, in a registry of their own; labels are few and never name a secret, task, serial or peer."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from swarmsec.audit.actions import Outcome
from swarmsec.http import Request, Response, Route
from swarmsec.server.requestmetrics import RequestMetrics
from swarmsec.services.secrets.delivery_records import DELIVERED, TAKEN_BACK, RefusalKind


class Metrics:
    """The metrics of one process; other parts count through its public fields.

    Args:
        version: of swarmsec, for ``swarmsec_build_info``.
    """

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        self._make_http_metrics()
        self._make_part_metrics()
        self._make_home_metrics()
        self._entries: dict[tuple[str, str], Counter] = {}
        self._issued: dict[tuple[str, str], Counter] = {}
        Info("swarmsec_build", "Version of swarmsec", registry=self.registry).info({"version": version})

    def _make_http_metrics(self) -> None:
        registry = self.registry
        self.requests = RequestMetrics()
        registry.register(self.requests)
        self.refusals = Counter(
            "swarmsec_http_refusals", "Refused requests, aggregated ones included", ("route", "kind"), registry=registry
        )
        self.connections = Gauge("swarmsec_http_connections", "Open connections", registry=registry)
        self.handshakes = Counter("swarmsec_tls_handshakes", "Accepted connections", ("result",), registry=registry)
        self.tls_generation = Gauge("swarmsec_tls_generation", "Generation of the TLS material", registry=registry)

    def _make_part_metrics(self) -> None:
        registry = self.registry
        self.sealed = Gauge("swarmsec_sealed", "1 while the key store is sealed", registry=registry)
        self.certificates_issued = Counter(
            "swarmsec_ca_certificates_issued", "Issued certificates", ("profile", "result"), registry=registry
        )
        self.audit_entries = Counter(
            "swarmsec_audit_entries", "Entries of the audit log", ("action", "outcome"), registry=registry
        )
        self.audit_write_failures = Counter(
            "swarmsec_audit_write_failures", "Entries that could not be written", registry=registry
        )
        self.audit_tree_size = Gauge("swarmsec_audit_tree_size", "Entries in the log", registry=registry)
        self.witness_answers = Counter(
            "swarmsec_audit_witness_answers",
            "What came of asking witnesses for a cosignature",
            ("result",),
            registry=registry,
        )
        self.unwitnessed = Gauge(
            "swarmsec_audit_unwitnessed_entries",
            "Signed entries that some witness with an address has not cosigned",
            registry=registry,
        )
        self.not_after = Gauge(
            "swarmsec_ca_certificate_not_after_timestamp_seconds",
            "End of the authority's root and of this server's certificate",
            ("kind",),
            registry=registry,
        )

        self.trust_not_after = Gauge(
            "swarmsec_trust_not_after_timestamp_seconds",
            "End of a trust role; repositories: the first of them to end",
            ("role",),
            registry=registry,
        )
        self.trust_due = Gauge(
            "swarmsec_trust_roles_due",
            "Trust roles that end within so many days, or have ended",
            ("within",),
            registry=registry,
        )
        self.trust_pending = Gauge(
            "swarmsec_trust_pending_changes", "Changes that wait for signatures", registry=registry
        )

        self.secret_deliveries = Counter(
            "swarmsec_secret_deliveries",
            "Requests of tasks for secrets, from any driver of this home: delivered, or why not",
            ("result",),
            registry=registry,
        )
        for result in (DELIVERED, TAKEN_BACK, *RefusalKind):
            # What comes into being at 1 has not increased for Prometheus: the first refusal would raise no alert.
            self.secret_deliveries.labels(result)
        self.secret_rotation_overdue = Gauge(
            "swarmsec_secret_rotation_overdue",
            "Secrets whose value is older than a rotation policy allows",
            registry=registry,
        )
        self.secret_rotations_open = Gauge(
            "swarmsec_secret_rotations_open", "Rotations of secrets that were begun and are not over", registry=registry
        )
        self.secret_rotations = Counter(
            "swarmsec_secret_rotations", "Rotations of secrets by this server", ("result",), registry=registry
        )

    def _make_home_metrics(self) -> None:
        registry = self.registry
        self.checkpoint_created = Gauge(
            "swarmsec_audit_checkpoint_timestamp_seconds", "When the newest checkpoint was signed", registry=registry
        )
        self.checkpoint_size = Gauge(
            "swarmsec_audit_checkpoint_size", "Entries under the newest checkpoint", registry=registry
        )
        self.list_next_update = Gauge(
            "swarmsec_crl_next_update_timestamp_seconds",
            "When the revocation list runs out; 0 where none was made",
            registry=registry,
        )
        self.last_backup = Gauge(
            "swarmsec_backup_last_success_timestamp_seconds",
            "When the newest backup was concluded; 0 for never",
            registry=registry,
        )
        self.rotation_started = Gauge(
            "swarmsec_ca_rotation_started_timestamp_seconds",
            "When the root's rotation under way was begun; 0 where none is",
            registry=registry,
        )
        self.agents = Gauge(
            "swarmsec_agents", "Agents of nodes whose facts count, or are too old", ("state",), registry=registry
        )

    def count_entries(self, action: str, outcome: str, count: int) -> None:
        """Count entries of the audit log."""
        _child(self._entries, self.audit_entries, (action, outcome)).inc(count)

    def count_issued(self, profile: str, result: str, count: int) -> None:
        """Count certificates that were issued or refused."""
        _child(self._issued, self.certificates_issued, (profile, result)).inc(count)

    def route(self) -> Route:
        """Return the route that shows them; the access table keeps it to loopback for the anonymous."""
        return Route(
            name="metrics",
            method="GET",
            path="/metrics",
            handler=self._show,
            operation={
                "summary": "Metrics in the Prometheus text format",
                "responses": {"200": {"description": "metrics", "content": {"text/plain": {}}}},
            },
        )

    async def _show(self, request: Request) -> Response:
        return Response(body=generate_latest(self.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _child(known: dict[tuple[str, str], Counter], counter: Counter, labels: tuple[str, str]) -> Counter:
    child = known.get(labels)
    if child is None:
        child = known[labels] = counter.labels(*labels)
    return child


def delivery_result(outcome: str, fields: Mapping[str, object]) -> str:
    """What an entry says became of a task's request; one that takes another back speaks of no request more.

    Args:
        outcome: of the entry.
        fields: of the entry.
    """
    if outcome == Outcome.SUCCESS:
        return DELIVERED
    return TAKEN_BACK if "takes_back" in fields else str(fields.get("kind") or "other")
