"""A simulated Swarm for the tests of the engine's client."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.docker.engine import EngineApi
from swarmsec.docker.swarm_engine import DockerSwarm
from tests.peers.simulated_manager import SimulatedManager
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root

CLUSTER = "1nppxlup4gqjnyefueyhd1lwz"


@pytest.fixture(scope="session")
def root_pem() -> str:
    """The Swarm's own root."""
    return build_root(ec.generate_private_key(ec.SECP256R1())).decode()


@pytest.fixture
def manager(root_pem: str) -> Iterator[SimulatedManager]:
    """A Swarm of two managers and a worker."""
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as directory:
        made = SimulatedManager(Path(directory) / "d.sock", cluster_id=CLUSTER, root_pem=root_pem)
        made.add_node("n1", "m1", "manager")
        made.add_node("n2", "m2", "manager")
        made.add_node("n3", "w1", "worker")
        with made:
            yield made


@pytest.fixture
def swarm(manager: SimulatedManager) -> Iterator[DockerSwarm]:
    """The client."""
    api = EngineApi(DockerEndpoint.parse(manager.url))
    yield DockerSwarm(api)
    api.close()
