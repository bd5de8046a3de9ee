"""The authority as others see it: its root bundle, its history of roots, and the Swarm roots it accepts."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from ca.bundle import write_bundle
from ca.issuing import fingerprint
from swarmsec.clock import rfc3339_seconds
from swarmsec.errors import NotFound
from swarmsec.services.ports import Transaction
from swarmsec.services.records import AuthorityRecord
from swarmsec.services.rotation.rotation_records import GIVEN_UP


def root_bundle(transaction: Transaction) -> bytes:
    """The exact PEM bundle that tokens digest.

    Raises:
        NotFound: the home is no authority.
    """
    active = transaction.authorities.active()
    if active is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    return write_bundle([x509.load_der_x509_certificate(active.certificate)])


def is_token_key_name(key_name: str) -> bool:
    """Whether a root's key is in a PKCS#11 token, and not in this home or its backups."""
    return key_name.startswith("pkcs11:")


def keys_in_tokens(transaction: Transaction) -> Sequence[str]:
    """The names of root keys that are in tokens and that the authority still signs with."""
    usable = [record for record in transaction.authorities.all() if record.state not in GIVEN_UP]
    return [record.key_name for record in usable if is_token_key_name(record.key_name)]


def _where_key_is(record: AuthorityRecord) -> str:
    if is_token_key_name(record.key_name):
        return record.key_name
    return "erased" if record.state in GIVEN_UP else "sealed"


def describe_authority(transaction: Transaction) -> dict[str, object]:
    """Everything about the authority that is not secret, as JSON members."""
    roots = []
    for record in transaction.authorities.all():
        certificate = x509.load_der_x509_certificate(record.certificate)
        roots.append(
            {
                "generation": record.generation,
                "state": record.state,
                "key": _where_key_is(record),
                "sha256": fingerprint(record.certificate),
                "subject": certificate.subject.rfc4514_string(),
                "not_before": rfc3339_seconds(int(certificate.not_valid_before_utc.timestamp())),
                "not_after": rfc3339_seconds(int(certificate.not_valid_after_utc.timestamp())),
                "last_crl": _last_list(transaction, record.generation),
            }
        )
    swarm_roots = [
        {
            "sha256": root.sha256,
            "cluster_id": root.cluster_id,
            "added": rfc3339_seconds(root.added),
            "nodes": list(transaction.swarm_roots.nodes(root.sha256)),
        }
        for root in transaction.swarm_roots.all()
    ]
    return {"cluster_id": transaction.settings.get("cluster_id"), "roots": roots, "swarm_roots": swarm_roots}


def _last_list(transaction: Transaction, generation: int) -> dict[str, object] | None:
    """The list that a root left when it was given up."""
    kept = transaction.rotations.retired_list(generation)
    return None if kept is None else {"number": kept.number, "next_update": rfc3339_seconds(kept.next_update)}
