"""Leading a simulated Swarm to another root of ours, and going on where a call ended."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ca.bundle import parse_bundle
from ca.identity import NodeRole
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import Changed, Denied, NotFound, Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.init_authority import ImportedRoot
from swarmsec.services.homes.accept_restored import PENDING, Missing, begin_acceptance
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyKind
from swarmsec.services.rotation.rotate_authority import LEASE_SECONDS
from swarmsec.services.swarm.rotate_swarm_root import part_under_way
from swarmsec.services.swarm.swarm_link import LinkState
from swarmsec.services.swarm.swarm_rotation_records import SwarmRotationRecord, load_swarm_rotation, save_swarm_rotation
from swarmsec.wiring.ca.nextroots import WantedRoot
from swarmsec.wiring.swarm import rotating
from swarmsec.wiring.swarm.adopting import Adoption
from swarmsec.wiring.swarm.evicting import evict
from swarmsec.wiring.swarm.rotating import SwarmRotation
from swarmsec.wiring.swarm.rotationturn import is_led, rotation_turn
from swarmsec.wiring.swarm.watching import StillMoving
from tests.peers.simulated_manager import Refused, SimulatedManager
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root
from tests.unit.swarmsec.wiring.swarm.conftest import NODES, World


@pytest.fixture
def adopted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A Swarm on our root, whose leader asks for certificates as soon as it is adopted."""
    world.issue_all()
    world.adopt()
    begin = Adoption._begin

    def begin_and_issue(self: Adoption, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]  # handed on as they came
        for node, role in NODES.items():
            if node in {item["ID"] for item in world.manager.nodes}:
                world.desk.issue(role, node, new_key())

    monkeypatch.setattr(Adoption, "_begin", begin_and_issue)
    return world


def work(world: World, seconds: int = 60) -> SwarmRotation:
    return SwarmRotation(
        home=world.desk.home,
        keys=world.desk.keys,
        requester=OPERATOR,
        watcher=world.watcher(),
        timeout=timedelta(seconds=seconds),
        sleep=lambda seconds: time.sleep(min(seconds, 0.01)),
    )


def imported() -> ImportedRoot:
    """A root made elsewhere, with its key."""
    key = new_key()
    key_der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificate = x509.load_pem_x509_certificate(build_root(key)).public_bytes(Encoding.DER)
    return ImportedRoot(certificate=certificate, key=SecretBytes(key_der), key_type="p256")


def rotate(world: World, *without: str, seconds: int = 60) -> None:
    work(world, seconds).carry_out(without)


def part(world: World) -> str:
    return world.desk.home.store.read(part_under_way)


