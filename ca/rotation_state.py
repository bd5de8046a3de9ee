"""How far a root rotation is, and which states there are. How one leads to the next is ``ca.rotation``'s."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ca.errors import InvalidRotation

MAX_NODES = 100_000
NODE_SETS = ("pending", "acknowledged", "reissued", "converged", "excluded")
"""The sets in which each node is once, in the order of its way."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class Phase(StrEnum):
    """How far a rotation is."""

    PREPARED = "prepared"
    """The new root exists; nobody has seen it."""
    CROSS_SIGNED = "cross_signed"
    """The old root has signed it; nodes are served the old root alone."""
    DISTRIBUTING = "distributing"
    """Nodes are served both roots; the old one issues."""
    REISSUING = "reissuing"
    """The new root issues, and its chain carries the cross-signed certificate."""
    CONVERGING = "converging"
    """Every node has been given its new certificate; not each has been seen with it."""
    RETIRED = "retired"
    """The new root is the only one."""
    ABORTED = "aborted"
    """The old root issues again; nodes with certificates of the new one are to be given others."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self in (Phase.RETIRED, Phase.ABORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """The state of one rotation. Every node is in exactly one of the sets.

    Args:
        phase: how far it is.
        old_root: SHA-256 of the old root's certificate, lower-case hex.
        new_root: of the new root's.
        cross_signed: of the cross-signed certificate; None until there is one.
        pending: nodes that know the old root alone, as far as is known.
        acknowledged: nodes that trust both.
        reissued: nodes that were given a certificate of the new root.
        converged: nodes that were seen using it.
        excluded: nodes that the rotation goes on without.

    Raises:
        InvalidRotation: for a state that no order of events leads to.
    """

    phase: Phase
    old_root: str
    new_root: str
    cross_signed: str | None = None
    pending: frozenset[str] = frozenset()
    acknowledged: frozenset[str] = frozenset()
    reissued: frozenset[str] = frozenset()
    converged: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _verify_roots(self)
        _verify_nodes(self)
        _verify_phase(self)

    @property
    def steps(self) -> tuple[frozenset[str], ...]:
        """The sets in which each node is once, as ``NODE_SETS`` names them."""
        return (self.pending, self.acknowledged, self.reissued, self.converged, self.excluded)

    @property
    def nodes(self) -> frozenset[str]:
        """Every node that was ever part of the rotation."""
        return frozenset().union(*self.steps)

    @property
    def unconverged(self) -> frozenset[str]:
        """The nodes that have something left to do, and so keep the old root from being retired."""
        return self.pending | self.acknowledged | self.reissued

    def is_known(self, node: str) -> bool:
        """Whether a node is in ``nodes``."""
        return any(node in nodes for nodes in self.steps)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do: after an abort, not before everybody who had moved has come back."""
        return self.phase is Phase.RETIRED or (self.phase is Phase.ABORTED and not self.on_new_root)

    @property
    def on_new_root(self) -> frozenset[str]:
        """The nodes that hold a certificate of the new root; after an abort they are given one of the old root."""
        return self.reissued | self.converged


def phase_of(phase: Phase, *, pending: frozenset[str], acknowledged: frozenset[str]) -> Phase:
    """The phase that what the nodes have done allows; the same one where that does not depend on nodes."""
    if phase not in (Phase.DISTRIBUTING, Phase.REISSUING, Phase.CONVERGING):
        return phase
    if pending:
        return Phase.DISTRIBUTING
    return Phase.REISSUING if acknowledged else Phase.CONVERGING


def _is_before_cross_signing(state: Rotation) -> bool:
    """So is what was aborted before it, and what had no node to do it for."""
    match state.phase:
        case Phase.PREPARED:
            return True
        case Phase.ABORTED:
            return state.cross_signed is None and not state.on_new_root
        case Phase.RETIRED:
            return not state.nodes and state.cross_signed is None
        case _:
            return False


@lru_cache(maxsize=64)
def is_fingerprint(text: str) -> bool:
    """Whether a text has the form of a SHA-256 in lower-case hex."""
    return _FINGERPRINT.fullmatch(text) is not None


def _verify_roots(state: Rotation) -> None:
    if not is_fingerprint(state.old_root) or not is_fingerprint(state.new_root):
        raise InvalidRotation("expected roots named by their SHA-256 in lower-case hex")
    if state.old_root == state.new_root:
        raise InvalidRotation("expected a rotation to another root")
    if state.cross_signed is not None and not is_fingerprint(state.cross_signed):
        raise InvalidRotation("expected a cross-signed root named by its SHA-256 in lower-case hex")


def _verify_nodes(state: Rotation) -> None:
    count = sum(map(len, state.steps))
    if count > MAX_NODES:
        raise InvalidRotation(f"expected at most {MAX_NODES} nodes, got {count}")
    if len(state.nodes) != count:
        raise InvalidRotation("expected every node in one set")


def _verify_phase(state: Rotation) -> None:
    """Refuse what no order of events leads to; a record that says it was not written by this machine."""
    if phase_of(state.phase, pending=state.pending, acknowledged=state.acknowledged) is not state.phase:
        raise InvalidRotation(f"expected nodes that have done what the phase {state.phase.value} says")
    if (state.cross_signed is None) != _is_before_cross_signing(state):
        raise InvalidRotation(f"expected a cross-signed root exactly from the phase {Phase.CROSS_SIGNED.value} on")
    if state.phase in (Phase.PREPARED, Phase.CROSS_SIGNED, Phase.DISTRIBUTING) and (state.reissued or state.converged):
        raise InvalidRotation(f"expected nobody on the new root in the phase {state.phase.value}")
    if (state.phase in (Phase.PREPARED, Phase.CROSS_SIGNED) or state.cross_signed is None) and state.acknowledged:
        raise InvalidRotation(f"expected nobody who trusts the new root in the phase {state.phase.value}")
    if state.phase is Phase.RETIRED and (state.pending or state.acknowledged or state.reissued):
        raise InvalidRotation("expected a root retired only when every node converged or was left out")
