"""What an authority answers to a node, believed only when verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_bundle, parse_certificate, write_bundle
from ca.errors import CaError, InvalidCertificate
from ca.identity import NodeIdentity, identity_of
from ca.successors import verify_chain, verify_successors
from swarmsec.errors import Denied
from swarmsec.wiring.nodes.authorityclient import spki_of

_MOST_CERTIFICATES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A verified answer: the certificate, and the roots to trust from now on."""

    certificate: x509.Certificate
    chain: bytes
    """The certificate and what came with it to verify it, PEM."""
    bundle: bytes

    @property
    def identity(self) -> NodeIdentity:
        """Who a node is; an identity is none."""
        return identity_of(self.certificate)


def verify_answer(
    answer: Mapping[str, Any],
    key: CertificatePublicKeyTypes,
    *,
    trusted: bytes,
    now: datetime,
    subject_of: Callable[[x509.Certificate], object] = identity_of,
) -> Issued:
    """Believe a certificate only if it is for our key, and below a root that we trust, or that such a root signed.

    Args:
        answer: the JSON members.
        key: the node's, its public half.
        trusted: the roots that the node trusts so far, PEM.
        now: aware of its zone.
        subject_of: what the certificate says of who has it; of a node unless told otherwise.

    Raises:
        Denied: anything else.
    """
    refusal = Denied("the authority answered with a certificate that is not ours", hint="report this to its operator")
    try:
        chain = _certificates(answer, "certificate")
        certificate = verify_chain(chain, trusted=parse_bundle(trusted), now=now)
        subject_of(certificate)
        own = spki_of(certificate.public_key()) == spki_of(key)
    except (*PARSE_ERRORS, CaError):
        raise refusal from None
    if not own:
        raise refusal
    bundle = answered_bundle(answer, trusted=trusted, now=now)
    return Issued(certificate=certificate, chain=write_bundle(chain), bundle=bundle)


def answered_bundle(answer: Mapping[str, Any], *, trusted: bytes, now: datetime) -> bytes:
    """The root bundle of an answer, in exactly the form that this version writes.

    Args:
        answer: the JSON members.
        trusted: the roots that the node trusts so far, PEM.
        now: aware of its zone.

    Raises:
        Denied: it is none, or has a root that is neither trusted nor signed by one that is.
    """
    refusal = Denied("the authority answered with a root bundle that is none", hint="report this to its operator")
    try:
        body = str(answer.get("root_bundle", "")).encode()
        roots = parse_bundle(body)
        crosses = _certificates(answer, "cross_signed") if answer.get("cross_signed") else ()
        if write_bundle(roots) != body:
            raise refusal
        verify_successors(roots, trusted=parse_bundle(trusted), cross_signed=crosses, now=now)
    except InvalidCertificate as error:
        why = f"the authority answered with roots that are not to be believed: {error}"
        raise Denied(why, hint=refusal.hint) from None
    except (*PARSE_ERRORS, CaError):
        raise refusal from None
    return body


def _certificates(answer: Mapping[str, Any], member: str) -> tuple[x509.Certificate, ...]:
    blocks = pem.parse_blocks(str(answer.get(member, "")).encode(), "CERTIFICATE")
    return tuple(parse_certificate(block) for block in blocks[: _MOST_CERTIFICATES + 1])
