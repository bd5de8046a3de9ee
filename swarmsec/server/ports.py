"""What the server asks of others: who the peer is, what it may do, where refusals go, which keys to serve with.

The server declares these ports and knows nothing behind them; the composition root supplies the adapters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarmsec.http import Caller
from swarmsec.secretbytes import SecretBytes


class Identities(Protocol):
    """Knows every certificate that counts."""

    def identify(self, certificate_der: bytes | None, address: str) -> Caller | Awaitable[Caller]:
        """Say who a peer is, from the issuance table and never from the certificate's own words.

        Called on every request, so it must answer from memory.

        Args:
            certificate_der: the peer's leaf certificate, or None where it presented none.
            address: the peer's IP address as text, without port.

        Raises:
            Unauthenticated: a certificate was presented that is unknown, revoked or expired. A peer that presents
                a certificate is never treated as anonymous.
        """
        ...


class AccessDecision(Protocol):
    """Decides which role may call which route."""

    def refusal(self, route_name: str, caller: Caller) -> str | None:
        """Return why the call is refused, or None where it is allowed; a route without an entry is refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused request, or several alike; ``count`` says how many it stands for.

    ``role``, ``name``, ``certificate_sha256`` and ``request_id`` are of the one request where ``count`` is 1,
    and empty in an aggregate.
    """

    route: str
    address: str
    reason: str
    count: int = 1
    role: str = ""
    name: str = ""
    certificate_sha256: str = ""
    request_id: str = ""


class RefusalLog(Protocol):
    """The durable log of refusals."""

    async def record(self, refusal: Refusal) -> None:
        """Return once the refusal is durable; raise whatever the log raises where it cannot be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsMaterial:
    """What one generation of the listener serves with.

    ``certificate_chain_pem`` is the server's leaf and its intermediates, ``client_roots_pem`` the roots that client
    certificates may chain to (none: no client certificate is accepted). ``generation`` grows with every change.
    """

    certificate_chain_pem: bytes
    key_pem: SecretBytes
    client_roots_pem: bytes
    generation: int


class TlsSource(Protocol):
    """Holds the server's certificate, key and client roots."""

    def current(self) -> TlsMaterial:
        """Return the newest generation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that readiness depends on; ``detail`` is shown to identified callers only."""

    name: str
    ok: bool
    detail: str = ""


class Readiness(Protocol):
    """Knows whether the parts behind the server can do their work."""

    async def checks(self) -> Sequence[Check]:
        """Return every check; none at all means not ready."""
        ...
