"""Who a node is, and how its certificate says so."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidCertificate, InvalidRequest
from ca.hosts import parse_hosts
from ca.identity import (
    NodeIdentity,
    NodeRole,
    hosts_of,
    identity_of,
    new_id,
    parse_cluster_id,
    parse_node_id,
    subject_of,
)
from ca.profiles import Profile, swarm_node
from tests.unit.ca.authority import (
    VECTORS,
    issue_leaf,
    new_identity,
    new_issuer,
    new_serial,
    ninety_days,
    p256,
    spki_of,
)

ISSUER = new_issuer()


def certificate_with(subject: x509.Name) -> x509.Certificate:
    issued = issue_leaf(
        ISSUER,
        profile=Profile.CLIENT,
        subject=subject,
        spki_der=spki_of(p256()),
        hosts=["someone"],
        validity=ninety_days(ISSUER),
        serial=new_serial(),
    )
    return x509.load_der_x509_certificate(issued)


@pytest.mark.parametrize(
    "text", ["c1uster0000000000000000id", "FIPS.c1uster0000000000000000id", "prod", "a.b-c_d", "x" * 63]
)
def test_cluster_ids(text: str) -> None:
    assert parse_cluster_id(text) == text


@pytest.mark.parametrize("text", ["a", "node-1", "node-1.example.org", "swarm-worker-1", "a_b", "0z", "x" * 63])
def test_node_ids(text: str) -> None:
    assert parse_node_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "x" * 64, "Node", "-a", "a-", "a.", ".a", "a b", "a\n", "a\0b", "é", "a,OU=swarm-manager", "*"]
)
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="expected a node id"):
        parse_node_id(text)
    with pytest.raises(InvalidRequest, match="expected a cluster id"):
        parse_cluster_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "swarm-manager",
        "swarm-worker",
        "swarm-ca",
        "localhost",
        "10.0.0.1",
        "a..b",
        "a.-b",
        "1.2",
        "0x7f",
    ],
)
def test_a_node_may_not_be_named_so_that_it_passes_for_another_service(text: str) -> None:
    with pytest.raises(InvalidRequest):
        NodeIdentity(cluster_id="c", role=NodeRole.WORKER, node_id=text)


def test_fips_is_a_prefix_of_cluster_ids_alone() -> None:
    with pytest.raises(InvalidRequest):
        parse_node_id("FIPS.a")


@pytest.mark.parametrize(
    ("random17", "expected"),
    [
        (bytes(17), "hvy0lj3x0b883f8e30fyp2172"),
        (b"\xff" * 17, "zrw1727u0mgg6ugs60vxe42e4"),
        (bytes(range(17)), "hw05xdvcpbrfi4jekqvbjy4b2"),
    ],
)
def test_new_ids_are_frozen_and_ignore_the_top_bit(random17: bytes, expected: str) -> None:
    assert new_id(random17) == expected
    assert new_id(bytes([random17[0] ^ 0x80]) + random17[1:]) == expected


@given(st.binary(min_size=17, max_size=17))
def test_new_ids_are_as_swarmkit_makes_them(random17: bytes) -> None:
    number = int.from_bytes(bytes([random17[0] | 0x80]) + random17[1:], "big")
    made = new_id(random17)
    assert len(made) == 25
    # The 25 characters are digits 2 to 26 of 27: what they leave out is the leading digit and the last one.
    assert int(made, 36) == number // 36 % 36**25
    assert parse_cluster_id(made) == made


@pytest.mark.parametrize("length", [0, 16, 18])
def test_new_ids_need_17_bytes(length: int) -> None:
    with pytest.raises(InvalidRequest, match="17 random bytes"):
        new_id(bytes(length))


def test_words_of_roles() -> None:
    assert [role.word for role in NodeRole] == ["worker", "manager"]


@pytest.mark.parametrize("role", NodeRole)
def test_the_subject_is_o_ou_cn_and_reads_back(role: NodeRole) -> None:
    identity = new_identity(role)
    subject = subject_of(identity)
    assert subject.rfc4514_string() == f"CN={identity.node_id},OU={role.value},O={identity.cluster_id}"
    assert identity_of(certificate_with(subject)) == identity


@pytest.mark.parametrize("role", NodeRole)
def test_hosts_of_a_node_are_names_that_a_certificate_can_hold(role: NodeRole) -> None:
    identity = new_identity(role)
    expected = (role.value, identity.node_id) + (("swarm-ca",) if role is NodeRole.MANAGER else ())
    assert hosts_of(identity) == expected
    assert parse_hosts(hosts_of(identity)) == expected


@given(st.text(alphabet="abz019._-", min_size=1, max_size=63))
def test_every_accepted_node_id_is_a_host(text: str) -> None:
    try:
        identity = NodeIdentity(cluster_id="c", role=NodeRole.MANAGER, node_id=text)
    except InvalidRequest:
        return
    assert parse_hosts(hosts_of(identity)) == hosts_of(identity)


O, OU, CN = NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME  # noqa: E741


@pytest.mark.parametrize(
    "attributes",
    [
        [(O, "c"), (OU, "swarm-worker")],
        [(O, "c"), (OU, "swarm-worker"), (CN, "n"), (CN, "m")],
        [(O, "c"), (OU, "swarm-manager"), (OU, "swarm-worker"), (CN, "n")],
        [(CN, "n"), (OU, "swarm-worker"), (O, "c")],
        [(O, "c"), (OU, "swarm-admin"), (CN, "n")],
        [(O, "c"), (OU, "SWARM-WORKER"), (CN, "n")],
        [(O, "C"), (OU, "swarm-worker"), (CN, "n")],
        [(O, "c"), (OU, "swarm-worker"), (CN, "swarm-manager")],
        [(O, "c"), (NameOID.LOCALITY_NAME, "swarm-worker"), (CN, "n")],
    ],
)
def test_other_subjects_are_no_identity(attributes: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])
    with pytest.raises(InvalidCertificate, match="O=cluster id, OU=role, CN=node id"):
        identity_of(certificate_with(subject))


def test_several_attributes_in_one_rdn_are_no_identity() -> None:
    pair = [x509.NameAttribute(O, "c"), x509.NameAttribute(OU, "swarm-worker")]
    names = [x509.RelativeDistinguishedName(pair), x509.RelativeDistinguishedName([x509.NameAttribute(CN, "n")])]
    with pytest.raises(InvalidCertificate):
        identity_of(certificate_with(x509.Name(names)))


def test_the_certificate_of_a_docker_engine() -> None:
    certificate = x509.load_pem_x509_certificate((VECTORS / "docker-20.10.24" / "swarm-node.crt").read_bytes())
    identity = identity_of(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert identity.role is NodeRole.MANAGER
    assert tuple(names.get_values_for_type(x509.DNSName)) == hosts_of(identity)
    assert swarm_node(identity.role) is Profile.SWARM_MANAGER
