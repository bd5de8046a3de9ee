"""The OpenAPI document keeps what routes say and completes it."""

from __future__ import annotations

from typing import Any, cast

from openapi_spec_validator import validate

from swarmsec.http import Request, Response, Route
from swarmsec.server.openapi import build_document


async def nothing(request: Request) -> Response:
    return Response()


def route(path: str, method: str = "GET", operation: dict[str, object] | None = None) -> Route:
    name = f"{method}.{path}"
    return Route(name=name, method=method, path=path, handler=nothing, operation=operation or {})


def build(*routes: Route) -> Any:
    document = build_document(routes, version="1.2.3")
    validate(cast(Any, document))
    return document


def test_what_a_route_says_is_kept_and_completed() -> None:
    declared: dict[str, object] = {"summary": "s", "responses": {"201": {"description": "made"}}}
    document = build(route("/a/{name}", "PUT", declared), route("/a/{name}"))
    operation = document["paths"]["/a/{name}"]["put"]
    assert operation["summary"] == "s"
    assert set(operation["responses"]) == {"201", "default"}
    assert operation["parameters"] == [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    assert set(document["paths"]["/a/{name}"]) == {"put", "get"}


def test_declared_path_parameters_are_not_doubled() -> None:
    parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "integer"}}
    document = build(route("/a/{name}", operation={"parameters": [parameter]}))
    assert document["paths"]["/a/{name}"]["get"]["parameters"] == [parameter]


def test_rest_of_path_parameters_are_spelled_as_openapi_knows_them() -> None:
    assert list(build(route("/tuf/{name:path}"))["paths"]) == ["/tuf/{name}"]
