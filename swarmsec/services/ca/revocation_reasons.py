"""Why a certificate was revoked (RFC 5280, section 5.3.1): kept beside it, told by lists and by revocation lists.

A reason that says nothing has no row. So what was revoked before reasons were kept reads as ``unspecified``, which is
what its lists said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ca.errors import InvalidRequest
from ca.revocation import Reason
from ca.revocation_entries import parse_reason
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The reasons of all revocations."""

    by_id: Mapping[int, Reason]

    def of(self, record: CertificateRecord) -> Reason:
        """Why this one was revoked; ``UNSPECIFIED`` where nobody said."""
        return self.by_id.get(record.id, Reason.UNSPECIFIED)


def revoke_record(
    transaction: Transaction, record: CertificateRecord, reason: Reason, *, when: int
) -> CertificateRecord:
    """Revoke one certificate that is not revoked yet; the caller logs the entry.

    Args:
        when: in Unix seconds.
    """
    changed = transaction.certificates.change_status(record, status=CertificateStatus.REVOKED, revoked=when)
    if reason is not Reason.UNSPECIFIED:
        transaction.certificates.put_reason(record.id, reason.word)
    return changed


def load_reasons(transaction: Transaction) -> Reasons:
    """Every reason that is known.

    Raises:
        IntegrityFailure: a word is kept that none of us writes.
    """
    try:
        return Reasons(by_id={key: parse_reason(word) for key, word in transaction.certificates.reasons().items()})
    except InvalidRequest:
        raise IntegrityFailure("expected reasons of RFC 5280 with the revocations") from None
