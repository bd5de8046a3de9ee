"""A node comes back with its own token and its own key, and in no other way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.errors import Denied
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.nodes.limited_tokens import TokenRole, revoke_limited_token
from swarmsec.services.nodes.recover_node import RecoveryRequest, recover_node
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.ca.authority import new_issuer
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of
from tests.unit.swarmsec.services.nodes.test_limited_tokens import QUARTER, create

EXPIRED = timedelta(days=91)


def token_for(desk: Desk, name: str = "n1") -> str:
    return create(desk, TokenRole.RECOVER, node_name=name)[1]


def recover(desk: Desk, token: str, key: ec.EllipticCurvePrivateKey) -> CertificateRecord:
    wanted = RecoveryRequest(token=token, proof=request_of(key))
    return desk.write(lambda transaction, authority: recover_node(transaction, desk.keys, authority, wanted, OPERATOR))


def refused(desk: Desk, token: str, key: ec.EllipticCurvePrivateKey) -> str:
    before = desk.states()
    with pytest.raises(Denied) as raised:
        recover(desk, token, key)
    assert desk.states() == before
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["reason"]) == ("node.recover", "denied", str(raised.value))
    assert token.rpartition("-")[2] not in str(entry)
    return str(raised.value)


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return new_key()


@pytest.mark.parametrize("role", list(NodeRole))
def test_an_expired_node_is_the_same_again(role: NodeRole, desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    former = desk.issue(role, "n1", key)
    desk.move_clock(EXPIRED)

    record = recover(desk, token_for(desk), key)

    same = ("subject_id", "profile", "role", "spki_sha256", "cluster_id")
    assert [getattr(record, name) for name in same] == [getattr(former, name) for name in same]
    assert record.not_after > former.not_after
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["object"]["id"]) == ("node.recover", "success", "n1")
    assert (entry["fields"]["serial"], entry["fields"]["expired_serial"]) == (record.serial, former.serial)
    verify_store(desk.home.store)


def test_the_token_counts_once_and_a_lost_answer_is_given_again(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.move_clock(EXPIRED)
    token = token_for(desk)
    record = recover(desk, token, key)

    assert recover(desk, token, key) == record
    desk.move_clock(2 * EXPIRED)
    assert "expired" in refused(desk, token, key)


def test_an_older_key_of_the_node_will_do(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    """The answer to its last renewal may have been lost, and with it the certificate of the newest key."""
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.issue(NodeRole.WORKER, "n1", new_key())
    desk.move_clock(EXPIRED)

    record = recover(desk, token_for(desk), key)

    assert desk.states()[record.serial] == "valid"
    assert sorted(desk.states().values()) == ["superseded", "superseded", "valid"]


def test_another_key_is_refused(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    other = new_key()
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.issue(NodeRole.WORKER, "n2", other)
    desk.move_clock(EXPIRED)
    token = token_for(desk)

    for wrong in (new_key(), other):
        assert refused(desk, token, wrong) == "the key is none of node n1"
    recover(desk, token, key)


def test_a_certificate_that_counts_is_renewed_instead(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)

    assert "counts until" in refused(desk, token_for(desk), key)


def test_a_revoked_node_does_not_come_back(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))
    desk.move_clock(EXPIRED)

    assert "revoked" in refused(desk, token_for(desk), key)


def test_an_older_key_does_not_bring_back_what_was_revoked_since(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.move_clock(EXPIRED)
    newer = desk.issue(NodeRole.WORKER, "n1", new_key())
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, newer.serial, OPERATOR))

    assert "revoked" in refused(desk, token_for(desk), key)


def test_a_former_role_does_not_come_back(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.MANAGER, "n1", key)
    desk.move_clock(EXPIRED)
    desk.issue(NodeRole.WORKER, "n1", new_key())

    assert "another role" in refused(desk, token_for(desk), key)


def test_tokens_to_join_with_bring_nobody_back(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.move_clock(EXPIRED)
    standing = desk.home.store.read(
        lambda transaction: open_standing_token(transaction, desk.keys, NodeRole.MANAGER)[1].format()
    )

    for role in (TokenRole.WORKER, TokenRole.MANAGER, TokenRole.DRIVER, TokenRole.AGENT):
        assert "role recover" in refused(desk, create(desk, role, node_name="n1")[1], key)
    assert "role recover" in refused(desk, standing, key)


def test_tokens_that_count_no_longer(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    desk.issue(NodeRole.WORKER, "n1", key)
    desk.move_clock(EXPIRED)
    ended, text = create(desk, TokenRole.RECOVER, node_name="n1")
    desk.home.store.write(lambda transaction: revoke_limited_token(transaction, ended.token_id, OPERATOR))
    late = token_for(desk)
    unknown = JoinToken.build(desk.authority.bundle_pem, bytes(range(16))).format()

    assert refused(desk, text, key) == "the token was revoked"
    assert refused(desk, unknown, key) == "a valid join token is necessary to join this cluster"
    assert "begins with SWMTKN" in refused(desk, "nothing", key)
    assert "another root" in refused(desk, JoinToken.build(b"another", bytes(16)).format(), key)
    desk.move_clock(EXPIRED + QUARTER)
    assert refused(desk, late, key) == "the token has expired"


def test_a_certificate_in_place_of_a_request_is_the_managers_own(desk: Desk, key: ec.EllipticCurvePrivateKey) -> None:
    mine = desk.issue(NodeRole.MANAGER, "n1", key)
    other = desk.issue(NodeRole.MANAGER, "n2", new_key())
    foreign = new_issuer().certificate
    desk.move_clock(EXPIRED)
    token = token_for(desk)

    def show(certificate: x509.Certificate) -> CertificateRecord:
        wanted = RecoveryRequest(token=token, proof=certificate)
        return desk.write(lambda transaction, at: recover_node(transaction, desk.keys, at, wanted, OPERATOR))

    for wrong in (x509.load_der_x509_certificate(other.der), foreign):
        with pytest.raises(Denied):
            show(wrong)
    again = show(x509.load_der_x509_certificate(mine.der))
    assert (again.subject_id, again.spki_sha256) == ("n1", mine.spki_sha256)
    assert show(x509.load_der_x509_certificate(mine.der)).serial == again.serial
    assert desk.last_entry()["fields"]["proof"] == "certificate"
