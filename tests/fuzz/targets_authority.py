"""Targets of what the authority reads beside certificates: requests for roots, rotations, orders, imported roots."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ca.errors import CaError, InvalidRequest, InvalidRotation
from ca.profiles import Profile
from ca.requests import parse_root_request, parse_signing_request
from ca.rotation import advance
from ca.rotation_events import Begin
from ca.rotation_record import build_record, parse_record
from swarmsec.errors import UsageProblem
from swarmsec.services.issue_certificate import parse_certificate_request
from swarmsec.wiring.importing import parse_imported_root
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import NODE_SIGNER, REQUEST_DER, REQUEST_PEM, ROOT_PEM, ROOT_SIGNER, text_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
_KEY_PEM = ROOT_SIGNER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
_OTHER_KEY_PEM = NODE_SIGNER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
_ROTATION = advance(None, Begin(old_root="a" * 64, new_root="b" * 64, nodes=frozenset({"n1", "n2"})))


def _root_request(data: bytes) -> None:
    wanted = parse_root_request(data)
    if wanted.key != parse_signing_request(data):
        raise CheckFailed("expected the same key from both readings of a request")


def _rotation(data: bytes) -> None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    state = parse_record(document)
    if parse_record(build_record(state)) != state:
        raise CheckFailed("expected a written rotation to read as the same rotation")


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
        name="rotation-record",
        run=_rotation,
        seeds=(json.dumps(build_record(_ROTATION)).encode(),),
        allowed=(InvalidRotation,),
        covers=("ca.rotation_record.parse_record",),
        words=(b'"phase":', b'"version":1', b"null", b"[]", b'"n1"'),
    ),
    Target(
        name="certificate-order",
        run=_order,
        seeds=(b"registry\nregistry.example.internal\n10.0.0.1", b"\nlocalhost\n::1"),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.services.issue_certificate.parse_certificate_request",),
        words=(b"swarm-manager", b"swarm-ca", b"localhost", b"\n", b".", b"*."),
    ),
    Target(
        name="imported-root",
        run=_imported,
        seeds=(ROOT_PEM + b"\n--\n" + _KEY_PEM, ROOT_PEM + b"\n--\n" + _OTHER_KEY_PEM),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.wiring.importing.parse_imported_root",),
        words=(b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"\n--\n"),
    ),
)
