"""What can happen to a root rotation. What follows from it is ``ca.rotation``'s."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A rotation is asked for; asked again while it runs, the second joins the first, whatever root it names.

    Args:
        old_root: SHA-256 of the certificate that issues now, lower-case hex.
        new_root: of the one that shall.
        nodes: every enrolled node.
    """

    old_root: str
    new_root: str
    nodes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSigned:
    """The old root signed the new one; again before a rotation that takes long outlives the certificate.

    Args:
        fingerprint: SHA-256 of the cross-signed certificate, lower-case hex.
    """

    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribute:
    """From now on nodes are served both roots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A node joined, or came back after it had been left out."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleAcknowledged:
    """A node said that it trusts both roots."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissued:
    """A node was given a certificate of the new root."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Converged:
    """A node was seen using a certificate of the new root."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishWithout:
    """An operator gives these nodes up; they will have to be recovered or join anew."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """The rotation is called off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """After an abort: a node that had a certificate of the new root was seen with one of the old root again."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """The old root is given up: the new one alone is served from now on."""


NodeEvent = Enrolled | BundleAcknowledged | Reissued | Converged
Event = Begin | CrossSigned | Distribute | NodeEvent | FinishWithout | Abort | Returned | Retire
