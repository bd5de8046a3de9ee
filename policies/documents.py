"""The policy documents as values: what a checked document holds.

Absent lists mean any and are None here; empty ones never get this far. How text becomes such values is
``loading``'s matter, what they decide is ``secret_access``'s, ``trust``'s and ``rotation``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from policies.globs import Glob

API_VERSION = "swarmsec.dev/v1"

Patterns: TypeAlias = tuple[Glob, ...] | None
"""Patterns of which one must match; None where the document names none, which means any."""


class Kind(StrEnum):
    """The kinds of policy documents."""

    SECRET_ACCESS = "SecretAccessPolicy"  # noqa: S105  # the name of a kind
    TRUST = "TrustPolicy"
    ROTATION = "RotationPolicy"


class Effect(StrEnum):
    """What a secret access rule says about the requests that it matches."""

    ALLOW = "allow"
    DENY = "deny"


class Level(StrEnum):
    """What follows from a failed verification of an image.

    ``enforce`` refuses it, ``warn`` lets it pass and tells the caller, ``audit`` lets it pass and tells the log,
    ``skip`` does not verify.
    """

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretAccessRule:
    """One rule: a request must match every field, and every label.

    ``require_trusted_image`` and ``require_attached`` are what an allowing rule asks for beyond matching; a
    denying rule denies whatever it matches, whether or not they hold.
    """

    effect: Effect
    secrets: Patterns = None
    services: Patterns = None
    images: Patterns = None
    nodes: Patterns = None
    labels: Mapping[str, Glob]
    require_trusted_image: bool = False
    require_attached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretAccessPolicy:
    """Who gets which secret; rules in the order of the document."""

    rules: tuple[SecretAccessRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustScope:
    """What the images of a scope must show: how many signers, and signatures how old at most (None: any age)."""

    level: Level
    images: Patterns = None
    min_signers: int = 1
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """Which images must be vouched for, and how strictly; scopes in the order of the document."""

    scopes: tuple[TrustScope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours of a day in which something may be done, UTC; ``begin`` after ``end`` goes over midnight.

    Args:
        begin, end: minutes since midnight; ``end`` is not in it.
    """

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRule:
    """How old a secret's value may be, and how often it is replaced by one drawn by chance.

    Args:
        max_age: older values are reported; None for any age.
        every: values that swarmsec drew itself are replaced when they are that old; None for never.
        length: characters of the new value.
        keep: how many older versions stay.
        window: when a replacement may begin; None for always.
    """

    secrets: Patterns = None
    max_age: timedelta | None = None
    every: timedelta | None = None
    length: int = 40
    keep: int = 2
    window: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """Which secrets are rotated, and when; rules in the order of the document."""

    rules: tuple[RotationRule, ...]


Spec: TypeAlias = SecretAccessPolicy | TrustPolicy | RotationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One checked document.

    ``canonical`` is the document as written, in JSON with sorted keys, no spaces, and UTF-8; defaults are not
    filled in, so a document keeps its digest over versions of this program. ``digest`` is ``sha256:`` and the
    lower-case hex digest of ``canonical``.
    """

    api_version: str
    kind: Kind
    name: str
    spec: Spec
    canonical: bytes
    digest: str
