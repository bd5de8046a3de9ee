"""Which route a path and method lead to."""

from __future__ import annotations

import pytest

from swarmsec.errors import NotFound
from swarmsec.http import Request, Response, Route
from swarmsec.server.errors import HttpProblem
from swarmsec.server.routes import Match, RouteTable
from swarmsec.server.targets import parse_target


async def nothing(request: Request) -> Response:
    return Response()


def route(path: str, method: str = "GET", name: str = "") -> Route:
    return Route(name=name or f"{method} {path}", method=method, path=path, handler=nothing, operation={})


def match(table: RouteTable, method: str, target: str) -> Match:
    return table.match(method, parse_target(target))


def test_fixed_wins_over_named_wins_over_rest() -> None:
    table = RouteTable([route("/a/{rest:path}"), route("/a/{name}"), route("/a/b")])
    assert match(table, "GET", "/a/b").route.path == "/a/b"
    assert match(table, "GET", "/a/c").values == {"name": "c"}
    assert match(table, "GET", "/a/c/d").values == {"rest": "c/d"}


def test_head_means_get_and_methods_are_told_apart() -> None:
    table = RouteTable([route("/a"), route("/a", "POST"), route("/b", "POST")])
    assert match(table, "HEAD", "/a").route.method == "GET"
    assert match(table, "POST", "/a").route.method == "POST"
    with pytest.raises(HttpProblem) as caught:
        match(table, "DELETE", "/a")
    assert caught.value.headers == {"Allow": "GET, HEAD, POST"}
    with pytest.raises(HttpProblem) as caught:
        match(table, "HEAD", "/b")
    assert caught.value.headers == {"Allow": "POST"}


@pytest.mark.parametrize("target", ["/", "/a/", "/A", "/a/b/c", "/x//", "/x/a%2Fb", "/x/", "/n/", "//a"])
def test_no_such_path(target: str) -> None:
    table = RouteTable([route("/a"), route("/a/b"), route("/x/{rest:path}"), route("/n/{name}")])
    with pytest.raises(NotFound):
        match(table, "GET", target)


@pytest.mark.parametrize(
    "path", ["", "a", "/", "/a/", "//a", "/{}", "/{A}", "/{a}/{a}", "/{a:path}/b", "/a{b}", "/{a:.*}", "/a b"]
)
def test_paths_that_are_no_patterns(path: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        RouteTable([route(path)])


@pytest.mark.parametrize(
    "routes",
    [
        [route("/a", name="x"), route("/b", name="x")],
        [route("/a", name="x"), route("/a", name="y")],
        [route("/a", "HEAD")],
        [route("/a", "get")],
        [route("/a", "CONNECT")],
    ],
)
def test_routes_that_collide_or_cannot_be_served(routes: list[Route]) -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        RouteTable(routes)
