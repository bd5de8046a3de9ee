"""Targets of what the authority reads beside certificates: requests for roots, reasons, orders, imported roots."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ca.errors import CaError, InvalidRequest
from ca.profiles import Profile
from ca.requests import parse_root_request, parse_signing_request
from ca.revocation_entries import Reason, parse_reason
from swarmsec.errors import UsageProblem
from swarmsec.services.ca.issue_certificate import parse_certificate_request
from swarmsec.wiring.ca.importing import parse_imported_root
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import NODE_SIGNER, REQUEST_DER, REQUEST_PEM, ROOT_PEM, ROOT_SIGNER, text_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
_KEY_PEM = ROOT_SIGNER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
_OTHER_KEY_PEM = NODE_SIGNER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _root_request(data: bytes) -> None:
    wanted = parse_root_request(data)
    if wanted.key != parse_signing_request(data):
        raise CheckFailed("expected the same key from both readings of a request")


def _reason(data: bytes) -> None:
    word = text_of(data)
    if parse_reason(word).word != word:
        raise CheckFailed("expected a reason to read as the word that was read")


def _order(data: bytes) -> None:
    name, *hosts = text_of(data).split("\n")
    parse_certificate_request(Profile.SERVER, name=name or None, hosts=hosts, hours=len(hosts))


def _imported(data: bytes) -> None:
    certificate, _, key = data.partition(b"\n--\n")
    parse_imported_root(certificate, key, now=NOW)


TARGETS = (
    Target(
        name="root-request",
        run=_root_request,
        seeds=(REQUEST_PEM, REQUEST_DER),
        allowed=(InvalidRequest,),
        covers=("ca.requests.parse_root_request",),
        words=(b"-----BEGIN CERTIFICATE REQUEST-----\n", b"-----END CERTIFICATE REQUEST-----"),
    ),
    Target(
        name="revocation-reason",
        run=_reason,
        seeds=tuple(reason.word.encode() for reason in Reason),
        allowed=(InvalidRequest,),
        covers=("ca.revocation_entries.parse_reason",),
        words=(b"certificateHold", b"removeFromCRL", b"Compromise"),
    ),
    Target(
        name="certificate-order",
        run=_order,
        seeds=(b"registry\nregistry.example.internal\n10.0.0.1", b"\nlocalhost\n::1"),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.services.ca.issue_certificate.parse_certificate_request",),
        words=(b"swarm-manager", b"swarm-ca", b"localhost", b"\n", b".", b"*."),
    ),
    Target(
        name="imported-root",
        run=_imported,
        seeds=(ROOT_PEM + b"\n--\n" + _KEY_PEM, ROOT_PEM + b"\n--\n" + _OTHER_KEY_PEM),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.wiring.ca.importing.parse_imported_root",),
        words=(b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"\n--\n"),
    ),
)
