"""The trust repository as plain files, for this and every other TUF client (TUF specification, section 3.6)."""

from __future__ import annotations

from typing import Final, Protocol

from notary.roles import TIMESTAMP_FILE
from swarmsec.errors import NotFound
from swarmsec.http import Request, Response, Route

FOREVER: Final = "public, max-age=31536000, immutable"
"""A file with a version in its name never changes."""
_ALWAYS_ASK: Final = "no-cache"
_OPERATION: Final = {
    "summary": "A file of the trust repository",
    "responses": {"200": {"description": "TUF metadata", "content": {"application/json": {}}}},
}
_POLICY_OPERATION: Final = {
    "summary": "The signed trust policy",
    "responses": {"200": {"description": "trust policy documents", "content": {"application/yaml": {}}}},
}


class PublishedFiles(Protocol):
    """What these routes need of the parts behind the server."""

    async def published(self, name: str) -> bytes | None: ...


def build_tuf_routes(service: PublishedFiles) -> list[Route]:
    """The routes under ``/tuf/``."""

    async def metadata(request: Request) -> Response:
        # A role's name is one segment whose slashes and colons were percent-encoded, and so it is kept.
        name = request.path_values["name"].replace("/", "%2F").replace(":", "%3A")
        caching = _ALWAYS_ASK if name == TIMESTAMP_FILE else FOREVER
        return Response(body=await _found(name), headers={"Cache-Control": caching})

    async def policy(request: Request) -> Response:
        body = await _found(f"policy/{request.path_values['name']}")
        return Response(body=body, content_type="application/yaml", headers={"Cache-Control": FOREVER})

    async def _found(name: str) -> bytes:
        data = await service.published(name)
        if data is None:
            raise NotFound("no such file in the trust repository")
        return data

    return [
        Route(name="tuf.file", method="GET", path="/tuf/{name}", handler=metadata, operation=_OPERATION),
        Route(name="tuf.policy", method="GET", path="/tuf/policy/{name}", handler=policy, operation=_POLICY_OPERATION),
    ]