def test_the_swarm_is_on_another_root_of_ours(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem.decode()
    rotate(adopted)
    after = adopted.desk.authority.bundle_pem.decode()
    assert after != before
    assert adopted.manager.root_pem == after
    authorities = adopted.manager.spec["CAConfig"]["ExternalCAs"]
    assert [item["CACert"] for item in authorities] == [after]
    assert adopted.link is not None
    assert adopted.link.state is LinkState.ADOPTED
    outcomes = [entry for entry in adopted.actions() if entry[0] == "swarm.rotate"]
    assert outcomes == [("swarm.rotate", "intent"), ("swarm.rotate", "success")]


def test_a_node_that_is_down_is_named_and_can_be_left_out(adopted: World) -> None:
    adopted.manager.nodes[2]["Status"]["State"] = "down"
    adopted.manager.stuck = {"w1"}
    with pytest.raises(Denied, match="w1 is not ready") as caught:
        rotate(adopted)
    assert "--finish-without NODE" in str(caught.value.hint)
    assert adopted.desk.home.store.read(load_swarm_rotation) is None
    rotate(adopted, "w1")
    assert [node["ID"] for node in adopted.manager.nodes] == ["n1", "n2"]
    with pytest.raises(Denied, match="was evicted"):
        adopted.desk.issue(NodeRole.WORKER, "n3", new_key())


def test_it_goes_on_in_the_first_move(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(Unavailable, match="waiting for w1"):
        rotate(adopted, seconds=3)
    adopted.manager.stuck = set()
    leaving = adopted.desk.home.store.read(load_swarm_rotation)
    rotate(adopted)
    assert leaving is not None
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()


def test_it_goes_on_between_the_moves(adopted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_rotate_own", "_adopt"):
        with monkeypatch.context() as patch:
            patch.setattr(rotating.SwarmRotation, name, _power_cut)
            with pytest.raises(KeyboardInterrupt):
                rotate(adopted)
    assert adopted.manager.root_pem != adopted.desk.authority.bundle_pem.decode()
    rotate(adopted)
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()


def test_it_goes_on_in_the_second_move(adopted: World) -> None:
    writes = iter(range(100))

    def away_at_the_fourth() -> None:
        if next(writes) == 3:
            raise Refused(500, "context deadline exceeded")
        adopted.manager.before_write = away_at_the_fourth

    adopted.manager.before_write = away_at_the_fourth
    with pytest.raises(Unavailable):
        rotate(adopted)
    adopted.manager.before_write = None
    rotate(adopted)
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()
    assert adopted.desk.home.store.read(load_swarm_rotation) is None


def test_call_by_call_without_waiting_it_comes_to_its_end(adopted: World) -> None:
    before, parts = adopted.desk.authority.bundle_pem, [part(adopted)]
    for _ in range(20):
        try:
            rotate(adopted, seconds=0)
        except StillMoving:
            parts.append(part(adopted))
            continue
        break
    assert parts[0] == part(adopted) == "done"
    assert parts[1:] == sorted(parts[1:], key=["out", "between", "in"].index)
    assert {"out", "in"} <= set(parts)
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem != before


def test_before_the_old_root_is_given_up_it_goes_back(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    with pytest.raises(StillMoving):
        work(adopted, 0).call_off()
    work(adopted).call_off()
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem == before
    assert adopted.link is not None
    assert (adopted.link.state, part(adopted)) == (LinkState.ADOPTED, "done")
    assert [entry for entry in adopted.actions() if entry[0] == "swarm.rotate"][-1] == ("swarm.rotate", "failure")
    with pytest.raises(NotFound, match="no rotation of the Swarm"):
        work(adopted).call_off()


def test_a_way_back_that_was_interrupted_can_turn_again(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    work(adopted)._release()
    with pytest.raises(StillMoving):
        work(adopted, 0).call_off()
    rotate(adopted)
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem != before


def test_a_release_that_the_swarm_never_heard_of_is_dropped(adopted: World) -> None:
    refuse = adopted.manager.refuse
    refuse["/swarm/update"] = Refused(500, "context deadline exceeded")
    with pytest.raises(Unavailable):
        rotate(adopted)
    refuse.clear()
    writes = len(adopted.manager.writes)
    work(adopted).call_off()
    assert len(adopted.manager.writes) == writes
    assert part(adopted) == "done"


def test_after_the_old_root_is_given_up_there_is_no_way_back(adopted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rotating.SwarmRotation, "_adopt", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            rotate(adopted)
    with pytest.raises(Denied, match="its key erased"):
        work(adopted).call_off()
    rotate(adopted)
    assert part(adopted) == "done"


def test_a_node_that_stands_in_the_way_back_can_be_left_out(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(StillMoving, match="w1"):
        rotate(adopted, seconds=0)
    work(adopted).call_off(("w1",))
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem
    assert [node["ID"] for node in adopted.manager.nodes] == ["n1", "n2"]


def test_whoever_goes_on_goes_to_the_root_that_was_chosen_first(adopted: World) -> None:
    chosen = imported()
    with pytest.raises(StillMoving):
        replace(work(adopted, 0), wanted=WantedRoot(imported=chosen)).carry_out()
    with pytest.raises(UsageProblem, match="goes to an imported root, and was asked to go to a root with a p384 key"):
        replace(work(adopted), wanted=WantedRoot(key_kind=KeyKind.P384)).carry_out()
    with pytest.raises(UsageProblem, match="was asked to go to an imported root"):
        replace(work(adopted), wanted=WantedRoot(imported=imported())).carry_out()
    go_on(adopted)
    (root,) = parse_bundle(adopted.manager.root_pem.encode())
    assert root.public_bytes(Encoding.DER) == chosen.certificate
    assert adopted.desk.authority.bundle_pem.decode() == adopted.manager.root_pem


def test_a_root_that_cannot_be_the_next_one_is_refused_before_anything_moves(adopted: World) -> None:
    chosen, writes = imported(), len(adopted.manager.writes)
    replace(work(adopted), wanted=WantedRoot(imported=chosen)).carry_out()
    writes = len(adopted.manager.writes)
    with pytest.raises(UsageProblem, match="key of the active root"):
        replace(work(adopted), wanted=WantedRoot(imported=chosen)).carry_out()
    assert len(adopted.manager.writes) == writes
    assert part(adopted) == "done"


def test_an_imported_root_s_key_does_not_outlive_a_rotation_that_was_called_off(adopted: World) -> None:
    with pytest.raises(StillMoving):
        replace(work(adopted, 0), wanted=WantedRoot(imported=imported())).carry_out()
    record = adopted.desk.home.store.read(load_swarm_rotation)
    assert record is not None
    work(adopted).call_off()
    with adopted.desk.home.store.reading() as transaction:
        assert transaction.sealed.get(record.choice.key_name) is None


def test_another_swarm_s_engine_is_refused_and_nothing_is_begun(adopted: World) -> None:
    root = adopted.manager.root_pem
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as directory:
        with SimulatedManager(Path(directory) / "d.sock", cluster_id="another", root_pem=root) as other:
            other.add_node("n9", "w1", "worker")
            with pytest.raises(UsageProblem, match="got one of another at"):
                replace(work(adopted), docker=other.url).carry_out(("w1",))
        assert [node["ID"] for node in other.nodes] == ["n9"]
    assert part(adopted) == "done"


def test_the_second_move_waits_for_who_follows_by_itself_or_goes_on_without(adopted: World) -> None:
    adopted.desk.issue(NodeRole.WORKER, "agent1", new_key())
    with pytest.raises(StillMoving, match="between the moves, the root's own rotation waits for worker agent1"):
        rotate(adopted, seconds=3)
    assert part(adopted) == "between"
    # Who did the steps so far has the turn for as long.
    adopted.desk.move_clock(timedelta(seconds=LEASE_SECONDS + 1))
    rotate(adopted, "agent1")
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()
    assert len(adopted.manager.nodes) == 3


def test_between_the_moves_it_goes_back_as_well(adopted: World) -> None:
    before = adopted.desk.authority.bundle_pem
    adopted.desk.issue(NodeRole.WORKER, "agent1", new_key())
    with pytest.raises(StillMoving, match="agent1"):
        rotate(adopted, seconds=3)
    work(adopted).call_off()
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem == before


def test_what_the_former_root_issued_is_believed_no_more(adopted: World) -> None:
    rotate(adopted)
    home = adopted.desk.home
    held = home.store.read(lambda transaction: transaction.certificates.by_subject("n3"))
    assert len({record.generation for record in held}) == 2
    evicted = evict(home, adopted.swarm, "w1", OPERATOR, reason="stolen")
    assert {record.generation for record in evicted.unexpired} == {adopted.desk.authority.record.generation}


def test_one_process_at_a_time_leads_the_swarm(adopted: World) -> None:
    with rotation_turn(adopted.desk.home.store, sleep=time.sleep, seconds=0, says=adopted.said.append) as turn:
        assert adopted.desk.home.store.read(is_led)
        with pytest.raises(Unavailable, match="is at the Swarm's rotation"):
            replace(work(adopted, 0), patience=0.3).carry_out()
        time.sleep(0.25)
        turn.pause(0.0)
        with pytest.raises(Unavailable):
            replace(work(adopted, 0), patience=0.0).call_off()
        time.sleep(0.25)
        with pytest.raises(Changed, match="called off by another command"):
            turn.pause(0.0)
    work(adopted).call_off()
    assert part(adopted) == "done"


def go_on(world: World) -> None:
    """As a server does, round by round."""
    for _ in range(50):
        try:
            work(world, 0).go_on()
        except StillMoving:
            continue
        return
    pytest.fail("expected an end")


@pytest.mark.parametrize("called_off", [False, True])
def test_a_server_goes_on_the_way_that_it_goes(adopted: World, called_off: bool) -> None:
    before = adopted.desk.authority.bundle_pem
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    if called_off:
        with pytest.raises(StillMoving):
            work(adopted, 0).call_off()
    go_on(adopted)
    assert part(adopted) == "done"
    assert adopted.manager.root_pem.encode() == adopted.desk.authority.bundle_pem
    assert (adopted.desk.authority.bundle_pem == before) is called_off
    assert work(adopted, 0).go_on() == ()


def test_waiting_for_the_swarm_a_server_writes_nothing(adopted: World) -> None:
    adopted.manager.stuck = {"w1"}
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)
    before = len(adopted.actions())
    for _ in range(3):
        with pytest.raises(StillMoving, match="w1"):
            work(adopted, 0).go_on()
    assert len(adopted.actions()) == before


def test_a_root_that_is_given_up_meanwhile_is_not_gone_back_to(adopted: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rotating.SwarmRotation, "_adopt", _power_cut)
        with pytest.raises(KeyboardInterrupt):
            rotate(adopted)
    record = adopted.desk.home.store.read(load_swarm_rotation)
    assert record is not None
    turned = replace(record, goes_back=True)
    adopted.desk.home.store.write(lambda transaction: save_for_test(transaction, turned))
    with pytest.raises(Denied, match="its key erased"):
        work(adopted, 0).go_on()
    go_on(adopted)
    assert adopted.manager.root_pem == adopted.desk.authority.bundle_pem.decode()


def test_a_restored_home_leads_nobody(adopted: World) -> None:
    with pytest.raises(StillMoving):
        rotate(adopted, seconds=0)

    def accept(transaction: Transaction) -> None:
        transaction.settings.put(RESTORED, PENDING)
        begin_acceptance(transaction, adopted.desk.keys, OPERATOR, Missing(entries=0))

    adopted.desk.home.store.write(accept)
    assert part(adopted) == "done"
    writes = len(adopted.manager.writes)
    assert work(adopted, 0).go_on() == ()
    assert len(adopted.manager.writes) == writes


def save_for_test(transaction: Transaction, record: SwarmRotationRecord) -> None:
    """As if it had been turned in the moment in which the root was given up."""
    save_swarm_rotation(transaction, record)
    transaction.log(OPERATOR.event(Action.SWARM_ROTATE, ObjectRef(type="swarm", id="s"), outcome=Outcome.INTENT))


def _power_cut(self: SwarmRotation, *arguments: object) -> None:
    raise KeyboardInterrupt
