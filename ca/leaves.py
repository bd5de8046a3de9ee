"""Leaf certificates, one or many together.

Those of a group go through each step together: all are worded, then all signed, then all parsed back and compared. The
code of one step stays in the processor's caches that way, which takes a third off the time of a certificate; what is
done for each is the same, and one alone is a group of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from cryptography import x509

from ca.checking import verify_issued
from ca.errors import InvalidRequest
from ca.hosts import Host, parse_hosts
from ca.identity import NodeIdentity, hosts_of
from ca.issuer import Issuer
from ca.moulds import SERIAL_LENGTH, fits_mould, mould_of
from ca.profiles import Profile, Validity, swarm_node
from ca.serials import verify_serial
from ca.templates import Contents, Template, subject_der_of


class LeafOrder(NamedTuple):
    """A leaf certificate that is to be made.

    ``issuer`` signs. ``profile`` of a node's certificate must be that of its role. ``subject`` is a node's identity for
    a node's profile, else a name that is not empty. ``spki_der`` is the holder's canonical SubjectPublicKeyInfo, DER,
    as ``SigningRequest`` has it. ``hosts`` are DNS names and IP addresses for subjectAltName; for a node exactly
    ``hosts_of(identity)``. ``validity`` is from ``ca.profiles.validity``, ``serial`` from ``ca.serials.serial_from``.
    """

    issuer: Issuer
    profile: Profile
    subject: NodeIdentity | x509.Name
    spki_der: bytes
    hosts: Sequence[str]
    validity: Validity
    serial: int


class _Draft(NamedTuple):
    """What is about to be signed, and the look at what came of it."""

    issuer: Issuer
    template: Template
    tbs: bytes
    verify: Callable[[bytes], object]


def issue_leaves(orders: Sequence[LeafOrder]) -> list[bytes]:
    """Make leaf certificates; nothing is signed unless every order of the group can be fulfilled.

    Args:
        orders: any number.

    Returns:
        the certificates in the orders' order, DER, every field compared with what was asked. A signature is the
        signer's; the signer proved its key when the issuer was made.

    Raises:
        InvalidRequest: when subject, hosts, key, validity or serial of one do not fit the profile or the issuer.
        InvalidCertificate: when what came out differs from what was asked.
    """
    drafts = [_draft(order) for order in orders]
    signatures = [draft.issuer.sign(draft.tbs) for draft in drafts]
    leaves = [
        draft.template.certificate(draft.tbs, signature) for draft, signature in zip(drafts, signatures, strict=True)
    ]
    for draft, leaf_der in zip(drafts, leaves, strict=True):
        draft.verify(leaf_der)
    return leaves


def _draft(order: LeafOrder) -> _Draft:
    issuer, profile, subject, spki_der, hosts, validity, serial = order
    template = issuer.template(profile)
    if spki_der == issuer.spki_der:
        raise InvalidRequest("expected a key of the holder, got the issuer's own key")
    if validity.not_after > issuer.not_after:
        raise InvalidRequest("expected a validity that ends with the issuer's or before")
    verify_serial(serial)
    if isinstance(subject, NodeIdentity) and fits_mould(spki_der, serial):
        _verify_hosts(profile, subject, hosts)
        mould = mould_of(template, validity, subject)
        parts = mould.parts(serial.to_bytes(SERIAL_LENGTH, "big"), subject.node_id.encode(), spki_der)
        return _Draft(issuer, template, b"".join(parts), partial(mould.verify, parts=parts))
    return _general_draft(order, template)


def _general_draft(order: LeafOrder, template: Template) -> _Draft:
    """The same certificate as from a mould, in more steps, and what no mould fits."""
    subject_der, names = _subject_and_names(order.profile, order.subject, order.hosts)
    contents = Contents(
        serial=order.serial, validity=order.validity, subject=subject_der, spki_der=order.spki_der, hosts=names
    )
    try:
        tbs = template.tbs(contents)
    except ValueError as error:
        raise InvalidRequest("expected a public key in DER") from error
    return _Draft(order.issuer, template, tbs, partial(verify_issued, template=template, contents=contents))


def _verify_hosts(profile: Profile, identity: NodeIdentity, hosts: Sequence[str]) -> tuple[str, ...]:
    if profile is not swarm_node(identity.role):
        raise InvalidRequest(f"expected the profile of a {identity.role.word}, got {profile.value!r}")
    names = hosts_of(identity)
    if tuple(hosts) != names:
        raise InvalidRequest(f"expected exactly the hosts {', '.join(names)}")
    return names


def _subject_and_names(
    profile: Profile, subject: NodeIdentity | x509.Name, hosts: Sequence[str]
) -> tuple[bytes, tuple[Host, ...]]:
    """The subject's DER and the parsed hosts, once it is clear that they are what the profile is for."""
    if isinstance(subject, NodeIdentity):
        # The names of an identity are DNS names in lower case, or there would be no such identity.
        return subject_der_of(subject), _verify_hosts(profile, subject, hosts)
    if profile.role is not None:
        raise InvalidRequest(f"expected a node's identity for the profile {profile.value!r}")
    if not subject.rdns:
        raise InvalidRequest("expected a subject that is not empty")
    return subject.public_bytes(), parse_hosts(hosts)
