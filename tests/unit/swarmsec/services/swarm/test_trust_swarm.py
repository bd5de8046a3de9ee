"""Which Swarm roots are accepted, how managers under them are noted, and when a root is dropped."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.errors import InvalidCertificate
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuing import issue_root, serial_from
from ca.swarm_requests import SwarmRequest
from swarmsec.errors import AlreadyExists, Denied, NotFound, UsageProblem
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ca.sign_for_swarm import SwarmSigning, sign_for_swarm
from swarmsec.services.grouped import Grouped
from swarmsec.services.records import CertificateRecord
from swarmsec.services.swarm.trust_swarm import distrust_swarm, drop_left_roots, trust_swarm
from tests.unit.ca.authority import KeySigner
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of


def new_root() -> bytes:
    """A Swarm's own root, PEM."""
    der = issue_root(KeySigner(key=new_key()), serial=serial_from(os.urandom(20)), now=datetime.now(UTC))
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _trust(desk: Desk, pem: bytes | None = None) -> str:
    chosen = pem or new_root()
    return desk.write(lambda transaction, authority: trust_swarm(transaction, authority, chosen, OPERATOR)).sha256


def _roots(desk: Desk) -> list[str]:
    return desk.home.store.read(lambda transaction: [root.sha256 for root in transaction.swarm_roots.all()])


def _sign(desk: Desk, root: str | None, manager: str, node_id: str, *, organization: str = "") -> None:
    cluster = desk.authority.cluster_id
    caller = NodeIdentity(cluster_id=cluster, role=NodeRole.MANAGER, node_id=manager)
    identity = NodeIdentity(cluster_id=cluster, role=NodeRole.MANAGER, node_id=node_id)
    wanted = SwarmRequest(
        common_name=node_id,
        organization=organization or cluster,
        organizational_unit=identity.role.value,
        hosts=hosts_of(identity),
        profile="",
    )
    asked = SwarmSigning(caller, wanted, request_of(new_key()), OPERATOR, root)
    authority = desk.authority
    unit: Grouped[CertificateRecord] = Grouped(
        lambda transaction, items: sign_for_swarm(transaction, authority, items), asked, frozenset()
    )
    desk.home.store.write(unit)


def _drop(desk: Desk, *quiet: str) -> list[str]:
    return desk.home.store.write(lambda transaction: drop_left_roots(transaction, quiet))


def test_a_root_is_accepted_once_and_dropped_once(desk: Desk) -> None:
    pem = new_root()
    sha256 = _trust(desk, pem)
    with pytest.raises(AlreadyExists):
        _trust(desk, pem)

    desk.home.store.write(lambda transaction: distrust_swarm(transaction, sha256, OPERATOR, reason="test"))

    assert _roots(desk) == []
    with pytest.raises(NotFound):
        desk.home.store.write(lambda transaction: distrust_swarm(transaction, sha256, OPERATOR, reason="test"))


def test_what_is_not_one_foreign_root_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageProblem, match="our own"):
        _trust(desk, desk.authority.bundle_pem)
    with pytest.raises(UsageProblem, match="one root"):
        _trust(desk, new_root() + new_root())
    with pytest.raises(InvalidCertificate):
        _trust(desk, b"no certificate")

    assert _roots(desk) == []


def test_a_root_goes_when_every_manager_seen_under_it_has_moved(desk: Desk) -> None:
    root = _trust(desk)
    _sign(desk, root, "m1", "m1")

    assert _drop(desk, root) == [root]
    assert _roots(desk) == []
    assert desk.last_entry()["action"] == "swarm.distrust"


def test_a_root_stays_while_nobody_was_seen(desk: Desk) -> None:
    root = _trust(desk)

    assert _drop(desk, root) == []


def test_a_root_stays_while_somebody_was_seen_lately(desk: Desk) -> None:
    root = _trust(desk)
    _sign(desk, root, "m1", "m1")

    assert _drop(desk) == []


def test_a_root_stays_while_a_manager_has_no_certificate_of_ours(desk: Desk) -> None:
    root = _trust(desk)
    _sign(desk, root, "m1", "m1")
    _sign(desk, root, "m2", "w1")

    assert _drop(desk, root) == []

    _sign(desk, root, "m1", "m2")
    assert _drop(desk, root) == [root]


def test_a_revoked_certificate_is_no_move(desk: Desk) -> None:
    root = _trust(desk)
    _sign(desk, root, "m1", "m1")
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "m1", OPERATOR))

    assert _drop(desk, root) == []


def test_one_root_that_was_left_leaves_the_other(desk: Desk) -> None:
    left, kept = _trust(desk), _trust(desk)
    _sign(desk, left, "m1", "m1")

    assert _drop(desk, left, kept) == [left]
    assert _roots(desk) == [kept]


def test_a_refused_request_leaves_its_entry_alone(desk: Desk) -> None:
    root = _trust(desk)

    with pytest.raises(Denied, match="cluster"):
        _sign(desk, root, "m1", "n1", organization="anothercluster")

    assert desk.states() == {}
    assert desk.last_entry()["outcome"] == "denied"
    assert desk.home.store.read(lambda transaction: list(transaction.swarm_roots.nodes(root))) == []
