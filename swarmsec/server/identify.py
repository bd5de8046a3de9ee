"""Who asks: one question to the issuance table per request, with what TLS says about the connection."""

from __future__ import annotations

from collections.abc import Awaitable

from swarmsec.errors import Unauthenticated
from swarmsec.http import Caller, RoleKind
from swarmsec.server.connections import Connection
from swarmsec.server.ports import Identities


def identify_peer(identities: Identities, connection: Connection) -> Caller | Awaitable[Caller]:
    """Return who is at the other end of a connection now, at once where the table has it at hand.

    The connection may be older than a revocation, so the table is asked every time.

    Raises:
        Unauthenticated: a certificate was presented that does not count, or the table answers for another one.
    """
    answer = identities.identify(connection.certificate_der, connection.address)
    return _verified(answer, connection) if isinstance(answer, Caller) else _later(answer, connection)


async def _later(answer: Awaitable[Caller], connection: Connection) -> Caller:
    return _verified(await answer, connection)


def _verified(caller: Caller, connection: Connection) -> Caller:
    is_anonymous = caller.role.kind is RoleKind.ANONYMOUS
    if is_anonymous != (connection.certificate_der is None):
        raise Unauthenticated("expected a client certificate that this authority issued and has not revoked")
    if caller.certificate_sha256 != connection.certificate_sha256 or caller.address != connection.address:
        raise Unauthenticated("expected an identity for the certificate of this connection, got another one")
    return caller
