"""Every certificate with its state now: valid, superseded, revoked or expired, and when it is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ca.issuing import fingerprint
from ca.profiles import MIN_LIFETIME
from ca.renewal import is_overdue, renewal_time
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.services.ca.revocation_reasons import load_reasons
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus

EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """A certificate as lists show it. Times in Unix seconds."""

    record: CertificateRecord
    issuer: str
    """SHA-256 of the issuing root, lower-case hex."""
    status: str
    renew_after: int
    overdue: bool
    reason: str = ""
    """Why it was revoked, a word of RFC 5280; empty where it was not."""

    @property
    def is_short_lived(self) -> bool:
        """Whether it lives for less than an hour, without backdate."""
        return self.record.not_after - self.record.not_before < MIN_LIFETIME.total_seconds()

    def members(self) -> dict[str, object]:
        """The certificate as JSON members."""
        record = self.record
        return {
            "serial": record.serial,
            "node_id": record.subject_id,
            "role": record.profile.removeprefix("swarm-"),
            "cluster_id": record.cluster_id,
            "issuer": self.issuer,
            "not_before": rfc3339_seconds(record.not_before),
            "not_after": rfc3339_seconds(record.not_after),
            "status": self.status,
            "renew_after": rfc3339_seconds(self.renew_after),
            "overdue": self.overdue,
            "short_lived": self.is_short_lived,
            "revoked": rfc3339_seconds(record.revoked) if self.reason else None,
            "reason": self.reason or None,
        }


def list_certificates(
    transaction: Transaction, records: Iterable[CertificateRecord] | None = None
) -> Iterator[ListedCertificate]:
    """Certificates as lists show them.

    Args:
        records: which; every certificate in the order of issue without them.
    """
    issuers = {record.generation: fingerprint(record.certificate) for record in transaction.authorities.all()}
    reasons, now = load_reasons(transaction), unix_seconds(transaction.clock)
    for record in transaction.certificates.all() if records is None else records:
        life = (datetime.fromtimestamp(record.not_before, UTC), datetime.fromtimestamp(record.not_after, UTC))
        expired = record.not_after <= now and record.status is not CertificateStatus.REVOKED
        status = EXPIRED if expired else record.status.value
        yield ListedCertificate(
            record=record,
            issuer=issuers.get(record.generation, ""),
            status=status,
            renew_after=int(renewal_time(*life, 0).timestamp()),
            overdue=status == CertificateStatus.VALID and is_overdue(*life, now=datetime.fromtimestamp(now, UTC)),
            reason=reasons.of(record).word if record.status is CertificateStatus.REVOKED else "",
        )
