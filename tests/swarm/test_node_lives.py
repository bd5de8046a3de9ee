"""Real engines on our certificates: they renew by themselves, and what they were before opens nothing."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.swarm_files import NodeFiles
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.test_thin_path import adopt

SHORT = "\n[ca]\nallow_short_lifetimes = true\ncertificate_minutes = 2\n"


def has_another(engine: Engine, former: NodeFiles) -> bool:
    """Whether an engine has another certificate now."""
    return engine.node_certificate().leaf != former.leaf


def managers(authority: SwarmsecHost) -> list[dict[str, Any]]:
    """All certificates of managers: a worker's may be renewed at any time."""
    return [each for each in authority.json("ca", "list") if each["role"] == "manager"]


def status_for(authority: SwarmsecHost, root: Path, files: NodeFiles, directory: Path) -> str:
    """The HTTP status that the signing endpoint has for a node's key and certificate, by curl; 000 without any."""
    pair = directory / "pair.pem"
    pair.write_bytes(files.key_pem + files.leaf.public_bytes(Encoding.PEM))
    pair.chmod(0o600)
    command = ["curl", "--silent", "--cacert", str(root), "--cert", str(pair), "--output", "/dev/null"]
    asked = [*command, "--write-out", "%{http_code}", "--data", "{}", f"{authority.url}/api/v1/cfssl/sign"]
    return subprocess.run(authority.host.command(asked), capture_output=True, text=True, timeout=30, check=False).stdout


def test_engines_renew_their_certificates_of_two_minutes_by_themselves(
    engines: StartEngines, authority: SwarmsecHost
) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()
    adopt(authority, manager, settings=SHORT)
    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
    first = {engine: engine.node_certificate() for engine in (manager, worker)}

    for engine in (manager, worker):
        life = first[engine].leaf.not_valid_after_utc - first[engine].leaf.not_valid_before_utc
        assert life.total_seconds() == 120
        wait_for(
            partial(has_another, engine, first[engine]),
            timeout=115,
            what="an engine to renew",
        )
        second = engine.node_certificate()
        assert (second.node_id, second.role) == (first[engine].node_id, first[engine].role)
        assert second.key_pem != first[engine].key_pem
    # Read before the list is: one that renews in between is on it, too.
    present = [f"{engine.node_certificate().leaf.serial_number:x}" for engine in (manager, worker)]
    listed = {item["serial"]: item["status"] for item in authority.json("ca", "list")}
    assert {listed[serial] for serial in present} <= {"valid", "superseded"}
    manager.wait_for_nodes("m1", "w1")


def test_a_demoted_managers_former_certificate_gets_nothing(
    engines: StartEngines, authority: SwarmsecHost, tmp_path: Path
) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()
    root = adopt(authority, manager)
    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
    node_id = worker.node_certificate().node_id
    manager.docker("node", "promote", node_id)
    wait_for(lambda: worker.node_certificate().role == "swarm-manager", timeout=60, what="the manager certificate")
    former = worker.node_certificate()
    # As a manager it is heard: what it says is no request, and is answered as such.
    assert status_for(authority, root, former, tmp_path) == "200"
    manager.docker("node", "demote", node_id)
    wait_for(lambda: worker.node_certificate().role == "swarm-worker", timeout=60, what="the worker certificate")

    wait_for(
        lambda: status_for(authority, root, former, tmp_path) == "401", timeout=60, what="the former one to be refused"
    )
    assert status_for(authority, root, worker.node_certificate(), tmp_path) == "403"
    before = managers(authority)
    assert status_for(authority, root, former, tmp_path) == "401"
    assert managers(authority) == before
    taken = next(each for each in before if each["serial"] == f"{former.leaf.serial_number:x}")
    assert (taken["status"], taken["reason"]) == ("revoked", "privilegeWithdrawn")
