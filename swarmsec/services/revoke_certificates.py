"""Revoke a certificate, or all of a node's or identity's."""

from __future__ import annotations

from collections.abc import Sequence

from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.services.authority import reference_of
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Requester


def revoke_certificates(
    transaction: Transaction, target: str, requester: Requester, *, reason: str = "", action: Action = Action.CA_REVOKE
) -> Sequence[CertificateRecord]:
    """Revoke by node id, identity name or serial.

    Args:
        target: matched as a subject first, then as a serial in hex.

    Returns:
        the certificates that this call revoked; empty if all were revoked before.

    Raises:
        NotFound: nothing was ever issued under this name or serial.
    """
    found = transaction.certificates.by_subject(target) or transaction.certificates.by_serial(
        target.lower().replace(":", "").lstrip("0")
    )
    if not found:
        raise NotFound(f"no certificate of a node or serial {target!r:.80}", hint="list them with: swarmsec ca list")
    when = unix_seconds(transaction.clock)
    revoked = [
        transaction.certificates.change_status(record, status=CertificateStatus.REVOKED, revoked=when)
        for record in found
        if record.status is not CertificateStatus.REVOKED
    ]
    if revoked:
        serials = [record.serial for record in revoked]
        transaction.log(requester.event(action, reference_of(revoked[-1]), reason=reason, fields={"serials": serials}))
    return revoked
