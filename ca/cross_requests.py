"""Whether a Swarm may have its next root signed by this authority.

When a Swarm leaves an external authority for a root of its own, its leader asks once for a certificate of that root,
with CFSSL's profile ``CA`` (swarmkit, ca/external.go, ``CrossSignRootCA``). Whoever gets it can issue certificates for
any node until it ends, so a manager's certificate alone is not enough: an operator has to have permitted it before,
for one key where that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.x509.oid import ExtensionOID, NameOID

from ca import der
from ca.errors import RequestRefused
from ca.identity import CA_HOST, NodeIdentity
from ca.requests import RootRequest
from ca.swarm_requests import verify_caller
from ca.templates import key_identifier

CROSS_SIGN_PROFILE = "CA"
_PRINTABLE, _UTF8 = 0x13, 0x0C
# Go writes the name as a PrintableString, others as a UTF8String; to a verifier these are two names, so it is kept.
_SUBJECTS = frozenset(
    der.sequence(
        der.set_of_one(der.sequence(der.oid(NameOID.COMMON_NAME.dotted_string), der.tlv(tag, CA_HOST.encode())))
    )
    for tag in (_PRINTABLE, _UTF8)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedExtension:
    """One entry of ``extensions``, as it came: object identifier, criticality, value in hex."""

    oid: str
    critical: bool
    value: str


# CA:TRUE, no pathLenConstraint.
_AUTHORITY = RequestedExtension(oid=ExtensionOID.BASIC_CONSTRAINTS.dotted_string, critical=True, value="30030101ff")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSignRequest:
    """The values of a CFSSL sign request of the profile ``CA``, as they came.

    Args:
        common_name: ``subject.CN``.
        name_count: how many entries ``subject.names`` has.
        hosts: ``hosts``; empty for null.
        profile: ``profile``.
        extensions: ``extensions``.
    """

    common_name: str
    name_count: int
    hosts: Sequence[str]
    profile: str
    extensions: Sequence[RequestedExtension]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSignPermission:
    """An operator's word that a Swarm may go to a root of its own.

    Args:
        spki_sha256: SHA-256 of the new root's SubjectPublicKeyInfo, lower-case hex; None permits any key, which is
            needed where the Swarm makes its root itself and lets any manager in the meantime name the root.
    """

    spki_sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSignSubject:
    """Whose certificate a cross-signed root is.

    Args:
        subject: DER Name, byte for byte the new root's.
        spki_der: its canonical SubjectPublicKeyInfo, DER.
        key_id: its subject key identifier.
    """

    subject: bytes
    spki_der: bytes
    key_id: bytes


def check_cross_sign_request(
    request: CrossSignRequest,
    root_request: RootRequest,
    *,
    caller: NodeIdentity,
    cluster_id: str,
    permission: CrossSignPermission | None,
) -> CrossSignSubject:
    """Decide whether a Swarm's new root is signed.

    Args:
        request: the parsed values.
        root_request: the checked PKCS #10 request that came with them, from ``ca.requests.parse_root_request``.
        caller: who asks, by the client certificate that the transport verified.
        cluster_id: ours.
        permission: what the operator permitted; None for nothing, which is a refusal.

    Returns:
        what to sign, for ``ca.issuing.cross_sign_requested``.

    Raises:
        RequestRefused: naming the first reason.
    """
    verify_caller(caller, cluster_id)
    _verify_form(request, root_request)
    _verify_permission(permission, root_request)
    spki_der = root_request.key.spki_der
    # SwarmKit's roots have the usual identifier, and the request carries no other.
    return CrossSignSubject(subject=root_request.subject_der, spki_der=spki_der, key_id=key_identifier(spki_der))


def _verify_form(request: CrossSignRequest, root_request: RootRequest) -> None:
    """SwarmKit has one form of this request; another one comes from somebody else."""
    if request.profile != CROSS_SIGN_PROFILE:
        raise RequestRefused(f"expected the profile {CROSS_SIGN_PROFILE!r}, got {request.profile[:80]!r}")
    if request.common_name != CA_HOST or request.name_count or root_request.subject_der not in _SUBJECTS:
        raise RequestRefused(f"expected a root named CN={CA_HOST} and nothing else")
    if request.hosts:
        raise RequestRefused("expected a root without hosts")
    if list(request.extensions) != [_AUTHORITY]:
        raise RequestRefused("expected one extension: critical basicConstraints, CA:TRUE without pathLen")


def _verify_permission(permission: CrossSignPermission | None, root_request: RootRequest) -> None:
    if permission is None:
        raise RequestRefused("expected an operator's permission for a root of the swarm's own, got none")
    if permission.spki_sha256 not in (None, root_request.key.spki_sha256):
        raise RequestRefused(
            f"expected the root with the permitted key {permission.spki_sha256}, got {root_request.key.spki_sha256}"
        )
