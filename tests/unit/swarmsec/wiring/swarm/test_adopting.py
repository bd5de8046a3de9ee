"""Adopting a simulated Swarm: what stands against it, what is written, and every end that leaves work open."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ca.identity import NodeRole
from swarmsec.errors import Changed, Denied, IntegrityFailure, Unavailable, UsageProblem
from swarmsec.services.swarm.preflight import Result
from swarmsec.services.swarm.swarm_link import LinkState
from swarmsec.services.swarm.trust_swarm import distrust_swarm
from tests.peers.simulated_manager import LOCKED, OUT_OF_SEQUENCE, Refused, tls_info
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key
from tests.unit.swarmsec.wiring.swarm.conftest import World

OTHER = "1nppxlup4gqjnyefueyhd1lwz"
INTENT, DONE, FAILED = (("swarm.adopt", outcome) for outcome in ("intent", "success", "failure"))


def results(world: World) -> dict[str, Result]:
    """The worst result of each check."""
    order = [Result.GOOD, Result.NOT_CHECKED, Result.WARNING, Result.BLOCKER]
    found: dict[str, Result] = {}
    for finding in world.adoption().look().findings:
        found[finding.check] = max(found.get(finding.check, Result.GOOD), finding.result, key=order.index)
    return found


def test_a_swarm_moves_and_everything_is_read_back(world: World) -> None:
    world.issue_all()
    before = dict(world.manager.spec)

    held = world.adopt()

    assert world.seen == ["m1", "m2", "w1"]
    assert [item.node.id for item in held if item.record] == ["n1", "n2", "n3"]
    (written,) = world.manager.writes
    root = world.desk.authority.bundle_pem.decode()
    authority = {"SigningCACert": root, "ExternalCAs": [{"Protocol": "cfssl", "URL": world.url.text, "CACert": root}]}
    assert written == {**before, "CAConfig": {**before["CAConfig"], **authority}}
    assert world.actions() == [INTENT, ("swarm.trust", "success"), DONE]
    assert world.link is not None
    assert (world.link.state, world.link.docker) == (LinkState.ADOPTED, world.manager.url)


def test_looking_changes_nothing(world: World) -> None:
    found = world.adoption().look()
    assert (found.blockers, found.is_done, found.is_under_way) == ([], False, False)
    assert (world.manager.writes, world.actions(), world.link) == ([], [], None)


def test_what_cannot_be_seen_is_not_called_good(world: World) -> None:
    unseen = [item for item in world.adoption().look().findings if item.result is Result.NOT_CHECKED]
    assert [item.check for item in unseen] == ["reach", "clock"]
    assert all(item.hint for item in unseen)


def test_a_node_that_is_down_stands_against_it(world: World) -> None:
    world.manager.nodes[2]["Status"]["State"] = "down"
    assert results(world)["nodes"] is Result.BLOCKER
    with pytest.raises(Denied, match="w1 is not ready"):
        world.adopt()
    assert (world.manager.writes, world.actions()) == ([], [])


def test_old_managers_beside_new_engines_stand_against_it(world: World) -> None:
    world.manager.nodes[2]["Description"]["Engine"]["EngineVersion"] = "28.0.1"
    assert results(world)["versions"] is Result.BLOCKER
    world.manager.nodes[2]["Description"]["Engine"]["EngineVersion"] = ""
    assert results(world)["versions"] is Result.NOT_CHECKED


def test_autolock_is_a_warning(world: World) -> None:
    world.manager.spec["EncryptionConfig"]["AutoLockManagers"] = True
    assert results(world)["autolock"] is Result.WARNING


def test_a_server_that_is_not_there_is_told_and_what_the_leader_says_decides(world: World) -> None:
    world.server.close()
    assert results(world)["server"] is Result.WARNING
    words = "there must be at least one valid, reachable external CA corresponding to the desired CA certificate"
    world.manager.refuse["/swarm/update"] = Refused(400, f"rpc error: code = InvalidArgument desc = {words}")
    found = results(world)
    assert (found["server"], found["reach"]) == (Result.BLOCKER, Result.BLOCKER)


def test_another_running_rotation_stands_against_it(world: World) -> None:
    other = world.desk.authority.bundle_pem.decode()
    world.manager.issuer_pem, world.manager.root_pem = world.manager.root_pem, other
    assert results(world)["rotation"] is Result.BLOCKER


def test_the_swarms_id_is_taken_as_long_as_no_node_has_ours(world: World) -> None:
    world.manager.cluster_id = OTHER
    assert world.adoption().look().plan.takes_cluster_id
    with pytest.raises(IntegrityFailure, match="got none for m1"):
        world.adopt()
    assert world.desk.authority.cluster_id == OTHER


def test_an_authority_of_another_cluster_is_refused(world: World) -> None:
    world.desk.issue(NodeRole.WORKER, "n9", new_key())
    world.manager.cluster_id = OTHER
    with pytest.raises(Denied, match="has issued certificates of nodes"):
        world.adoption().look()


def test_a_swarm_that_refuses_leaves_nothing_open(world: World) -> None:
    found = world.adoption().look()
    world.manager.refuse["/swarm/update"] = Refused(400, "rpc error: code = InvalidArgument desc = no")
    with pytest.raises(UsageProblem, match="the Docker Engine refused: no"):
        world.adopt(found)
    assert world.actions() == [INTENT, ("swarm.trust", "success"), FAILED]
    assert world.link is not None
    assert world.link.state is LinkState.RELEASED


def test_another_tool_that_is_always_faster_leaves_nothing_open(world: World) -> None:
    found = world.adoption().look()
    world.manager.refuse["/swarm/update"] = Refused(500, OUT_OF_SEQUENCE)
    with pytest.raises(Changed):
        world.adopt(found)
    assert world.actions()[-1] == FAILED


def test_an_engine_that_goes_away_leaves_the_work_open_and_repeating_ends_it(world: World) -> None:
    world.issue_all()
    found = world.adoption().look()
    world.manager.refuse["/swarm/update"] = Refused(500, "context deadline exceeded")
    with pytest.raises(Unavailable):
        world.adopt(found)
    assert world.link is not None
    assert world.link.state is LinkState.ADOPTING

    world.manager.refuse.clear()
    world.adopt()

    assert world.actions() == [INTENT, ("swarm.trust", "success"), INTENT, DONE]
    entries = world.desk.home.store.read(lambda transaction: list(transaction.intents.all()))
    assert entries == []


def test_a_node_that_never_comes_is_named_and_a_later_call_follows(world: World) -> None:
    world.issue_all()
    world.manager.stuck = {"w1"}
    with pytest.raises(Unavailable, match="waiting for w1"):
        world.adopt(timeout=timedelta(seconds=3))
    assert len(world.manager.writes) == 1

    world.manager.stuck = set()
    found = world.adoption().look()
    assert found.is_under_way
    world.adopt(found)
    assert len(world.manager.writes) == 1
    assert world.actions()[-1] == DONE


def test_a_rotation_that_somebody_stopped_is_told(world: World) -> None:
    world.manager.stuck = {"w1"}

    def stop() -> None:
        world.manager.issuer_pem = world.manager.root_pem

    adoption = world.adoption()
    found = adoption.look()
    calls = iter(range(100))
    watch = world.adoption()
    object.__setattr__(watch, "sleep", lambda seconds: stop() if next(calls) == 3 else None)
    with pytest.raises(UsageProblem, match="somebody stopped it"):
        watch.carry_out(found, OPERATOR, world.watcher(), timedelta(minutes=1))


def test_a_certificate_that_we_never_issued_is_no_success(world: World) -> None:
    world.desk.issue(NodeRole.MANAGER, "n1", new_key())
    with pytest.raises(IntegrityFailure, match="got none for m2, w1"):
        world.adopt()
    assert world.actions()[-1] != DONE


def test_a_swarm_that_is_ours_already_is_kept(world: World) -> None:
    world.issue_all()
    root = world.desk.authority.bundle_pem.decode()
    world.manager.root_pem = world.manager.issuer_pem = root
    for node in world.manager.nodes:
        node["Description"]["TLSInfo"] = tls_info(root, root)
    assert world.adoption().look().is_done
    world.adopt()
    world.adopt()
    assert (world.manager.writes, world.actions()) == ([], [DONE])


def test_a_root_that_was_accepted_before_is_no_hindrance(world: World) -> None:
    world.issue_all()
    world.manager.stuck = {"w1"}
    with pytest.raises(Unavailable):
        world.adopt(timeout=timedelta(0))
    roots = world.desk.home.store.read(lambda transaction: [root.sha256 for root in transaction.swarm_roots.all()])
    world.desk.home.store.write(lambda t: distrust_swarm(t, roots[0], OPERATOR, reason="a hand"))
    world.manager.stuck = set()
    world.adopt()
    assert len(world.desk.home.store.read(lambda transaction: transaction.swarm_roots.all())) == 1


def test_a_worker_and_a_locked_manager_are_told_apart(world: World) -> None:
    world.manager.is_locked = True
    with pytest.raises(Unavailable, match="the Swarm is locked"):
        world.adoption().look()
    world.manager.is_locked = False
    world.manager.raw["/info"] = b'{"Swarm":{"LocalNodeState":"active","ControlAvailable":false}}'
    with pytest.raises(UsageProblem, match="is a worker"):
        world.adoption().look()
    world.manager.raw["/info"] = b'{"Swarm":{"LocalNodeState":"inactive"}}'
    with pytest.raises(UsageProblem, match="is in no Swarm"):
        world.adoption().look()
    world.manager.raw["/info"] = b'{"Swarm":{"LocalNodeState":"error","Error":"certificate has expired"}}'
    with pytest.raises(Unavailable, match="in state error: certificate has expired"):
        world.adoption().look()
    assert LOCKED
