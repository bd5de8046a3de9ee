"""The documents that ship with the package: the one thing this package reads by itself."""

from __future__ import annotations

from importlib import resources

from policies.errors import PolicyError

BUNDLED_NAMES = frozenset({"access.yaml", "controls.yaml", "trust-default.yaml"})
SCHEMA_KINDS = frozenset({"AccessTable", "PolicyTest", "RotationPolicy", "SecretAccessPolicy", "TrustPolicy"})


def bundled(name: str) -> bytes:
    """Return a bundled document.

    Args:
        name: one of ``BUNDLED_NAMES``.

    Raises:
        PolicyError: no such document ships.
    """
    if name not in BUNDLED_NAMES:
        raise PolicyError(f"expected one of {', '.join(sorted(BUNDLED_NAMES))}, got {name[:60]!r}")
    return resources.files("policies").joinpath("bundled", name).read_bytes()


def schema(kind: str) -> bytes:
    """Return the JSON Schema (draft 2020-12) of a kind of document.

    Args:
        kind: one of ``SCHEMA_KINDS``.

    Raises:
        PolicyError: no such schema ships.
    """
    if kind not in SCHEMA_KINDS:
        raise PolicyError(f"expected one of {', '.join(sorted(SCHEMA_KINDS))}, got {kind[:60]!r}")
    return resources.files("policies").joinpath("schemas", f"{kind}.json").read_bytes()
