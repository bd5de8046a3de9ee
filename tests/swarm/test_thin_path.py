"""The main job on real engines: a running Swarm moves to our root, and a further engine joins it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.swarm_files import certificates_directory
from tests.peers.swarmsec_host import SwarmsecHost

ROTATION_SECONDS = 180.0


def adopt(authority: SwarmsecHost, manager: Engine, *, settings: str = "") -> Path:
    """What a platform engineer types: make the authority, trust the Swarm, serve, rotate. Returns our root's file."""
    swarm_id = manager.swarm()["ID"]
    authority.run("ca", "init", "--cluster-id", swarm_id, "--recovery-out", str(authority.directory / "recovery.key"))
    with (authority.home / "swarmsec.toml").open("a") as file:
        file.write(settings)
    root = authority.directory / "root.pem"
    root.write_text(authority.run("ca", "export").stdout)
    present = authority.directory / "swarm-root.pem"
    present.write_text(manager.docker("swarm", "ca").stdout)
    authority.run("ca", "trust-swarm", str(present))
    authority.serve()
    external = f"protocol=cfssl,url={authority.url}/api/v1/cfssl/sign,cacert={root}"
    rotation = ("swarm", "ca", "--rotate", "--quiet", "--ca-cert", str(root), "--external-ca", external)
    manager.docker(*rotation, timeout=ROTATION_SECONDS)
    return root


def _verify_with_openssl(root: Path, engine: Engine) -> None:
    certificate = certificates_directory(engine.data_root) / "swarm-node.crt"
    for purpose in ("sslserver", "sslclient"):
        subprocess.run(
            ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(root), str(certificate)],
            check=True,
            capture_output=True,
        )


def test_a_real_swarm_moves_to_our_root_and_a_second_engine_joins(
    engines: StartEngines, authority: SwarmsecHost
) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()

    root = adopt(authority, manager)

    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
    for engine in (manager, worker):
        _verify_with_openssl(root, engine)
    listed = {item["node_id"]: item for item in authority.json("ca", "list")}
    for engine, role in ((manager, "manager"), (worker, "worker")):
        files = engine.node_certificate()
        assert listed[files.node_id]["role"] == role
        assert listed[files.node_id]["serial"] == f"{files.leaf.serial_number:x}"
    swarm = manager.swarm()
    assert swarm["RootRotationInProgress"] is False
    assert swarm["TLSInfo"]["TrustRoot"] == root.read_text()


def test_a_join_asks_twice_and_gets_one_certificate(engines: StartEngines, authority: SwarmsecHost) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()
    adopt(authority, manager)

    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")

    key = worker.node_certificate().leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    log = authority.run("--json", "audit", "log", "--action", "ca.issue").stdout
    keys = [entry["fields"].get("spki_sha256") for entry in map(json.loads, log.splitlines())]
    # An engine that tries to join again does it with another key.
    assert keys.count(hashlib.sha256(key).hexdigest()) == 1


def test_promotion_and_demotion_change_the_certificate_and_end_the_manager_one(
    engines: StartEngines, authority: SwarmsecHost
) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()
    adopt(authority, manager)
    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
    node_id = worker.node_certificate().node_id

    manager.docker("node", "promote", node_id)
    wait_for(lambda: worker.node_certificate().role == "swarm-manager", timeout=60, what="the manager certificate")
    manager.docker("node", "demote", node_id)
    wait_for(lambda: worker.node_certificate().role == "swarm-worker", timeout=60, what="the worker certificate")

    states = {item["role"]: item["status"] for item in authority.json("ca", "list") if item["node_id"] == node_id}
    assert states == {"manager": "revoked", "worker": "valid"}


def test_the_former_root_is_dropped_when_the_last_node_has_left_it(
    engines: StartEngines, authority: SwarmsecHost
) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()

    adopt(authority, manager, settings="\n[ca]\nformer_root_minutes = 0\n")

    wait_for(
        lambda: authority.json("ca", "show")["swarm_roots"] == [], timeout=60, what="the former root to be dropped"
    )
    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
