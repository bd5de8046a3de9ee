"""Reading a Swarm, and writing it back whole."""

from __future__ import annotations

import pytest

from swarmsec.docker.swarm_engine import DockerSwarm
from swarmsec.errors import AlreadyExists, Changed, Denied, Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.swarm.swarm_ports import Spec
from swarmsec.services.swarm.swarm_records import SwarmState
from tests.peers.simulated_manager import UNLOCK_KEY, SimulatedManager
from tests.unit.swarmsec.docker.conftest import CLUSTER


def lock(state: SwarmState, spec: Spec) -> Spec:
    spec["EncryptionConfig"]["AutoLockManagers"] = True
    return spec


def test_a_swarm_is_read(swarm: DockerSwarm, manager: SimulatedManager, root_pem: str) -> None:
    state, info = swarm.swarm(), swarm.info()
    assert (state.id, state.root_pem, state.is_rotating, state.is_autolocked) == (CLUSTER, root_pem, False, False)
    assert (info.version, info.swarm_state, info.is_manager) == ("20.10.24+dfsg1", "active", True)
    assert info.unix_time is not None
    nodes = {node.hostname: node for node in swarm.nodes()}
    assert {name: (node.role, node.state, node.is_leader) for name, node in nodes.items()} == {
        "m1": ("manager", "ready", True),
        "m2": ("manager", "ready", False),
        "w1": ("worker", "ready", False),
    }
    assert nodes["w1"].issuer == state.issuer


def test_a_change_keeps_everything_else_and_what_nobody_knows(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    before = dict(manager.spec)
    swarm.change_swarm(lock)
    (written,) = manager.writes
    assert written == {**before, "EncryptionConfig": {"AutoLockManagers": True}}


def test_a_change_of_somebody_else_is_read_and_kept(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    def other() -> None:
        manager.version += 1
        manager.spec = {**manager.spec, "Labels": {"by": "other"}}

    manager.before_write = other
    swarm.change_swarm(lock)
    (written,) = manager.writes
    assert (written["Labels"], written["EncryptionConfig"]) == ({"by": "other"}, {"AutoLockManagers": True})


def test_one_that_is_always_slower_gives_up(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    def other() -> None:
        manager.version += 1
        manager.before_write = other

    manager.before_write = other
    with pytest.raises(Changed, match="somebody else changed the same object"):
        swarm.change_swarm(lock)
    assert manager.writes == []


def test_trying_changes_nothing(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    swarm.try_spec(lock)
    assert manager.writes == []


def test_a_swarm_that_looks_at_no_version_is_not_tried_twice(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    manager.raw["/swarm/update"] = b""
    with pytest.raises(Unavailable, match="took a write over a version that has passed"):
        swarm.try_spec(lock)


def test_a_role_is_changed_and_a_node_removed(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    swarm.change_node("n2", role="worker")
    assert [node.role for node in swarm.nodes()] == ["manager", "worker", "worker"]
    swarm.remove_node("n2")
    assert [node.id for node in swarm.nodes()] == ["n1", "n3"]


def test_the_unlock_key(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    assert swarm.unlock_key() is None
    swarm.change_swarm(lock)
    assert swarm.unlock_key() == SecretBytes(UNLOCK_KEY.encode())


def test_unlocking(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    with pytest.raises(AlreadyExists, match="not locked"):
        swarm.unlock(SecretBytes(UNLOCK_KEY.encode()))
    manager.is_locked = True
    with pytest.raises(Unavailable, match="the Swarm is locked"):
        swarm.swarm()
    with pytest.raises(Denied, match="invalid key"):
        swarm.unlock(SecretBytes(b"SWMKEY-1-other"))
    swarm.unlock(SecretBytes(UNLOCK_KEY.encode()))
    assert swarm.swarm().id == CLUSTER
