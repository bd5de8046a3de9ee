"""Values that travel between the HTTP edge and the parts that answer on it, free of any web framework.

The server (``swarmsec.server``) turns a connection into a ``Request``, finds its ``Route``, decides access, limits
attempts, and renders the ``Response``. Parts that know a protocol (``swarmsec.docker``, the services' API) only
see these values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RoleKind(StrEnum):
    """The roles of the HTTP API (docs/roles.md); ``SWARM_MANAGER`` is a manager of the adopted Swarm."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    SIGNER = "signer"
    DRIVER = "driver"
    AGENT = "agent"
    NODE = "node"
    SWARM_MANAGER = "swarm-manager"
    ANONYMOUS = "anonymous"


SCOPED_ROLES = frozenset({RoleKind.SIGNER, RoleKind.AGENT, RoleKind.NODE, RoleKind.SWARM_MANAGER})
"""Roles that hold for one object only: a repository, or a node id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role with the object it holds for, written ``kind`` or ``kind:scope``."""

    kind: RoleKind
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.scope}" if self.scope else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Role:
        """Parse ``kind`` or ``kind:scope``.

        Raises:
            ValueError: the kind is unknown, or the scope is missing or superfluous.
        """
        kind_text, _, scope = text.partition(":")
        try:
            kind = RoleKind(kind_text)
        except ValueError:
            raise ValueError(f"expected a role, got {kind_text!r:.40}") from None
        if (kind in SCOPED_ROLES) != bool(scope):
            raise ValueError(f"role {kind} {'needs' if kind in SCOPED_ROLES else 'takes no'} scope")
        return cls(kind=kind, scope=scope)


ANONYMOUS = Role(kind=RoleKind.ANONYMOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as our own issuance table says it, never as the certificate's subject says it."""

    role: Role
    name: str
    address: str
    certificate_sha256: str = ""
    """Lower-case hex SHA-256 of the peer's leaf in DER; empty without one."""
    certificate_der: bytes = b""
    cluster_id: str = ""

    def __hash__(self) -> int:
        """By what differs between callers: what is worded once for each is looked for on every request."""
        return hash((self.certificate_sha256, self.address))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, its body read whole and bounded by its route."""

    method: str
    path: str
    caller: Caller
    request_id: str
    began: float = 0.0
    """When its head was there, by ``time.monotonic``; it may have waited for a place since."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    path_values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer: exact bytes."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def no_attempt_keys(request: Request) -> tuple[str, ...]:
    """The default: failed attempts on a route are counted by address alone."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of the API.

    ``path`` may hold ``{name}`` parts. ``name`` is its key in the access table and in metrics. ``attempt_keys``
    names what a failed attempt counts against beside the caller's address (a token's public part, a node).
    ``operation`` is the OpenAPI operation object, filled by whoever declares the route.
    """

    name: str
    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    operation: Mapping[str, object]
    body_limit: int = 0
    attempt_keys: Callable[[Request], tuple[str, ...]] = no_attempt_keys
