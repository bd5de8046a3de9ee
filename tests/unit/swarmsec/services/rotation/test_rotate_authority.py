"""The root is rotated step by step, with nodes that follow, lie, are away or come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.bundle import write_bundle
from ca.errors import RotationRefused
from ca.identity import NodeRole
from ca.profiles import Profile
from ca.revocation import verify_revocation_list
from ca.rotation import Phase
from ca.successors import verify_chain, verify_successors
from swarmsec.errors import Denied, IntegrityFailure, NotFound, Unavailable
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.nodes.limited_tokens import TokenRole
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyKind
from swarmsec.services.rotation.follow_rotation import note_revoked
from swarmsec.services.rotation.next_roots import NextRoot
from swarmsec.services.rotation.rotate_authority import Held
from swarmsec.services.rotation.rotation_status import left_behind
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR, logged
from tests.unit.swarmsec.services.desk import Desk, new_key, spki_of
from tests.unit.swarmsec.services.nodes.test_limited_tokens import create
from tests.unit.swarmsec.services.rotation.rotating import (
    Follower,
    abort,
    advance_somebody,
    begin,
    bring_to,
    carry_on,
    enrol,
    finish_without,
    newest,
    status,
    step,
)

RUNNING = [phase for phase in Phase if not phase.is_over]


def tokens(desk: Desk) -> set[str]:
    def read(transaction: Transaction) -> set[str]:
        return {open_standing_token(transaction, desk.keys, role)[1].format() for role in NodeRole}

    return desk.home.store.read(read)


def states(desk: Desk) -> list[str]:
    return desk.home.store.read(lambda transaction: [root.state for root in transaction.authorities.all()])


def test_with_no_node_it_ends_at_once(desk: Desk) -> None:
    before, old = tokens(desk), desk.authority

    begun = begin(desk)

    assert (begun.joined, begun.record.phase, bool(begun.record.ended)) == (False, "retired", True)
    assert states(desk) == ["retired", "active"]
    assert desk.authority.public != old.public
    assert not tokens(desk) & before
    assert step(desk) is None
    verify_store(desk.home.store)
    for action in ("ca.root-create", "ca.rotate", "ca.root-retire"):
        assert {entry["outcome"] for entry in logged(desk.home, action)} == {"success"}, action


def test_nodes_follow_and_the_old_root_goes(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in ("a", "b")] + [enrol(desk, "m", NodeRole.MANAGER)]
    old = desk.authority
    begin(desk)
    carry_on(desk)

    for _ in range(2):
        for node in nodes:
            node.follow()
    carry_on(desk)

    assert newest(desk).phase == "retired"
    new = desk.authority
    assert (states(desk), new.rotation, new.cross_signed) == (["retired", "active"], None, None)
    assert new.trusted_pem == new.bundle_pem == write_bundle([new.issuer.certificate]) != old.bundle_pem
    for node in nodes:
        assert node.record.generation == 2
        node.follow()
        assert node.roots == new.bundle_pem
    assert logged(desk.home, "ca.rotate-node")
    verify_store(desk.home.store)


def test_each_phase_has_its_roots(desk: Desk) -> None:
    """Who issues, what nodes and clients trust, what strangers get, and that every chain can be verified."""
    nodes = [enrol(desk, name) for name in ("a", "b")]
    old = desk.authority.public
    seen = {}
    begin(desk)
    while not newest(desk).ended:
        authority = desk.authority
        new = authority.issuer.certificate
        seen[newest(desk).phase] = (new == old, len(authority.trusted), len(authority.accepted))
        assert authority.public == old
        record = desk.issue(NodeRole.WORKER, f"x{len(desk.states())}", new_key())
        desk.home.store.write(lambda transaction: None)
        chain = x509.load_pem_x509_certificates(authority.chain_pem(record))
        now = authority.issuer.certificate.not_valid_before_utc + timedelta(hours=2)
        for trusted in ((old,), authority.trusted):
            verify_chain(chain, trusted=trusted, now=now)
        crosses = [authority.cross_signed] if authority.cross_signed else []
        verify_successors(authority.trusted, trusted=[old], cross_signed=crosses, now=now)
        if step(desk) is None:
            advance_somebody(desk, nodes)
    assert seen == {
        "prepared": (True, 1, 1),
        "cross_signed": (True, 1, 1),
        "distributing": (True, 2, 2),
        "reissuing": (False, 2, 2),
        "converging": (False, 2, 2),
    }


def test_what_counted_under_the_old_root_is_revoked_and_listed(desk: Desk) -> None:
    node, kept = enrol(desk, "a"), enrol(desk, "a").record
    old, key_name = desk.authority.public, desk.authority.record.key_name
    host = desk.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            Profile.SERVER,
            name="db",
            role=None,
            spki_der=spki_of(new_key()),
            hosts=("db",),
            requester=OPERATOR,
        )
    )
    bring_to(desk, Phase.RETIRED, [node])

    last = desk.home.store.read(lambda transaction: transaction.rotations.retired_list(1))
    assert last is not None
    listed = {entry.serial for entry in verify_revocation_list(last.der, authority=old).entries}
    cross = desk.home.store.read(lambda transaction: transaction.rotations.crosses())[0]
    assert listed == {int(each, 16) for each in (kept.serial, host.serial, cross.serial)} | {
        int(serial, 16) for serial, state in desk.states().items() if state == "superseded"
    }
    assert desk.states()[host.serial] == "revoked"
    assert desk.home.store.read(lambda transaction: left_behind(transaction, newest(desk))) == ["db"]
    with pytest.raises(IntegrityFailure, match="sealed record"):
        desk.home.store.read(lambda transaction: desk.keys.signer(transaction, key_name))


def test_tokens_of_the_old_root_end_with_it(desk: Desk) -> None:
    node = enrol(desk, "a")
    limited, _ = create(desk, TokenRole.WORKER)
    before = tokens(desk)
    bring_to(desk, Phase.CONVERGING, [node])
    assert tokens(desk) == before

    node.follow()
    carry_on(desk)

    assert not tokens(desk) & before
    record = desk.home.store.read(lambda transaction: transaction.limited_tokens.by_id(limited.token_id))
    assert record is not None
    assert record.state == "revoked"


@pytest.mark.parametrize("kind", list(KeyKind))
def test_the_new_root_s_key_may_be_of_another_kind(kind: KeyKind, desk: Desk) -> None:
    begin(desk, NextRoot(key_kind=kind))

    key = desk.authority.public.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert f"p{key.curve.key_size}" == kind.value
    begin(desk)
    again = desk.authority.public.public_key()
    assert isinstance(again, ec.EllipticCurvePublicKey)
    assert again.curve.key_size == key.curve.key_size


def test_a_second_rotation_joins_the_first(desk: Desk) -> None:
    enrol(desk, "a")
    first = begin(desk)
    enrol(desk, "b")

    second = begin(desk)

    assert (second.joined, second.record) == (True, first.record)
    assert {blocker.node for blocker in status(desk).blockers} == {"a", "b"}
    assert states(desk) == ["active", "next"]


def test_one_process_at_a_time_does_the_steps(desk: Desk) -> None:
    enrol(desk, "a")
    begin(desk)
    assert newest(desk).phase == "prepared"
    step(desk, "one")

    assert step(desk, "two") == Held(holder="one")
    assert newest(desk).phase == "cross_signed"
    desk.move_clock(timedelta(seconds=11))
    step(desk, "two")
    assert newest(desk).phase == "distributing"


def test_nobody_converges_by_saying_so(desk: Desk) -> None:
    """A node that trusts nothing new, one that says so untruly, and one that goes on with its old certificate."""
    liar, honest = enrol(desk, "a"), enrol(desk, "b")
    begin(desk)
    carry_on(desk)
    liar.call()
    assert status(desk).counts["pending"] == 2
    for node in (liar, honest):
        node.call(roots=desk.authority.trusted_pem)
    former = liar.record

    liar.renew()
    liar.record = former
    for _ in range(3):
        liar.call()
    honest.follow()
    carry_on(desk)

    assert newest(desk).phase == "converging"
    assert [(blocker.node, blocker.awaits) for blocker in status(desk).blockers] == [("a", "converged")]


def test_a_certificate_that_is_not_a_node_s_says_nothing(desk: Desk) -> None:
    node = enrol(desk, "a")
    begin(desk)
    carry_on(desk)
    host = desk.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            Profile.CLIENT,
            name="a.example",
            role=None,
            spki_der=spki_of(new_key()),
            hosts=("a.example",),
            requester=OPERATOR,
        )
    )
    for sha256 in (host.sha256, bytes(32)):
        stranger = Follower(desk, "a", replace(node.record, sha256=sha256), node.roots)
        with pytest.raises(Denied, match="only a node"):
            stranger.call()
    assert desk.last_entry()["outcome"] == "denied"


def test_nodes_that_join_meanwhile_belong_to_it(desk: Desk) -> None:
    first = enrol(desk, "a")
    begin(desk)
    carry_on(desk)
    early = enrol(desk, "b")
    early.call()
    assert (status(desk).counts["pending"], status(desk).counts["acknowledged"]) == (1, 1)

    for node in (first, early):
        node.follow()
    assert newest(desk).phase != "distributing"
    late = enrol(desk, "c")
    late.call()

    assert late.record.generation == 2
    assert status(desk).counts["converged"] >= 1


def test_a_node_that_is_left_out_is_revoked(desk: Desk) -> None:
    node, away = enrol(desk, "a"), enrol(desk, "m", NodeRole.MANAGER)
    begin(desk)
    carry_on(desk)
    node.follow()
    with pytest.raises(RotationRefused, match="nodes of this rotation, got x"):
        finish_without(desk, "x")

    left = finish_without(desk, "m")
    node.follow()
    carry_on(desk)

    assert (left.nodes, left.followed) == (("m",), ())
    assert newest(desk).phase == "retired"
    assert desk.states()[away.record.serial] == "revoked"
    with pytest.raises(Denied):
        away.renew()


def test_who_has_followed_is_not_left_out(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in ("a", "b")]
    bring_to(desk, Phase.CONVERGING, nodes)
    nodes[0].follow()

    left = finish_without(desk, "a", "b")

    assert (left.nodes, left.followed) == (("b",), ("a",))
    assert desk.states()[nodes[0].record.serial] == "valid"


@pytest.mark.parametrize("phase", RUNNING)
def test_it_is_called_off_and_nodes_come_back(phase: Phase, desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in ("a", "b")]
    old, before = desk.authority, tokens(desk)
    bring_to(desk, phase, nodes)

    record = abort(desk)
    moved = [node for node in nodes if node.record.generation == 2]
    assert bool(record.ended) == (not moved)
    if moved:
        assert len(desk.authority.accepted) == 2
        with pytest.raises(Unavailable, match="to come back"):
            begin(desk)
        assert {blocker.awaits for blocker in status(desk).blockers} == {"returned"}
    for node in nodes:
        node.follow()
    carry_on(desk)

    assert newest(desk).ended
    assert states(desk) == ["active", "abandoned"]
    assert (desk.authority.bundle_pem, desk.authority.trusted_pem) == (old.bundle_pem, old.bundle_pem)
    assert tokens(desk) == before
    for node in nodes:
        node.follow()
        assert (node.record.generation, node.roots) == (1, old.bundle_pem)
    verify_store(desk.home.store)
    assert not begin(desk).joined


def test_after_an_abort_it_goes_on_without_who_does_not_come_back(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in ("a", "b")]
    bring_to(desk, Phase.CONVERGING, nodes)
    abort(desk)
    nodes[0].follow()

    finish_without(desk, "b")
    carry_on(desk)

    assert states(desk) == ["active", "abandoned"]
    assert desk.states()[nodes[1].record.serial] == "revoked"


def test_without_a_rotation_there_is_nothing_to_call_off(desk: Desk) -> None:
    for call in (abort, lambda one: finish_without(one, "a")):
        with pytest.raises(NotFound, match="no root rotation runs"):
            call(desk)


def test_who_is_revoked_meanwhile_is_waited_for_no_longer(desk: Desk) -> None:
    node = enrol(desk, "a")
    enrol(desk, "b")
    begin(desk)
    carry_on(desk)

    def revoke(transaction: Transaction) -> None:
        revoke_certificates(transaction, "b", OPERATOR)
        note_revoked(transaction, "b", OPERATOR)

    desk.home.store.write(revoke)
    node.follow()
    carry_on(desk)

    assert newest(desk).phase == "retired"
    verify_store(desk.home.store)


def test_a_long_rotation_gets_its_cross_certificate_anew(desk: Desk) -> None:
    enrol(desk, "a")
    begin(desk)
    carry_on(desk)
    first = newest(desk).cross_signed
    desk.move_clock(timedelta(days=4))

    step(desk)

    assert newest(desk).cross_signed not in {first, ""}
    assert newest(desk).phase == "distributing"
    assert step(desk) is None
