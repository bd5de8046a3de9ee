"""An engine's expired certificate is replaced in place, by the home that issued it, and nothing else is touched."""

from __future__ import annotations

import fcntl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from ca import pem
from ca.identity import NodeRole
from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, ROOTS
from swarmsec.wiring.swarm.evicting import evict
from swarmsec.wiring.swarm.reviving import HELD_BY_ENGINE, Revived, revive
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root
from tests.unit.swarmsec.wiring.swarm.conftest import World

LATER = timedelta(days=91)
LOCKED_KEY = b"""\
-----BEGIN ENCRYPTED PRIVATE KEY-----
kek-version: 46
raft-dek: CAES

MIHe
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.fixture
def data_root(world: World, tmp_path: Path) -> Path:
    """The data directory of a locked manager's engine, its certificate expired."""
    record = world.desk.issue(NodeRole.MANAGER, "n1", new_key())
    directory = tmp_path / "docker" / "swarm" / "certificates"
    directory.mkdir(parents=True)
    (directory / CERTIFICATE).write_bytes(certificate_pem(record) + world.desk.authority.bundle_pem)
    (directory / KEY).write_bytes(LOCKED_KEY)
    (directory / ROOTS).write_bytes(world.desk.authority.bundle_pem)
    world.desk.move_clock(LATER)
    return tmp_path / "docker"


def run(desk: Desk, data_root: Path) -> Revived:
    return revive(desk.home, desk.keys, data_root, OPERATOR)


def certificate_in(data_root: Path) -> bytes:
    return (data_root / "swarm" / "certificates" / CERTIFICATE).read_bytes()


def test_the_same_key_node_and_role_get_another_certificate(world: World, data_root: Path) -> None:
    before = load_pem_x509_certificate(certificate_in(data_root))
    revived = run(world.desk, data_root)
    after = load_pem_x509_certificate(certificate_in(data_root))
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert after.public_key().public_bytes(*spki) == before.public_key().public_bytes(*spki)
    assert (after.subject, f"{after.serial_number:x}") == (before.subject, revived.record.serial)
    assert after.serial_number != before.serial_number
    assert (data_root / "swarm" / "certificates" / KEY).read_bytes() == LOCKED_KEY
    entry = world.desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("node.recover", "success")


def test_asking_twice_gives_the_same(world: World, data_root: Path) -> None:
    expired = certificate_in(data_root)
    first = run(world.desk, data_root).record
    (data_root / "swarm" / "certificates" / CERTIFICATE).write_bytes(expired)
    assert run(world.desk, data_root).record.serial == first.serial


def test_a_node_that_missed_a_rotation_gets_the_roots(world: World, data_root: Path) -> None:
    roots = data_root / "swarm" / "certificates" / ROOTS
    roots.write_bytes(build_root(new_key()))
    run(world.desk, data_root)
    assert roots.read_bytes() == world.desk.authority.bundle_pem


def test_one_that_counts_still_is_left_to_renew(world: World, data_root: Path) -> None:
    world.desk.move_clock(timedelta())
    before = certificate_in(data_root)
    with pytest.raises(Denied, match="counts until"):
        run(world.desk, data_root)
    assert certificate_in(data_root) == before


def test_another_authoritys_certificate_is_refused(world: World, data_root: Path) -> None:
    record = world.desk.issue(NodeRole.MANAGER, "n1", new_key())
    path = data_root / "swarm" / "certificates" / CERTIFICATE
    der = bytearray(record.der)
    der[-1] ^= 1
    path.write_bytes(pem.write_block(bytes(der), "CERTIFICATE"))
    with pytest.raises(Denied, match="expected a node's certificate that this authority issued"):
        run(world.desk, data_root)
    path.write_bytes(b"nothing")
    with pytest.raises(UsageProblem, match="expected a node's certificate in"):
        run(world.desk, data_root)


def test_a_revoked_a_demoted_and_an_evicted_node_stay_out(world: World, data_root: Path) -> None:
    world.desk.issue(NodeRole.WORKER, "n1", new_key())
    with pytest.raises(Denied, match="was revoked, or has another role now"):
        run(world.desk, data_root)
    world.desk.home.store.write(lambda transaction: revoke_certificates(transaction, "n1", OPERATOR))
    with pytest.raises(Denied, match="was revoked"):
        run(world.desk, data_root)
    evict(world.desk.home, world.swarm, "n1", OPERATOR, reason="", sleep=lambda seconds: None)
    with pytest.raises(Denied):
        run(world.desk, data_root)


@pytest.mark.parametrize("name", HELD_BY_ENGINE)
def test_a_running_engine_is_left_alone(world: World, data_root: Path, name: str) -> None:
    held = data_root / name
    held.parent.mkdir(exist_ok=True)
    before = certificate_in(data_root)
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="a Docker Engine is running"):
            run(world.desk, data_root)
    assert certificate_in(data_root) == before
    run(world.desk, data_root)


def test_where_no_node_is(world: World, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no swarm certificates below"):
        run(world.desk, tmp_path)
