"""Revoke a certificate, or all of a node's or identity's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ca.revocation import Reason
from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.services.ca.find_certificates import find_certificates
from swarmsec.services.ca.issued_certificates import reference_of
from swarmsec.services.ca.revocation_reasons import revoke_record
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.requester import Field, Requester


def revoke_certificates(
    transaction: Transaction,
    target: str,
    requester: Requester,
    *,
    why: Reason = Reason.UNSPECIFIED,
    reason: str = "",
    action: Action = Action.CA_REVOKE,
) -> Sequence[CertificateRecord]:
    """Revoke by node id, identity name or serial.

    Args:
        target: as ``find_certificates`` takes it.
        why: for the revocation list and for those who look at the certificate later.
        reason: in somebody's own words, for the log alone.

    Returns:
        the certificates that this call revoked; empty if all were revoked before.

    Raises:
        NotFound: nothing was ever issued under this name or serial.
        UsageProblem: several serials begin so.
    """
    found = find_certificates(transaction, target)
    when = unix_seconds(transaction.clock)
    revoked = [
        revoke_record(transaction, record, why, when=when)
        for record in found
        if record.status is not CertificateStatus.REVOKED
    ]
    if revoked:
        fields: Mapping[str, Field] = {"serials": [record.serial for record in revoked], "crl_reason": why.word}
        transaction.log(requester.event(action, reference_of(revoked[-1]), reason=reason, fields=fields))
    return revoked
