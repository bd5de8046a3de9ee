"""The routes of revocation lists, for whoever relies on our certificates (RFC 5280, section 4.2.1.13).

One is that of the root whose bundle strangers are given. Each root has one of its own as well, under the SHA-256 of
its certificate: the other root's while one takes the place of another, and the last list of a root that was given up.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from swarmsec.errors import NotFound
from swarmsec.http import Request, Response, Route

MEDIA_TYPE: Final = "application/pkix-crl"
"""RFC 2585, section 4.2: DER."""
_PATH: Final = "/api/v1/ca/crl"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_ANSWERS: Final = {"200": {"description": "X.509 CRL, DER", "content": {MEDIA_TYPE: {}}}}
_PUBLIC: Final = {"summary": "The revocation list of the root in the bundle", "responses": _ANSWERS}
_OF_ROOT: Final = {
    "summary": "The revocation list of a root",
    "parameters": [
        {
            "name": "root",
            "in": "path",
            "required": True,
            "description": "SHA-256 of the root's certificate",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        }
    ],
    "responses": _ANSWERS,
}


class RevocationService(Protocol):
    """What these routes need of the parts behind the server."""

    async def revocation_list(self, root_sha256: str = "") -> bytes: ...


def build_revocation_routes(service: RevocationService) -> list[Route]:
    """The routes ``ca.crl`` and ``ca.crl-of-root``."""

    async def show(request: Request) -> Response:
        return Response(body=await service.revocation_list(), content_type=MEDIA_TYPE)

    async def show_of_root(request: Request) -> Response:
        root = request.path_values["root"]
        if not _SHA256.fullmatch(root):
            raise NotFound("expected the SHA-256 of a root's certificate, in lower-case hex")
        return Response(body=await service.revocation_list(root), content_type=MEDIA_TYPE)

    return [
        Route(name="ca.crl", method="GET", path=_PATH, handler=show, operation=_PUBLIC),
        Route(name="ca.crl-of-root", method="GET", path=f"{_PATH}/{{root}}", handler=show_of_root, operation=_OF_ROOT),
    ]
