"""What storage keeps of secrets, as values; the sealed bytes themselves are sealed records like any other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """A secret without its values. Times in Unix seconds; version numbers are 0 for none."""

    name: str
    created: int
    changed: int
    current: int
    previous: int
    max_versions: int
    labels: str
    """Canonical JSON of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersionRecord:
    """One version of a secret, without its value."""

    name: str
    version: int
    created: int
    state: str
    """A word of ``secretstore.versions.VersionState``."""
    fingerprint: str
    """Keyed, 32 hex digits; empty once it is destroyed."""
