"""An authority at work, for the tests of its services: a real home, whose clock a test may move."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import CertificateSigningRequestBuilder, Name

from ca.identity import NodeIdentity, NodeRole
from ca.requests import SigningRequest, parse_signing_request
from swarmsec.clock import SystemClock
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.nodes.renew_node import Renewal, renew_nodes
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import Home
from tests.unit.swarmsec.homes import OPERATOR

T = TypeVar("T")


class LaterClock(SystemClock):
    """The machine's clock, some time from now."""

    def __init__(self, later: timedelta = timedelta()) -> None:
        self.later = later

    def unix_ms(self) -> int:
        return super().unix_ms() + round(self.later.total_seconds() * 1000)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def request_of(key: ec.EllipticCurvePrivateKey) -> SigningRequest:
    """A node's checked signing request."""
    request = CertificateSigningRequestBuilder().subject_name(Name([])).sign(key, hashes.SHA256())
    return parse_signing_request(request.public_bytes(Encoding.PEM))


def renew(
    transaction: Transaction, authority: Authority, presented: CertificateRecord, request: SigningRequest
) -> CertificateRecord:
    """Renew the certificate that somebody shows, who is alone in the group.

    Raises:
        Refusal: it is not renewed.
    """
    (record,) = renew_nodes(
        transaction, authority, [Renewal(presented.subject_id, presented.sha256, request, OPERATOR)]
    )
    if isinstance(record, Refusal):
        raise record
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One authority with its open home."""

    home: Home
    keys: SealedKeys

    def write(self, service: Callable[[Transaction, Authority], T]) -> T:
        """Run a service of the authority in a transaction of its own."""
        return self.home.store.write(lambda transaction: service(transaction, self.authority_in(transaction)))

    def authority_in(self, transaction: Transaction) -> Authority:
        return load_authority(transaction, self.keys, served_lifetime_of(self.home.config))

    @property
    def authority(self) -> Authority:
        return self.home.store.read(self.authority_in)

    def issue(self, role: NodeRole, node_id: str, key: ec.EllipticCurvePrivateKey) -> CertificateRecord:
        """Issue a node's certificate."""

        def service(transaction: Transaction, authority: Authority) -> CertificateRecord:
            identity = NodeIdentity(cluster_id=authority.cluster_id, role=role, node_id=node_id)
            return issue_for_node(transaction, authority, identity, spki_of(key), OPERATOR, via="test")

        return self.write(service)

    def states(self) -> dict[str, str]:
        """State by serial, of every certificate."""
        return self.home.store.read(
            lambda transaction: {record.serial: record.status.value for record in transaction.certificates.all()}
        )

    def last_entry(self) -> dict[str, Any]:
        """The newest entry of the log."""
        stored = self.home.store.read(lambda transaction: next(iter(transaction.log_entries.newest_first())))
        entry: dict[str, Any] = json.loads(stored.data)
        return entry

    def allow_minutes(self, minutes: int) -> None:
        """From now on certificates of nodes live for so many minutes."""
        settings = replace(self.home.config.ca, allow_short_lifetimes=True, certificate_minutes=minutes)
        self.home.config = replace(self.home.config, ca=settings)

    def move_clock(self, later: timedelta) -> None:
        """From now on it is later."""
        self.home.store.clock = LaterClock(later)
