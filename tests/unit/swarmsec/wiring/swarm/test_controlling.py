"""What the control API tells is held against the node's own word, and its doors open only to who names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.issuing import Issuer
from ca.profiles import swarm_node, validity
from swarmsec.clock import now_utc
from swarmsec.errors import NotFound
from swarmsec.keys.signers import SealedSigner
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.records import CertificateRecord, CertificateStatus
from swarmsec.services.swarm.swarm_status import NodeStatus, SwarmStatus, Told, swarm_status
from swarmsec.wiring.swarm.controlling import ControlAccess, issue_for_ourselves
from swarmsec.wiring.swarm.reporting import report_swarm
from tests.unit.ca.authority import issue_leaf
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key, spki_of
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root
from tests.unit.swarmsec.wiring.nodes.nodes import make_node
from tests.unit.swarmsec.wiring.swarm.conftest import World

DAYS_90 = 90
SERIAL = 0xABC << 64


class Docker:
    """A Swarm's own authority: it makes certificates for nodes as SwarmKit does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root_pem = build_root(self.key)
        world.manager.root_pem = world.manager.issuer_pem = self.root_pem.decode()
        nodes, world.manager.nodes = world.manager.nodes, []
        for node in nodes:
            world.manager.add_node(node["ID"], node["Description"]["Hostname"], node["Spec"]["Role"])

    def issue(self, node_id: str, role: NodeRole, *, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        identity = NodeIdentity(cluster_id=self.world.desk.authority.cluster_id, role=role, node_id=node_id)
        root = x509.load_pem_x509_certificate(build_root(key) if key else self.root_pem)
        span = validity(
            now_utc(self.world.desk.home.clock),
            timedelta(days=DAYS_90),
            timedelta(hours=1),
            issuer_not_after=root.not_valid_after_utc,
        )
        leaf = issue_leaf(
            Issuer(root, SealedSigner(key or self.key)),
            profile=swarm_node(role),
            subject=identity,
            spki_der=spki_of(new_key()),
            hosts=hosts_of(identity),
            validity=span,
            serial=SERIAL,
        )
        return x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)


@pytest.fixture
def docker(world: World) -> Docker:
    """A Swarm on a root of its own."""
    return Docker(world)


def status(world: World, told: Mapping[str, bytes]) -> SwarmStatus:
    state, nodes = world.swarm.engine.swarm(), world.swarm.engine.nodes()
    answer = Told(where="here", certificates=told)
    return world.desk.home.store.read(
        lambda transaction: swarm_status(transaction, state, nodes, [None] * len(state.external_cas), answer)
    )


def node(found: SwarmStatus, node_id: str) -> NodeStatus:
    (item,) = [item for item in found.nodes if item.node.id == node_id]
    return item


def test_what_the_swarm_tells_of_its_own_certificates_is_shown(docker: Docker) -> None:
    found = status(docker.world, {"n1": docker.issue("n1", NodeRole.MANAGER), "n2": b""})
    first = node(found, "n1").members()
    assert (first["source"], first["serial"], first["issuer"]) == ("swarm", f"{SERIAL:x}", found.root_sha256)
    assert (first["overdue"], first["expired"], first["not_after"] is not None) == (False, False, True)
    assert [node(found, name).source for name in ("n2", "n3")] == ["none", "none"]
    assert found.members()["control_api"] == {"address": "here", "certificates": 1, "problem": None}


def test_a_certificate_that_is_not_exactly_the_nodes_is_not_shown(docker: Docker) -> None:
    wrong = {
        "another node's": docker.issue("n2", NodeRole.MANAGER),
        "another role's": docker.issue("n1", NodeRole.WORKER),
        "another signer's": docker.issue("n1", NodeRole.MANAGER, key=new_key()),
        "no certificate": docker.root_pem,
        "no PEM": b"\0",
        "two and rubbish": docker.issue("n1", NodeRole.MANAGER) + b"x",
    }
    for what, told in wrong.items():
        assert node(status(docker.world, {"n1": told}), "n1").source == "none", what


