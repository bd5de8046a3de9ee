"""Rotations as stored: one text per state, and nothing else is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import InvalidRotation
from ca.rotation import Abort, Failed, FinishWithout, Phase, Reissued, Rotation, advance
from ca.rotation_record import build_record, parse_record
from ca.rotation_state import MAX_NODES
from tests.unit.ca.rotating import CROSS, NEW, OLD, at, begin, run

STATES = [
    run([begin()]),
    *(at(phase) for phase in Phase if phase is not Phase.ABORTED),
    *(advance(at(phase), Abort()) for phase in Phase if not phase.is_over),
    run([Reissued(node="anna"), Failed(node="bert"), FinishWithout(nodes=frozenset({"cara"}))], at(Phase.REISSUING)),
]
GOOD = STATES[-1]


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_read_back(state: Rotation) -> None:
    text = json.dumps(build_record(state))
    assert parse_record(json.loads(text)) == state
    assert json.dumps(build_record(parse_record(json.loads(text)))) == text


def test_version_1_is_frozen() -> None:
    assert build_record(GOOD) == {
        "version": 1,
        "phase": "reissuing",
        "old_root": OLD,
        "new_root": NEW,
        "cross_signed": CROSS,
        "pending": [],
        "acknowledged": ["bert"],
        "reissued": ["anna"],
        "converged": [],
        "excluded": ["cara"],
        "failed": ["bert"],
    }


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record.update(version=2), "version 1"),
        (lambda record: record.update(version=True), "version 1"),
        (lambda record: record.update(version="1"), "version 1"),
        (lambda record: record.pop("version"), "version 1"),
        (lambda record: record.update(note="x"), "exactly the members of version 1, got others: 'note'"),
        (lambda record: record.pop("failed"), "got others: 'failed'"),
        (lambda record: record.update(phase="finished"), "phase of a rotation, got 'finished'"),
        (lambda record: record.update(phase=[]), "text in phase"),
        (lambda record: record.update(old_root=None), "text in old_root"),
        (lambda record: record.update(old_root=NEW), "to another root"),
        (lambda record: record.update(new_root="1B" * 32), "SHA-256"),
        (lambda record: record.update(cross_signed=5), "text in cross_signed"),
        (lambda record: record.update(cross_signed="5"), "SHA-256"),
        (lambda record: record.update(cross_signed=None), "cross-signed root exactly from"),
        (lambda record: record.update(converged="dora"), "node ids in converged"),
        (lambda record: record.update(converged=[5]), "node ids in converged"),
        (lambda record: record.update(converged=["Dora"]), "node ids in converged"),
        (lambda record: record.update(converged=["dora", "dora"]), "once and in ascending order"),
        (lambda record: record.update(converged=["emil", "dora"]), "once and in ascending order"),
        (lambda record: record.update(converged=["dora"] * (MAX_NODES + 1)), "at most 100000 node ids"),
        (lambda record: record.update(converged=["anna"]), "every node in one set"),
        (lambda record: record.update(failed=["cara"]), "failed nodes among"),
        (lambda record: record.update(failed=["dora"]), "failed nodes among"),
        (lambda record: record.update(pending=["dora"]), "done what the phase reissuing says"),
        (lambda record: record.update(phase="converging"), "done what the phase converging says"),
        (lambda record: record.update(phase="distributing"), "done what the phase distributing says"),
        (lambda record: record.update(phase="cross_signed"), "nobody on the new root"),
        (lambda record: record.update(phase="cross_signed", reissued=[]), "nobody who trusts the new root"),
        (lambda record: record.update(phase="prepared"), "cross-signed root exactly from"),
        (lambda record: record.update(phase="retired"), "retired only when every node"),
        (lambda record: record.update(phase="aborted", cross_signed=None), "cross-signed root exactly from"),
        (lambda record: record.update(phase="aborted", cross_signed=None, reissued=[]), "nobody who trusts"),
    ],
)
def test_everything_else_is_refused(change: Change, reason: str) -> None:
    record = build_record(GOOD)
    change(record)
    with pytest.raises(InvalidRotation, match=reason):
        parse_record(record)


def test_nobody_is_on_the_new_root_while_somebody_does_not_know_it() -> None:
    record = build_record(at(Phase.DISTRIBUTING)) | {"reissued": ["dora"]}
    with pytest.raises(InvalidRotation, match="nobody on the new root"):
        parse_record(record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_is_no_record_is_refused(value: object) -> None:
    with pytest.raises(InvalidRotation):
        parse_record(value)


@given(st.sampled_from(sorted(build_record(GOOD))), JSON)
def test_any_member_may_be_anything(name: str, value: object) -> None:
    record = build_record(GOOD) | {name: value}
    try:
        assert build_record(parse_record(record)) == record
    except InvalidRotation:
        return


def test_too_many_nodes_are_no_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ca.rotation_state.MAX_NODES", 2)
    with pytest.raises(InvalidRotation, match="at most 2 nodes, got 3"):
        parse_record(build_record(GOOD))
