"""Calls that are told to say nothing new do say nothing new: held against what a transaction finds, in every phase."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import product

import pytest

from ca.rotation import Phase
from swarmsec.services.records import CertificateRecord
from swarmsec.services.rotation.follow_rotation import Seen, note_call
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.serving.rotationnews import NodeCall, RotationNews
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.rotation.rotating import (
    Follower,
    abort,
    add_nodes,
    advance_somebody,
    begin,
    bring_to,
    enrol,
    finish_without,
    newest,
    status,
    step,
)

NAMES = ("a", "b", "c")


class Undone(Exception):
    """Whatever a call would say is taken back."""


def taken_up(desk: Desk) -> RotationNews:
    news = RotationNews()
    names = desk.home.store.read(lambda transaction: transaction.rotations.names(newest(desk).id))
    news.take_up(newest(desk).id, names)
    return news


def call_of(record: CertificateRecord, roots: bytes) -> NodeCall:
    return NodeCall(
        node=record.subject_id,
        generation=record.generation,
        certificate_sha256=record.sha256.hex(),
        roots_sha256=hashlib.sha256(roots).digest(),
    )


def says_something(desk: Desk, record: CertificateRecord, roots: bytes) -> bool:
    """Whether a call writes anything, by the transaction itself."""
    found: list[bool] = []

    def unit(transaction: Transaction) -> None:
        seen = Seen(presented=record, roots_sha256=hashlib.sha256(roots).digest())
        before = transaction.has_written
        note_call(transaction, desk.authority_in(transaction), seen, OPERATOR)
        found.append(transaction.has_written and not before)
        raise Undone

    with pytest.raises(Undone):
        desk.home.store.write(unit)
    return found[-1]


def moments(desk: Desk, nodes: list[Follower]) -> Iterator[None]:
    """A rotation, after each thing that happens in it."""
    begin(desk)
    while newest(desk).phase != Phase.RETIRED:
        yield
        if step(desk) is None:
            advance_somebody(desk, nodes)


def compare(desk: Desk, news: RotationNews, records: set[CertificateRecord], bundles: set[bytes]) -> list[bool]:
    """For each call that anybody could make: whether it is told to say nothing, which must be true then."""
    told = []
    for record, roots in product(records, bundles):
        told.append(news.is_none(desk.authority, call_of(record, roots)))
        assert not (told[-1] and says_something(desk, record, roots)), (newest(desk).phase, record.subject_id)
    return told


def test_no_call_that_says_something_is_taken_for_one_that_does_not(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in NAMES]
    records, bundles, told = {node.record for node in nodes}, {b"others", desk.authority.trusted_pem}, []
    for _ in moments(desk, nodes):
        records |= {node.record for node in nodes}
        bundles.add(desk.authority.trusted_pem)
        told += compare(desk, taken_up(desk), records, bundles)
    # Most calls are known to say nothing.
    assert told.count(True) > len(told) / 2


@pytest.mark.parametrize("phase", [Phase.DISTRIBUTING, Phase.REISSUING, Phase.CONVERGING])
def test_nor_on_the_way_back(phase: Phase, desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in NAMES]
    bring_to(desk, phase, nodes)
    bundles, records = {b"others", desk.authority.trusted_pem}, {node.record for node in nodes}
    abort(desk)
    while status(desk).blockers:
        bundles.add(desk.authority.trusted_pem)
        records |= {node.record for node in nodes}
        compare(desk, taken_up(desk), records, bundles)
        advance_somebody(desk, nodes)


def test_what_was_said_is_not_said_again_until_the_phase_changes(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in NAMES]
    bring_to(desk, Phase.DISTRIBUTING, nodes)
    news, both = taken_up(desk), desk.authority.trusted_pem
    call = call_of(nodes[0].record, both)
    assert not news.is_none(desk.authority, call)

    nodes[0].call(roots=both)
    news.note(desk.authority, call)

    assert news.is_none(desk.authority, call)
    assert not news.is_none(desk.authority, call_of(nodes[1].record, both))
    for node in nodes[1:]:
        node.call(roots=both)
    nodes[0].renew()
    renewed = call_of(nodes[0].record, both)
    assert newest(desk).phase == Phase.REISSUING
    assert not news.is_none(desk.authority, renewed)
    news.note(desk.authority, renewed)
    assert news.is_none(desk.authority, renewed)


def test_who_is_not_known_to_be_part_of_this_very_rotation_is_looked_up(desk: Desk) -> None:
    node = enrol(desk, "a")
    enrol(desk, "b")
    bring_to(desk, Phase.DISTRIBUTING, [])
    news, call = taken_up(desk), call_of(node.record, b"others")
    assert news.is_none(desk.authority, call)
    # Who joined since, and all nodes of another rotation.
    assert not news.is_none(desk.authority, call_of(enrol(desk, "late").record, b"others"))
    news.take_up(newest(desk).id + 1, NAMES)
    assert not news.is_none(desk.authority, call)


def test_no_rotation_no_news(desk: Desk) -> None:
    node, news = enrol(desk, "a"), RotationNews()
    assert not news.is_none(desk.authority, call_of(node.record, b"others"))


def test_the_names_of_a_rotation_are_those_of_every_step(desk: Desk) -> None:
    nodes = [enrol(desk, name) for name in NAMES]
    bring_to(desk, Phase.DISTRIBUTING, nodes)
    finish_without(desk, "a")
    add_nodes(desk, 3)
    names = desk.home.store.read(lambda transaction: transaction.rotations.names(newest(desk).id))
    assert sorted(names) == ["a", "b", "c", "x0000", "x0001", "x0002"]
    assert desk.home.store.read(lambda transaction: transaction.rotations.names(7)) == []