def test_one_whose_issuer_the_node_does_not_name_is_not_shown(docker: Docker) -> None:
    told = docker.issue("n1", NodeRole.MANAGER)
    docker.world.manager.nodes[0]["Description"]["TLSInfo"]["CertIssuerSubject"] = ""
    assert node(status(docker.world, {"n1": told}), "n1").source == "none"
    docker.world.manager.nodes[0]["Description"].pop("TLSInfo")
    assert node(status(docker.world, {"n1": told}), "n1").source == "none"


def test_our_records_come_first_and_what_they_lack_the_swarm_tells(world: World) -> None:
    world.issue_all()
    world.adopt()
    ours = world.desk.issue(NodeRole.MANAGER, "n1", new_key())
    assert node(status(world, {"n1": certificate_pem(ours)}), "n1").source == "issued"
    older, newest = _records(world, "n1")
    assert node(status(world, {"n1": certificate_pem(older)}), "n1").members()["serial"] == older.serial
    assert node(status(world, {"n1": certificate_pem(older)}), "n1").source == "swarm"
    assert newest.serial == ours.serial


def _records(world: World, node_id: str) -> Sequence[CertificateRecord]:
    return world.desk.home.store.read(lambda transaction: transaction.certificates.by_subject(node_id))


def test_a_door_that_stays_shut_is_told_with_the_rest(world: World, tmp_path: Path) -> None:
    found = report_swarm(world.desk.home, world.swarm, ControlAccess(control_socket=tmp_path / "c.sock"))
    assert found.told is not None
    assert ("no such file" in found.told.problem, len(found.nodes)) == (True, 3)

    found = report_swarm(world.desk.home, world.swarm, ControlAccess(data_root=tmp_path))
    assert found.told is not None
    assert found.told.problem.startswith("no /")


def test_a_locked_key_and_a_workers_open_no_door(world: World, tmp_path: Path) -> None:
    directory = tmp_path / "swarm" / "certificates"
    directory.mkdir(parents=True)
    make_node(world.desk, directory, "n3")
    for item in world.manager.nodes:
        if "ManagerStatus" in item:
            item["ManagerStatus"]["Addr"] = "127.0.0.1:1"

    def problem() -> str:
        told = report_swarm(world.desk.home, world.swarm, ControlAccess(data_root=tmp_path)).told
        return told.problem if told else ""

    assert problem() == f"expected a manager's certificate below {tmp_path}, got a worker's"
    (directory / "swarm-node.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert problem() == f"the manager's key below {tmp_path} is locked"


def test_without_a_manager_that_is_ready_there_is_no_port(world: World) -> None:
    for item in world.manager.nodes:
        item["Status"]["State"] = "down"
    found = report_swarm(world.desk.home, world.swarm, ControlAccess(data_root=Path("/nowhere")))
    assert found.told is not None
    assert "no manager that is ready" in found.told.problem


def test_a_certificate_for_ourselves_is_brief_logged_and_revoked_at_once(world: World) -> None:
    world.issue_all()
    world.adopt()
    pair = issue_for_ourselves(world.desk.home, world.desk.keys, OPERATOR)
    certificate = pair.certificate
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() == 2 * 3600
    assert certificate.not_valid_after_utc <= now_utc(world.desk.home.clock).replace(microsecond=0) + timedelta(hours=1)
    (record,) = _own(world)
    assert (record.serial, record.status) == (f"{certificate.serial_number:x}", CertificateStatus.REVOKED)
    assert world.desk.last_entry()["action"] == "ca.revoke"
    (named,) = status(world, {}).obsolete
    assert named.record.serial == record.serial


def _own(world: World) -> list[CertificateRecord]:
    everything = world.desk.home.store.read(lambda transaction: list(transaction.certificates.all()))
    return [record for record in everything if record.subject_id.startswith("swarmsec-status-")]


def test_without_a_swarm_of_ours_no_such_certificate_is_issued(world: World) -> None:
    before = len(_own(world))
    with pytest.raises(NotFound, match="has not adopted a Swarm"):
        issue_for_ourselves(world.desk.home, world.desk.keys, OPERATOR)
    assert len(_own(world)) == before == 0
