"""What an authority answers to a node, believed only when verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_bundle, parse_certificate, write_bundle
from ca.errors import CaError
from ca.identity import NodeIdentity, identity_of
from swarmsec.errors import Denied
from swarmsec.wiring.authorityclient import spki_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A verified answer: who the node is, its certificate, and the roots to trust from now on."""

    identity: NodeIdentity
    certificate: x509.Certificate
    bundle: bytes


def verify_answer(answer: Mapping[str, Any], key: ec.EllipticCurvePrivateKey, *, bundle: bytes) -> Issued:
    """Believe a certificate only if it is for our key, and directly under a root of the bundle.

    Args:
        answer: the JSON members.
        key: the node's.
        bundle: the roots to hold it against, PEM.

    Raises:
        Denied: anything else.
    """
    refusal = Denied("the authority answered with a certificate that is not ours", hint="report this to its operator")
    try:
        (certificate_der,) = pem.parse_blocks(str(answer.get("certificate", "")).encode(), "CERTIFICATE")
        certificate = parse_certificate(certificate_der)
        identity = identity_of(certificate)
        own = spki_of(certificate.public_key()) == spki_of(key.public_key())
        roots = parse_bundle(bundle)
    except (*PARSE_ERRORS, CaError):
        raise refusal from None
    if not own or not any(_issued_by(root, certificate) for root in roots):
        raise refusal
    return Issued(identity=identity, certificate=certificate, bundle=bundle)


def answered_bundle(answer: Mapping[str, Any]) -> bytes:
    """The root bundle of an answer, in exactly the form that this version writes.

    Raises:
        Denied: it is none.
    """
    refusal = Denied("the authority answered with a root bundle that is none", hint="report this to its operator")
    try:
        body = str(answer.get("root_bundle", "")).encode()
        if write_bundle(parse_bundle(body)) == body:
            return body
    except (*PARSE_ERRORS, CaError):
        raise refusal from None
    raise refusal


def _issued_by(root: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (*PARSE_ERRORS, InvalidSignature):
        return False
    return True
