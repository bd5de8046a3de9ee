"""The requests that the tests send as a manager are those of real managers, and ``cfssl`` judges what it is shown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.peers import cfssl
from tests.peers.cfssl import DockerGeneration
from tests.peers.errors import PeerProblem

CAPTURED = Path(__file__).parent.parent / "peers" / "captured"


@pytest.mark.parametrize("role", ["worker", "manager"])
def test_a_sign_request_is_that_of_a_docker_20_10_manager(role: str) -> None:
    sent = (CAPTURED / f"docker-20.10-{role}.json").read_bytes()
    meant = json.loads(sent)
    built = cfssl.build_sign_request(
        meant["certificate_request"].encode(),
        node_id=meant["subject"]["CN"],
        cluster_id=meant["subject"]["names"][0]["O"],
        role=f"swarm-{role}",
        generation=DockerGeneration.DOCKER_20_10,
    )
    assert built == sent


def test_a_cross_sign_request_is_that_of_a_docker_20_10_manager() -> None:
    sent = (CAPTURED / "docker-20.10-cross-sign.json").read_bytes()
    csr_pem = json.loads(sent)["certificate_request"].encode()
    assert cfssl.build_cross_sign_request(csr_pem, generation=DockerGeneration.DOCKER_20_10) == sent


def test_a_later_docker_leaves_out_empty_names_and_adds_unset_times() -> None:
    built = cfssl.build_sign_request(
        b"csr", node_id="n", cluster_id="c", role="swarm-worker", generation=DockerGeneration.DOCKER_25
    )
    assert built == (
        b'{"hosts":["swarm-worker","n"],"certificate_request":"csr",'
        b'"subject":{"CN":"n","names":[{"O":"c","OU":"swarm-worker"}],"SerialNumber":""},'
        b'"profile":"","crl_override":"","label":"",'
        b'"NotBefore":"0001-01-01T00:00:00Z","NotAfter":"0001-01-01T00:00:00Z","ReturnPrecert":false,"metadata":null}'
    )


def test_a_node_request_is_signed_and_has_an_empty_subject() -> None:
    csr_pem = cfssl.build_node_csr(ec.generate_private_key(ec.SECP256R1()))
    judged = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-subject"], input=csr_pem, capture_output=True, check=True
    )
    assert b"verify OK" in judged.stdout + judged.stderr
    assert judged.stdout.splitlines()[-1].strip() == b"subject="


def test_cfssl_refuses_what_is_no_certificate() -> None:
    with pytest.raises(PeerProblem, match="cfssl certinfo"):
        cfssl.describe_certificate(b"no certificate")
