"""The route of the revocation list, for whoever relies on our certificates (RFC 5280, section 4.2.1.13)."""

from __future__ import annotations

from typing import Final, Protocol

from swarmsec.http import Request, Response, Route

MEDIA_TYPE: Final = "application/pkix-crl"
"""RFC 2585, section 4.2: DER."""
_OPERATION: Final = {
    "summary": "The revocation list",
    "responses": {"200": {"description": "X.509 CRL, DER", "content": {MEDIA_TYPE: {}}}},
}


class RevocationService(Protocol):
    """What this route needs of the parts behind the server."""

    async def revocation_list(self) -> bytes: ...


def build_revocation_route(service: RevocationService) -> Route:
    """The route ``ca.crl``."""

    async def show(request: Request) -> Response:
        return Response(body=await service.revocation_list(), content_type=MEDIA_TYPE)

    return Route(name="ca.crl", method="GET", path="/api/v1/ca/crl", handler=show, operation=_OPERATION)
