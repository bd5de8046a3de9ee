"""Groups of leaf certificates: what comes of an order does not depend on those beside it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ca.checking import verify_issued_signature
from ca.errors import CaError, InvalidCertificate, InvalidRequest
from ca.identity import NodeRole, hosts_of
from ca.issuer import Issuer
from ca.leaves import LeafOrder, issue_leaves
from ca.profiles import Profile, swarm_node
from ca.templates import Template
from tests.unit.ca.authority import (
    KeySigner,
    new_identity,
    new_issuer,
    new_root,
    new_serial,
    ninety_days,
    p256,
    spki_of,
)

SIGNED: list[bytes] = []


class WatchedSigner(KeySigner):
    """Shows what it signed."""

    def sign(self, message: bytes) -> bytes:
        SIGNED.append(message)
        return super().sign(message)


ISSUERS = [new_issuer(), new_issuer()]
HOLDERS = [spki_of(p256()), spki_of(ec.generate_private_key(ec.SECP384R1()))]
SUBJECT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca.example.org")])


def order_of(issuer: Issuer, role: NodeRole | None, spki_der: bytes) -> LeafOrder:
    validity, serial = ninety_days(issuer), new_serial()
    if role is None:
        return LeafOrder(issuer, Profile.SERVER, SUBJECT, spki_der, ("ca.example.org", "::1"), validity, serial)
    identity = new_identity(role)
    return LeafOrder(issuer, swarm_node(role), identity, spki_der, hosts_of(identity), validity, serial)


KINDS = st.tuples(st.sampled_from(ISSUERS), st.sampled_from([None, *NodeRole]), st.sampled_from(HOLDERS))
"""Certificates from moulds and by the general way, of two issuers."""


@given(st.lists(KINDS, max_size=8))
def test_a_group_gets_what_each_would_get_alone(kinds: Sequence[tuple[Issuer, NodeRole | None, bytes]]) -> None:
    wanted = [order_of(*kind) for kind in kinds]
    together = issue_leaves(wanted)

    for order, leaf_der in zip(wanted, together, strict=True):
        (alone,) = issue_leaves([order])
        leaf, other = x509.load_der_x509_certificate(leaf_der), x509.load_der_x509_certificate(alone)
        assert leaf.tbs_certificate_bytes == other.tbs_certificate_bytes
        verify_issued_signature(leaf, order.issuer.certificate.public_key(), order.issuer.algorithm)  # type: ignore[arg-type]  # P-256 both


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nothing_is_signed_where_one_order_cannot_be_fulfilled(place: int) -> None:
    signer = WatchedSigner(key=p256())
    issuer = Issuer(new_root(signer), signer)
    wanted = [order_of(issuer, NodeRole.WORKER, spki_of(p256())) for _ in range(3)]
    wanted[place] = wanted[place]._replace(hosts=("another",))
    SIGNED.clear()

    with pytest.raises(InvalidRequest, match="exactly the hosts"):
        issue_leaves(wanted)
    assert not SIGNED


@pytest.mark.parametrize("role", [None, NodeRole.WORKER])
def test_a_certificate_that_came_out_otherwise_keeps_its_group_back(
    role: NodeRole | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [order_of(ISSUERS[0], role, spki_of(p256())) for _ in range(3)]
    certificate = Template.certificate

    def broken(self: Template, tbs: bytes, signature: bytes) -> bytes:
        made = certificate(self, tbs, signature)
        return made.replace(b"\x55\x1d\x23", b"\x55\x1d\x24") if b"\x55\x1d\x23" in made[-300:] else made

    issue_leaves(wanted)
    monkeypatch.setattr(Template, "certificate", broken)
    with pytest.raises(InvalidCertificate):
        issue_leaves([order_of(ISSUERS[0], role, spki_of(p256())), *wanted])


def test_an_empty_group_is_nothing() -> None:
    assert issue_leaves([]) == []


def test_a_key_that_is_none_keeps_its_group_back() -> None:
    good = order_of(ISSUERS[0], NodeRole.WORKER, spki_of(p256()))
    with pytest.raises(CaError):
        issue_leaves([good, good._replace(spki_der=spki_of(p256())[:27] + bytes(64))])
