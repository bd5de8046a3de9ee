"""A certificate that was issued, as files, entries and people are shown it."""

from __future__ import annotations

from ca.pem import write_block
from ca.profiles import MIN_LIFETIME
from swarmsec.audit.entry import ObjectRef
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Field


def certificate_pem(record: CertificateRecord) -> bytes:
    """A certificate as PEM."""
    return write_block(record.der, "CERTIFICATE")


def reference_of(record: CertificateRecord) -> ObjectRef:
    """A certificate as entries name it."""
    return ObjectRef(type="certificate", id=record.serial, name=record.subject_id)


def short_life(record: CertificateRecord) -> dict[str, Field]:
    """What an entry says of a certificate that lives for less than an hour, which has to be allowed."""
    seconds = record.not_after - record.not_before
    return {"lifetime_seconds": seconds} if seconds < MIN_LIFETIME.total_seconds() else {}
