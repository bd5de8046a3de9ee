"""What is kept beside the log's entries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A signed checkpoint, with whatever cosignatures came."""

    origin: str
    size: int
    note: bytes
    """The signed note, exactly."""
    created: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRow:
    """A witness that this home's log is shown to."""

    name: str
    key: str
    """Its verifier key, ``NAME+ID+BASE64``."""
    url: str
    """Where it takes checkpoints; empty for one that comes and fetches them."""
    added: int
