"""The OpenAPI 3.1 document, put together from what each route says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from swarmsec.http import Request, Response, Route
from swarmsec.server.errors import ERROR_SCHEMA

_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)(?::path)?\}")
_ERROR = {
    "description": "an error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def build_document(routes: Iterable[Route], *, version: str) -> dict[str, object]:
    """Build the document.

    Args:
        routes: all routes of the server; a route's operation object is kept as it is, with ``operationId``, the
            path's parameters and the error answer added where they are missing.
        version: of swarmsec.
    """
    paths: dict[str, dict[str, object]] = {}
    for route in sorted(routes, key=lambda route: (route.path, route.method)):
        path = _NAMED.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "swarmsec", "version": version},
        "paths": paths,
        "components": {
            "schemas": {"Error": dict(ERROR_SCHEMA)},
            "securitySchemes": {"clientCertificate": {"type": "mutualTLS"}},
        },
        "security": [{"clientCertificate": []}, {}],
    }


def build_openapi_route(routes: Sequence[Route], *, version: str) -> Route:
    """Return the route ``openapi``, which shows the document of the given routes and of itself."""
    document = b""

    async def show(request: Request) -> Response:
        return Response(body=document)

    route = Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        handler=show,
        operation={
            "summary": "This document",
            "responses": {"200": {"description": "OpenAPI 3.1", "content": {"application/json": {}}}},
        },
    )
    document = json.dumps(build_document((*routes, route), version=version)).encode()
    return route


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, object] = {"operationId": route.name, **route.operation}
    responses = operation.get("responses")
    operation["responses"] = {**(responses if isinstance(responses, Mapping) else {}), "default": _ERROR}
    parameters = [*_declared(operation.get("parameters"))]
    known = {parameter.get("name") for parameter in parameters if parameter.get("in") == "path"}
    parameters += [_path_parameter(name) for name in _NAMED.findall(route.path) if name not in known]
    if parameters:
        operation["parameters"] = parameters
    return operation


def _declared(parameters: object) -> list[Mapping[str, object]]:
    if not isinstance(parameters, Sequence):
        return []
    return [parameter for parameter in parameters if isinstance(parameter, Mapping)]


def _path_parameter(name: str) -> dict[str, object]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
