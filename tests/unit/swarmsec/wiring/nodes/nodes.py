"""A node's directory, and the authority that its client speaks with, without a network between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from ca.identity import NodeRole
from ca.requests import parse_signing_request
from swarmsec.errors import Unavailable
from swarmsec.server.node_api import RecoverBody
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.nodes.recover_node import RecoveryRequest, recover_node
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.wiring.nodes.authorityclient import KeyPair
from swarmsec.wiring.nodes.conversation import Conversation
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, make_key, write_certificate, write_roots
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, renew

SERVER = "https://ca.example.internal:8443"


@dataclass(kw_only=True)
class FakeServer:
    """Answers what the real routes answer, from a real authority; ``change`` may falsify an answer."""

    desk: Desk
    change: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    was_kept: list[bool] = field(default_factory=list)
    """Of each request, whether it went over a connection that was open already."""
    is_down: bool = False

    def ask(
        self,
        base: str,
        path: str,
        members: Mapping[str, object],
        *,
        roots: bytes,
        pair: KeyPair | None = None,
        over: Conversation | None = None,
    ) -> dict[str, Any]:
        """In place of ``authorityclient.ask``."""
        self.asked.append(path)
        assert base == SERVER
        self.was_kept.append(over is not None and over.is_open)
        if over is not None:
            over.pool(roots, pair)
        assert roots in {self.desk.authority.bundle_pem, str(self.change.get("root_bundle", "")).encode()}
        if self.is_down:
            raise Unavailable("the server is away")
        if path.endswith("/check"):
            return self.checked() | self.change
        record = self.recovered(members, pair) if path.endswith("/recover") else self.renewed(members, pair)
        return self._answer(record) | self.change

    def bundle(self, base: str, token: object) -> bytes:
        """In place of ``authorityclient.fetch_bundle``."""
        if self.is_down:
            raise Unavailable("the server is away")
        return str(self.change.get("root_bundle", self.desk.authority.bundle_pem.decode())).encode()

    def checked(self) -> dict[str, Any]:
        authority = self.desk.authority
        bundle, cross = authority.trusted_pem.decode(), authority.cross_signed_pem.decode()
        return {"root_bundle": bundle, "cross_signed": cross, "renew": False, "retry_after": 0, "phase": ""}

    def renewed(self, members: Mapping[str, object], pair: KeyPair | None) -> CertificateRecord:
        assert pair is not None
        request = parse_signing_request(str(members["csr"]).encode())
        sha256 = _sha256(pair.certificate)

        def unit(transaction: Transaction, authority: Authority) -> CertificateRecord:
            presented = transaction.certificates.by_sha256(sha256)
            assert presented is not None
            return renew(transaction, authority, presented, request)

        return self.desk.write(unit)

    def recovered(self, members: Mapping[str, object], pair: KeyPair | None) -> CertificateRecord:
        assert pair is None
        body = RecoverBody.model_validate(dict(members))
        wanted = RecoveryRequest(token=body.token, proof=body.proof())
        return self.desk.write(
            lambda transaction, authority: recover_node(transaction, self.desk.keys, authority, wanted, OPERATOR)
        )

    def _answer(self, record: CertificateRecord) -> dict[str, Any]:
        return {
            "node_id": record.subject_id,
            "role": record.profile.removeprefix("swarm-"),
            "certificate": certificate_pem(record).decode(),
            "root_bundle": self.desk.authority.bundle_pem.decode(),
        }


def _sha256(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(SHA256())


def make_node(
    desk: Desk, directory: Path, node_id: str = "n1", role: NodeRole = NodeRole.WORKER
) -> ec.EllipticCurvePrivateKey:
    """A joined node's directory; returns its key."""
    directory.mkdir(exist_ok=True)
    key = make_key(directory / KEY)
    record = desk.issue(role, node_id, key)
    write_roots(directory, desk.authority.bundle_pem)
    write_certificate(directory, certificate_pem(record))
    return key


def certificate_in(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())


def part_of_life(certificate: x509.Certificate, part: float) -> datetime:
    """A moment in a certificate's life."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins + timedelta(seconds=(ends - begins).total_seconds() * part)


def present() -> datetime:
    return datetime.now(UTC)
