"""Certificates of the authority after they are signed: what is put on record.

Who may have which is decided by ``issue_for_nodes``, ``issue_for_hosts`` and those who call them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from swarmsec.http import Role
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.orders import Signed, unix_of
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus


def keep_leaf(
    transaction: Transaction,
    authority: Authority,
    signed: Signed,
    *,
    name: str,
    role: Role | None,
) -> CertificateRecord:
    """Put a certificate that was signed on record; the caller logs the entry.

    Args:
        name: whose it is, by which it is listed and revoked.
        role: what its bearer may do on our own API, if anything.
    """
    leaf, leaf_der = signed
    not_before, not_after = unix_of(leaf.validity)
    certificates = transaction.certificates
    record = CertificateRecord(
        id=certificates.next_id(),
        serial=f"{leaf.serial:x}",
        generation=authority.record.generation,
        profile=str(leaf.profile),
        role=str(role) if role else "",
        subject_id=name,
        cluster_id=authority.cluster_id,
        spki_sha256=digest_of_key(leaf.spki_der),
        sha256=hashlib.sha256(leaf_der).digest(),
        der=leaf_der,
        not_before=not_before,
        not_after=not_after,
        status=CertificateStatus.VALID,
        revoked=0,
    )
    certificates.add(record)
    return record


@lru_cache(maxsize=512)
def digest_of_key(spki_der: bytes) -> bytes:
    """SHA-256 of a public key: asked for when a key is looked for, and again when it is recorded."""
    return hashlib.sha256(spki_der).digest()
