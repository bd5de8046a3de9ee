"""A node's certificate is renewed for who the table says it is, with another key, and for nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from ca.profiles import Profile
from swarmsec.errors import Denied
from swarmsec.http import Role
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of, spki_of
from tests.unit.swarmsec.services.desk import renew as renew_presented


def renew(desk: Desk, presented: CertificateRecord, key: ec.EllipticCurvePrivateKey | None = None) -> CertificateRecord:
    wanted = request_of(key or new_key())
    return desk.write(lambda transaction, authority: renew_presented(transaction, authority, presented, wanted))


def refused(desk: Desk, presented: CertificateRecord, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    before = desk.states()
    with pytest.raises(Denied) as raised:
        renew(desk, presented, key)
    assert desk.states() == before
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["reason"]) == ("ca.issue", "denied", str(raised.value))
    return str(raised.value)


@pytest.mark.parametrize("role", list(NodeRole))
def test_node_and_role_stay_and_the_former_is_superseded(role: NodeRole, desk: Desk) -> None:
    former = desk.issue(role, "n1", new_key())

    record = renew(desk, former)

    assert (record.subject_id, record.profile, record.role) == (former.subject_id, former.profile, former.role)
    assert record.spki_sha256 != former.spki_sha256
    assert desk.states() == {former.serial: "superseded", record.serial: "valid"}
    assert desk.last_entry()["fields"]["via"] == f"renewal:{former.serial}"
    verify_store(desk.home.store)


def test_an_answer_that_was_lost_is_given_again(desk: Desk) -> None:
    former, key = desk.issue(NodeRole.WORKER, "n1", new_key()), new_key()
    record = renew(desk, former, key)

    assert renew(desk, former, key) == record


def test_a_superseded_certificate_renews_once_more(desk: Desk) -> None:
    former = desk.issue(NodeRole.WORKER, "n1", new_key())
    renew(desk, former)

    record = renew(desk, former)

    assert sorted(desk.states().values()) == ["superseded", "superseded", "valid"]
    assert desk.states()[record.serial] == "valid"


def test_the_present_key_is_not_certified_again(desk: Desk) -> None:
    key = new_key()
    former = desk.issue(NodeRole.WORKER, "n1", key)

    assert "expected a new key" in refused(desk, former, key)


def test_another_node_s_key_is_not_taken(desk: Desk) -> None:
    other = new_key()
    former = desk.issue(NodeRole.WORKER, "n1", new_key())
    desk.issue(NodeRole.WORKER, "n2", other)

    assert "another identity" in refused(desk, former, other)


def test_a_revoked_certificate_is_not_renewed(desk: Desk) -> None:
    former = desk.issue(NodeRole.WORKER, "n1", new_key())
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))

    assert "revoked" in refused(desk, former)


def test_a_certificate_of_a_former_role_is_not_renewed(desk: Desk) -> None:
    manager = desk.issue(NodeRole.MANAGER, "n1", new_key())
    desk.issue(NodeRole.WORKER, "n1", new_key())

    assert "revoked" in refused(desk, manager)


@pytest.mark.parametrize("moved", [timedelta(days=90), timedelta(days=-1)])
def test_a_certificate_outside_its_dates_is_not_renewed(moved: timedelta, desk: Desk) -> None:
    former = desk.issue(NodeRole.WORKER, "n1", new_key())
    desk.move_clock(moved)

    assert "outside its dates" in refused(desk, former)


def test_a_certificate_that_is_not_ours_is_not_renewed(desk: Desk) -> None:
    record = desk.issue(NodeRole.WORKER, "n1", new_key())

    assert "this authority issued" in refused(desk, replace(record, sha256=bytes(32)))
    assert "this authority issued" in refused(desk, replace(record, subject_id="n2"))


def test_an_identity_is_no_node(desk: Desk) -> None:
    client = desk.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            Profile.CLIENT,
            name="n1",
            role=Role.parse("operator"),
            spki_der=spki_of(new_key()),
            hosts=("client.example",),
            requester=OPERATOR,
        )
    )

    assert "only a node's certificate" in refused(desk, client)


def test_a_superseded_certificate_of_a_former_role_gives_it_back_to_nobody(desk: Desk) -> None:
    first = desk.issue(NodeRole.MANAGER, "n1", new_key())
    renew(desk, first)
    desk.issue(NodeRole.WORKER, "n1", new_key())

    assert "revoked" in refused(desk, first)


def test_a_person_of_the_same_name_changes_nothing_for_the_node(desk: Desk) -> None:
    former = desk.issue(NodeRole.WORKER, "n1", new_key())
    test_an_identity_is_no_node(desk)

    assert renew(desk, former).role == former.role
