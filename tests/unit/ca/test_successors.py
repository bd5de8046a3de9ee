"""A new root is believed for the signature of a trusted one, and a leaf below it for the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from ca.errors import InvalidCertificate
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuer import Issuer
from ca.issuing import cross_sign, serial_from
from ca.profiles import cross_validity, swarm_node, validity
from ca.successors import verify_chain, verify_successors
from tests.unit.ca.authority import NOW, issue_leaf, new_issuer, p256, spki_of

OLD, NEW, STRANGER = new_issuer(), new_issuer(), new_issuer()
NODE = NodeIdentity(cluster_id="c" * 25, role=NodeRole.WORKER, node_id="n1")


def cross(issuer: Issuer, root: x509.Certificate) -> x509.Certificate:
    span = cross_validity(NOW, issuer_not_after=issuer.not_after, root_not_after=root.not_valid_after_utc)
    return x509.load_der_x509_certificate(
        cross_sign(issuer, new_root=root, serial=serial_from(bytes(20)), validity=span)
    )


def leaf(issuer: Issuer) -> x509.Certificate:
    der = issue_leaf(
        issuer,
        profile=swarm_node(NODE.role),
        subject=NODE,
        spki_der=spki_of(p256()),
        hosts=hosts_of(NODE),
        validity=validity(NOW, timedelta(days=90), issuer_not_after=issuer.not_after),
        serial=serial_from(bytes(20)),
    )
    return x509.load_der_x509_certificate(der)


CROSS = cross(OLD, NEW.certificate)


def test_roots_that_are_trusted_or_signed_are_believed() -> None:
    old, new = OLD.certificate, NEW.certificate
    assert verify_successors([old, new], trusted=[old], cross_signed=[CROSS], now=NOW) == (old, new)
    assert verify_successors([new], trusted=[old, new], cross_signed=[], now=NOW) == (new,)
    assert verify_successors([old], trusted=[old, new], cross_signed=[], now=NOW) == (old,)


@pytest.mark.parametrize(
    "crosses",
    [
        [],
        [NEW.certificate],
        [cross(STRANGER, NEW.certificate)],
        [cross(OLD, STRANGER.certificate)],
        [leaf(OLD)],
    ],
    ids=["none", "its own signature", "a stranger's", "of another root", "a leaf"],
)
def test_a_root_that_nobody_trusted_signed_is_not(crosses: list[x509.Certificate]) -> None:
    with pytest.raises(InvalidCertificate, match="signed by one that is"):
        verify_successors([NEW.certificate], trusted=[OLD.certificate], cross_signed=crosses, now=NOW)


@pytest.mark.parametrize("later", [timedelta(days=8), timedelta(days=-1)])
def test_a_cross_certificate_counts_in_its_time(later: timedelta) -> None:
    for call in (
        lambda now: verify_successors([NEW.certificate], trusted=[OLD.certificate], cross_signed=[CROSS], now=now),
        lambda now: verify_chain([leaf(NEW), CROSS], trusted=[OLD.certificate], now=now),
    ):
        with pytest.raises(InvalidCertificate):
            call(NOW + later)


def test_no_roots_are_none() -> None:
    with pytest.raises(InvalidCertificate, match="at least one"):
        verify_successors([], trusted=[OLD.certificate], cross_signed=[], now=NOW)


def test_a_leaf_stands_below_a_root_or_below_its_cross_certificate() -> None:
    old, new = leaf(OLD), leaf(NEW)
    assert verify_chain([old], trusted=[OLD.certificate], now=NOW) == old
    assert verify_chain([new, CROSS], trusted=[OLD.certificate], now=NOW) == new
    assert verify_chain([new, CROSS], trusted=[OLD.certificate, NEW.certificate], now=NOW) == new


@pytest.mark.parametrize(
    "chain",
    [
        [],
        [leaf(NEW)],
        [leaf(STRANGER), CROSS],
        [leaf(OLD), STRANGER.certificate],
        [leaf(NEW), leaf(OLD)],
        [leaf(NEW), cross(STRANGER, NEW.certificate)],
        [leaf(NEW), CROSS, CROSS],
    ],
    ids=["none", "no issuer", "another issuer", "a stray root", "a leaf as issuer", "a stranger's cross", "too many"],
)
def test_other_chains_are_refused(chain: list[x509.Certificate]) -> None:
    with pytest.raises(InvalidCertificate):
        verify_chain(chain, trusted=[OLD.certificate], now=NOW)
