"""A root rotation as stored: one JSON object per state, the same for the same state.

Version 1: ``version``, ``phase``, ``old_root``, ``new_root``, ``cross_signed`` (or null), and by the name of each set
its node ids in ascending order. Every member is required and no other is known.
"""

from __future__ import annotations

from typing import Any

from ca.errors import InvalidRequest, InvalidRotation
from ca.identity import parse_node_id
from ca.rotation_state import MAX_NODES, NODE_SETS, Phase, Rotation

VERSION = 1
_NAMED = 5
_SETS = (*NODE_SETS, "failed")
_PHASES = frozenset(phase.value for phase in Phase)
_MEMBERS = frozenset({"version", "phase", "old_root", "new_root", "cross_signed", *_SETS})


def build_record(state: Rotation) -> dict[str, object]:
    """Write a state.

    Returns:
        an object of text, lists of text, one whole number and perhaps a null, as JSON has them.
    """
    return {
        "version": VERSION,
        "phase": state.phase.value,
        "old_root": state.old_root,
        "new_root": state.new_root,
        "cross_signed": state.cross_signed,
        **{name: sorted(getattr(state, name)) for name in _SETS},
    }


def parse_record(record: object) -> Rotation:
    """Read a state back.

    Args:
        record: parsed JSON, in which repeated members were refused.

    Raises:
        InvalidRotation: for another version, an unknown or missing member, a value that no state has, or a state that
            no order of events leads to.
    """
    members = _members(record)
    phase = _text(members, "phase")
    if phase not in _PHASES:
        raise InvalidRotation(f"expected a phase of a rotation, got {phase[:80]!r}")
    return Rotation(
        phase=Phase(phase),
        old_root=_text(members, "old_root"),
        new_root=_text(members, "new_root"),
        cross_signed=None if members["cross_signed"] is None else _text(members, "cross_signed"),
        **{name: _nodes(members, name) for name in _SETS},
    )


def _members(record: object) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise InvalidRotation("expected an object")
    version = record.get("version")
    # Python takes true for 1.
    if type(version) is not int or version != VERSION:
        raise InvalidRotation(f"expected a rotation of version {VERSION}, got another version")
    if record.keys() != _MEMBERS:
        different = sorted(ascii(str(name)[:80]) for name in record.keys() ^ _MEMBERS)[:_NAMED]
        raise InvalidRotation(f"expected exactly the members of version {VERSION}, got others: {', '.join(different)}")
    return record


def _text(members: dict[str, Any], name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise InvalidRotation(f"expected text in {name}")
    return value


def _nodes(members: dict[str, Any], name: str) -> frozenset[str]:
    values = members[name]
    if not isinstance(values, list) or len(values) > MAX_NODES or not all(isinstance(value, str) for value in values):
        raise InvalidRotation(f"expected at most {MAX_NODES} node ids in {name}")
    nodes = frozenset(values)
    if sorted(nodes) != values:
        raise InvalidRotation(f"expected each node id once and in ascending order in {name}")
    try:
        return frozenset(parse_node_id(node) for node in nodes)
    except InvalidRequest as error:
        raise InvalidRotation(f"expected node ids in {name}") from error
