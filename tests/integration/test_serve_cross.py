"""A cross-certificate used elsewhere: what chains through one to our root opens nothing but what was permitted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole
from ca.issuing import cross_sign, serial_from
from ca.profiles import cross_validity
from swarmsec.services.ca.authority import load_authority
from swarmsec.services.swarm.trust_swarm import trust_swarm
from tests.integration.rotating_nodes import ROTATE, bearer_of, follow, join, wait_phase
from tests.integration.serve_clients import SECONDS, Bearer, ForeignSwarm, new_key
from tests.integration.serve_world import ServedHome
from tests.peers.cfssl import DockerGeneration, build_node_csr, build_sign_request
from tests.peers.processes import wait_for
from tests.unit.swarmsec.homes import OPERATOR

SIGN = ("POST", "/api/v1/cfssl/sign")
RENEW = json.dumps({"csr": build_node_csr(new_key()).decode()}).encode()
ELSEWHERE: tuple[tuple[str, str, bytes | None], ...] = (
    ("GET", "/api/v1/whoami", None),
    ("GET", "/api/v1/ca/certificates", None),
    ("POST", "/api/v1/node/renew", RENEW),
    ("GET", "/metrics", None),
)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def crossed(served: ServedHome, swarm: ForeignSwarm) -> bytes:
    """The Swarm's root, signed by ours, PEM."""
    root = x509.load_pem_x509_certificate(swarm.root_pem)
    with served.opened() as (home, keys):
        issuer = home.store.read(lambda transaction: load_authority(transaction, keys, timedelta(days=1))).issuer
    span = cross_validity(datetime.now(UTC), issuer_not_after=issuer.not_after, root_not_after=root.not_valid_after_utc)
    der = cross_sign(issuer, new_root=root, serial=serial_from(os.urandom(20)), validity=span)
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def chained(bearer: Bearer, cross: bytes) -> Bearer:
    """A bearer that shows its chain up to our root."""
    file = bearer.file.with_suffix(".chain.pem")
    file.write_bytes(bearer.file.read_bytes() + cross)
    return replace(bearer, file=file)


def is_nobody(served: ServedHome, method: str, path: str, bearer: Bearer, body: bytes | None) -> bool:
    """Whether the handshake ends, or the caller counts for nothing."""
    return served.status(method, path, bearer, body) in {None, 401}


def sign_body(served: ServedHome, node_id: str) -> bytes:
    return build_sign_request(
        build_node_csr(new_key()),
        node_id=node_id,
        cluster_id=served.cluster_id,
        role="swarm-worker",
        generation=DockerGeneration.DOCKER_25,
    )


@pytest.mark.parametrize("role", list(NodeRole))
def test_a_leaf_that_chains_through_a_cross_certificate_is_nobody(role: NodeRole, served: ServedHome) -> None:
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    bearer = chained(swarm.node(role, "chained"), crossed(served, swarm))
    before = served.run("ca", "list", "--json").stdout
    for method, path, body in ELSEWHERE:
        assert is_nobody(served, method, path, bearer, body), path
    assert served.status(*SIGN, bearer, sign_body(served, "new")) in {None, 401}
    assert served.run("ca", "list", "--json").stdout == before


def test_while_its_root_is_accepted_it_signs_and_does_nothing_else(served: ServedHome) -> None:
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    cross = crossed(served, swarm)
    manager, worker = (
        chained(swarm.node(role, f"c-{role.value}"), cross) for role in (NodeRole.MANAGER, NodeRole.WORKER)
    )
    root = served.write(lambda transaction, authority: trust_swarm(transaction, authority, swarm.root_pem, OPERATOR))
    served.wait_status(403, "GET", "/api/v1/whoami", manager)
    assert served.ask(*SIGN, bearer=manager, body=sign_body(served, "new")).json()["success"] is True
    for method, path, body in ELSEWHERE:
        assert served.status(method, path, manager, body) == 403, path
    assert served.status(*SIGN, bearer=worker, body=sign_body(served, "more")) == 401

    assert served.run("ca", "trust-swarm", "--drop", root.sha256).returncode == 0
    for method, path, body in (*ELSEWHERE, (*SIGN, sign_body(served, "late"))):
        wait_for(partial(is_nobody, served, method, path, manager, body), timeout=SECONDS, what=f"{path} to refuse")


def test_after_a_rotation_that_was_called_off_its_chain_is_worth_nothing(served: ServedHome, tmp_path: Path) -> None:
    first, second = join(served, tmp_path, "a"), join(served, tmp_path, "b")
    assert served.run("ca", "rotate", "--detach").returncode == 0
    for node in (first, second):
        assert follow(served, node).returncode == 0
    wait_phase(served, "reissuing")
    moved = bearer_of(second)
    assert len(moved.file.read_bytes().split(b"BEGIN CERTIFICATE")) == 3
    assert served.name_of(moved) == "b"

    assert served.run("ca", "rotate", "--abort", "--detach").returncode == 0
    assert follow(served, second).returncode == 0
    done = served.run(*ROTATE, "--abort")
    assert json.loads(done.stdout)["phase"] == "aborted", done
    for method, path, body in ELSEWHERE:
        wait_for(partial(is_nobody, served, method, path, moved, body), timeout=SECONDS, what=f"{path} to refuse")
