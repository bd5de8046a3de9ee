"""The authority as it is now: the root that signs, the roots around it, and the bundles that nodes are given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509

from ca.bundle import write_bundle
from ca.issuing import Issuer
from swarmsec.errors import NotFound
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord, CertificateRecord
from swarmsec.services.rotation.rotation_records import RotationRecord
from swarmsec.services.rotation.rotation_roots import current_epoch, roots_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The root that signs now, ready to sign, and the roots around it while one takes the place of another."""

    record: AuthorityRecord
    """Of the root that signs."""
    issuer: Issuer
    cluster_id: str
    lifetime: timedelta
    """Of its leaves; below an hour only where the settings allow it, and then without backdate."""
    epoch: str
    """Another word after every change of anything in here; ``current_epoch`` has the present one."""
    public: x509.Certificate
    """The root that strangers are given, and whose bundle join tokens digest."""
    trusted: tuple[x509.Certificate, ...]
    """The roots that nodes are to trust."""
    accepted: Mapping[int, x509.Certificate]
    """The roots that clients may come under, by generation."""
    cross_signed: x509.Certificate | None = None
    """The new root signed by the old one, from the moment that nodes are given both."""
    rotation: RotationRecord | None = None
    """The rotation under way, or called off and not yet settled."""
    # Written once: each call of each node is answered with them.
    bundle_pem: bytes = field(init=False, repr=False)
    """The exact root bundle that tokens digest."""
    trusted_pem: bytes = field(init=False, repr=False)
    """The exact root bundle that nodes store."""
    trusted_sha256: bytes = field(init=False, repr=False)
    """Of that bundle."""
    cross_signed_pem: bytes = field(init=False, repr=False)
    """The cross-certificate, or nothing."""

    def __post_init__(self) -> None:
        """Write what is derived."""
        trusted = write_bundle(self.trusted)
        written = {
            "bundle_pem": write_bundle((self.public,)),
            "trusted_pem": trusted,
            "trusted_sha256": hashlib.sha256(trusted).digest(),
            "cross_signed_pem": b"" if self.cross_signed is None else write_bundle((self.cross_signed,)),
        }
        for name, value in written.items():
            object.__setattr__(self, name, value)

    def chain_pem(self, record: CertificateRecord) -> bytes:
        """A certificate with what somebody needs to verify it who trusts the old root alone."""
        is_new = self.rotation is not None and record.generation == self.rotation.new_generation
        return certificate_pem(record) + (self.cross_signed_pem if is_new else b"")


def load_authority(transaction: Transaction, keys: Keys, lifetime: timedelta) -> Authority:
    """Open the authority as it is now.

    Raises:
        NotFound: the home has none.
    """
    active = transaction.authorities.active()
    cluster_id = transaction.settings.get("cluster_id")
    if active is None or cluster_id is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    roots = roots_now(transaction, active)
    record = roots.issuing
    issuer = Issuer(x509.load_der_x509_certificate(record.certificate), keys.signer(transaction, record.key_name))
    return Authority(
        record=record,
        issuer=issuer,
        cluster_id=cluster_id,
        lifetime=lifetime,
        epoch=current_epoch(transaction),
        public=x509.load_der_x509_certificate(active.certificate),
        trusted=tuple(x509.load_der_x509_certificate(root.certificate) for root in roots.trusted),
        accepted={root.generation: x509.load_der_x509_certificate(root.certificate) for root in roots.accepted},
        cross_signed=x509.load_der_x509_certificate(roots.cross_signed) if roots.cross_signed else None,
        rotation=roots.rotation,
    )
