"""What a decision looks like: allowed or denied, and which rule of which document said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policies.errors import PolicyDenied


class DenialCode(StrEnum):
    """Why a request is denied, for programs; ``Denied.reason`` says it for people."""

    NO_DOCUMENT = "no_document"
    NO_RULE = "no_rule"
    DENY_RULE = "deny_rule"
    NOT_ATTACHED = "not_attached"
    IMAGE_NOT_TRUSTED = "image_not_trusted"
    AMBIGUOUS = "ambiguous"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_ROUTE = "unknown_route"
    ROLE = "role"
    NOT_LOOPBACK = "not_loopback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The rule that decided: document name, its digest (``sha256:`` and hex), and the rule's index from 0."""

    policy: str
    digest: str
    rule: int

    def __str__(self) -> str:
        return f"{self.policy} rule {self.rule} ({self.digest})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The request may go on; ``basis`` is None only for decisions of the access table."""

    basis: Basis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The request may not go on; ``basis`` is None when no single rule decided."""

    reason: str
    code: DenialCode
    basis: Basis | None = None

    def as_error(self) -> PolicyDenied:
        """Return the denial as an exception, for callers that want to raise it."""
        return PolicyDenied(self.reason)
