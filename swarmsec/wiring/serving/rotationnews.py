"""Which calls of nodes say nothing new in a rotation, told from memory.

Every node calls several times, and most calls only ask. What a call can say follows from the phase, the certificate it
shows and the roots that it names (``may_advance``), as long as the node is part of the rotation; none ever leaves it.
All others, and whatever is in doubt, are left to a unit of work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from swarmsec.services.ca.authority import Authority
from swarmsec.services.rotation.follow_rotation import may_advance


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCall:
    """What tells one call from another."""

    node: str
    generation: int
    """Of the root that the certificate stands under."""
    certificate_sha256: str
    roots_sha256: bytes


class RotationNews:
    """Remembers who is part of the rotation, and what was said already since its last change of phase."""

    def __init__(self) -> None:
        self._rotation = 0
        self._epoch = ""
        self._nodes: set[str] = set()
        self._said: dict[str, NodeCall] = {}
        self.changed = asyncio.Event()
        """Set when a call was the first after a change of phase, which it may have brought about itself."""

    def take_up(self, rotation: int, nodes: Iterable[str]) -> None:
        """Know the nodes of a rotation, as far as they are part of it by now."""
        self._rotation, self._nodes = rotation, set(nodes)

    def is_none(self, authority: Authority, call: NodeCall) -> bool:
        """Whether a call says nothing that is not on record.

        Args:
            authority: as it was taken up last.
        """
        record = authority.rotation
        if record is None or record.id != self._rotation or call.node not in self._nodes:
            return False
        if not may_advance(authority, record, call.generation, call.roots_sha256):
            return True
        return self._epoch == authority.epoch and self._said.get(call.node) == call

    def note(self, authority: Authority, call: NodeCall) -> None:
        """Remember that what a call says is on record.

        Args:
            authority: as it was in the transaction.
        """
        if authority.epoch != self._epoch:
            self._epoch, self._said = authority.epoch, {}
            self.changed.set()
        if authority.rotation is not None and authority.rotation.id == self._rotation:
            self._nodes.add(call.node)
            self._said[call.node] = call
