"""Certificates without a role: what they may say, whose names and keys they may have, how long they live."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ca.errors import InvalidRequest
from ca.identity import NodeRole
from ca.profiles import Profile
from swarmsec.errors import AlreadyExists, Denied, UsageProblem
from swarmsec.http import Role, RoleKind
from swarmsec.services.access.manage_access import add_identity, revoke_identity
from swarmsec.services.ca.issue_certificate import CertificateRequest, issue_certificate, parse_certificate_request
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.records import CertificateRecord
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, spki_of

NODE = "u6jff6bwy5t4u16541oq1yqb5"


def request(name: str = "docker-1", **changes: object) -> CertificateRequest:
    return replace(
        CertificateRequest(profile=Profile.SERVER, name=name, hosts=("docker-1", "10.0.0.5")),
        **changes,  # type: ignore[arg-type]  # named by the test
    )


def issue(desk: Desk, wanted: CertificateRequest, spki: bytes | None = None) -> CertificateRecord:
    chosen = spki or spki_of(new_key())
    return desk.write(
        lambda transaction, authority: issue_certificate(transaction, authority, wanted, chosen, OPERATOR)
    )


@pytest.mark.parametrize(
    ("name", "hosts", "expected"),
    [
        (None, ("Docker-1", "10.0.0.5", "docker-1"), ("docker-1", ("docker-1", "10.0.0.5"))),
        (None, ("10.0.0.5", "localhost", "docker-1"), ("docker-1", ("10.0.0.5", "localhost", "docker-1"))),
        ("web", ("::1",), ("web", ("::1",))),
    ],
)
def test_a_request_has_a_name_and_its_hosts_once(
    name: str | None, hosts: tuple[str, ...], expected: tuple[str, tuple[str, ...]]
) -> None:
    parsed = parse_certificate_request(Profile.SERVER, name=name, hosts=hosts, hours=None)
    assert (parsed.name, parsed.hosts) == expected


@pytest.mark.parametrize("host", ["swarm-manager", "swarm-worker", "swarm-ca", "SWARM-CA"])
def test_names_by_which_nodes_know_a_manager_are_refused(host: str) -> None:
    for profile in (Profile.SERVER, Profile.CLIENT):
        with pytest.raises(UsageProblem, match="names of Swarm roles"):
            parse_certificate_request(profile, name="web", hosts=("web", host), hours=None)


@pytest.mark.parametrize(
    "name", ["", "Web", "a b", "localhost", "swarm-manager", "swarmsec-server", "10.0.0.1", "a" * 64]
)
def test_a_name_that_is_none_or_anothers_is_refused(name: str) -> None:
    with pytest.raises(UsageProblem, match="expected a name"):
        parse_certificate_request(Profile.SERVER, name=name, hosts=("web",), hours=None)


def test_where_no_host_can_be_the_name_one_is_asked_for() -> None:
    with pytest.raises(UsageProblem, match="expected --name"):
        parse_certificate_request(Profile.SERVER, name=None, hosts=("10.0.0.5", "swarmsec-server"), hours=None)


@pytest.mark.parametrize(
    "hosts", [(), ("a b",), ("*.example.internal",), ("fe80::1%eth0",), tuple(f"h{n}" for n in range(101))]
)
def test_hosts_that_cannot_be_meant_are_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        parse_certificate_request(Profile.SERVER, name="web", hosts=hosts, hours=None)


@pytest.mark.parametrize("profile", [Profile.ROOT, Profile.SWARM_MANAGER, Profile.SWARM_WORKER])
def test_other_profiles_are_refused(profile: Profile) -> None:
    with pytest.raises(UsageProblem, match="server or client"):
        parse_certificate_request(profile, name="web", hosts=("web",), hours=None)


@pytest.mark.parametrize("hours", [0, -1])
def test_a_life_of_no_time_is_refused(hours: int) -> None:
    with pytest.raises(UsageProblem, match="an hour or more"):
        parse_certificate_request(Profile.SERVER, name="web", hosts=("web",), hours=hours)


def test_a_certificate_carries_no_role_and_its_entry_names_its_hosts(desk: Desk) -> None:
    record = issue(desk, request())
    assert (record.role, record.profile, record.subject_id) == ("", "server", "docker-1")
    entry = desk.last_entry()
    assert (entry["action"], entry["fields"]["hosts"]) == ("ca.issue", ["docker-1", "10.0.0.5"])


def test_the_settings_bound_its_life(desk: Desk) -> None:
    most = desk.authority.lifetime // timedelta(hours=1)
    with pytest.raises(UsageProblem, match=f"at most {most} hours, got {most + 1}"):
        issue(desk, request(hours=most + 1))
    whole, day = issue(desk, request(hours=most)), issue(desk, request(hours=24))
    assert whole.not_after - whole.not_before == (most + 1) * 3600
    assert day.not_after - day.not_before == 25 * 3600
    assert issue(desk, request()).not_after - whole.not_after in range(120)


@pytest.mark.parametrize("is_revoked", [False, True])
def test_the_name_of_a_node_is_refused_for_ever(desk: Desk, is_revoked: bool) -> None:
    desk.issue(NodeRole.WORKER, NODE, new_key())
    if is_revoked:
        desk.home.store.write(lambda transaction: revoke_certificates(transaction, NODE, OPERATOR))
    with pytest.raises(AlreadyExists, match="belongs to a node"):
        issue(desk, request(NODE))


def test_the_name_of_an_identity_is_refused_while_it_is_in_use(desk: Desk) -> None:
    role, spki = Role(kind=RoleKind.ADMIN), spki_of(new_key())
    desk.write(
        lambda transaction, authority: add_identity(
            transaction, authority, name="alice", role=role, spki_der=spki, requester=OPERATOR
        )
    )
    with pytest.raises(AlreadyExists, match="belongs to an identity"):
        issue(desk, request("alice"))
    desk.home.store.write(lambda transaction: revoke_identity(transaction, "alice", OPERATOR))
    issue(desk, request("alice"))


def test_a_program_gets_its_next_certificate_under_the_same_name_and_key(desk: Desk) -> None:
    spki = spki_of(new_key())
    first, second = issue(desk, request(), spki), issue(desk, request(profile=Profile.CLIENT), spki)
    assert first.serial != second.serial
    assert set(desk.states().values()) == {"valid"}


def test_a_key_of_somebody_else_is_refused_on_record(desk: Desk) -> None:
    key = new_key()
    desk.issue(NodeRole.WORKER, NODE, key)
    program = spki_of(new_key())
    issue(desk, request(), program)
    for spki, name in ((spki_of(key), "docker-1"), (program, "docker-2")):
        with pytest.raises(Denied, match="belongs to another identity"):
            issue(desk, request(name), spki)
        entry = desk.last_entry()
        assert (entry["action"], entry["outcome"], entry["object"]["name"]) == ("ca.issue", "denied", name)


def test_a_revoked_key_gets_no_certificate_again(desk: Desk) -> None:
    spki = spki_of(new_key())
    serial = issue(desk, request(), spki).serial
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, serial, OPERATOR))
    with pytest.raises(Denied, match="this key was revoked"):
        issue(desk, request(), spki)


def test_the_authoritys_own_key_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="issuer's own key"):
        issue(desk, request(), desk.authority.issuer.spki_der)
