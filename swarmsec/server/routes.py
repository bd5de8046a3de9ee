"""The table of routes: which ``swarmsec.http.Route`` a method and path mean.

A pattern is made of fixed segments, ``{name}`` for exactly one segment that is not empty, and ``{name:path}`` as the
last part for one or more segments. Fixed segments win over named ones. ``HEAD`` means the ``GET`` route.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from swarmsec.errors import NotFound
from swarmsec.http import Route
from swarmsec.server.errors import HttpProblem
from swarmsec.server.targets import Target

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_FIXED = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_NAMED = re.compile(r"\{([a-z][a-z0-9_]*)(:path)?\}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A route with the values of the named parts of its path."""

    route: Route
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    text: str
    is_named: bool = False
    is_rest: bool = False


class RouteTable:
    """All routes of a server.

    Args:
        routes: names, and pairs of method and path, each at most once.

    Raises:
        ValueError: a route that cannot be served or stands twice.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_pattern: dict[tuple[_Part, ...], dict[str, Route]] = {}
        names: set[str] = set()
        for route in self.routes:
            methods = self._by_pattern.setdefault(parse_pattern(route.path), {})
            if route.method not in METHODS or route.method in methods or route.name in names:
                raise ValueError(f"route {route.name!r} cannot be added: {route.method} {route.path}")
            names.add(route.name)
            methods[route.method] = route
        self._ordered = sorted(self._by_pattern, key=_generality)
        self._fixed = {
            (method, *(part.text for part in pattern)): Match(route=route, values=MappingProxyType({}))
            for pattern, methods in self._by_pattern.items()
            for method, route in methods.items()
            if not any(part.is_named for part in pattern)
        }

    def match(self, method: str, target: Target) -> Match:
        """Find the route of a request.

        Raises:
            NotFound: no route has this path.
            HttpProblem: 405, the path has routes but none of this method; ``Allow`` lists them.
        """
        # A path without named parts comes first in the order anyway; most routes are found by it at once.
        fixed = self._fixed.get((method, *target.segments))
        if fixed is not None:
            return fixed
        allowed: set[str] = set()
        for pattern in self._ordered:
            values = _values(pattern, target.segments)
            if values is None:
                continue
            methods = self._by_pattern[pattern]
            route = methods.get("GET" if method == "HEAD" else method)
            if route is not None:
                return Match(route=route, values=values)
            allowed |= methods.keys()
        if not allowed:
            raise NotFound("no such route", hint="/openapi.json lists what there is")
        raise _not_allowed(allowed)


def parse_pattern(path: str) -> tuple[_Part, ...]:
    """Parse the path of a route.

    Raises:
        ValueError: it is no pattern as the module describes it.
    """
    parts = tuple(_parse_part(text, path) for text in path.split("/")[1:]) if path.startswith("/") else ()
    names = [part.text for part in parts if part.is_named]
    if not parts or len(set(names)) != len(names) or any(part.is_rest for part in parts[:-1]):
        raise ValueError(f"expected a route path, got {path!r}")
    return parts


def _parse_part(text: str, path: str) -> _Part:
    if _FIXED.fullmatch(text):
        return _Part(text=text)
    named = _NAMED.fullmatch(text)
    if named is None:
        raise ValueError(f"expected a fixed or named part in {path!r}, got {text!r}")
    return _Part(text=named[1], is_named=True, is_rest=named[2] is not None)


def _generality(pattern: tuple[_Part, ...]) -> tuple[int, ...]:
    return tuple(part.is_named + part.is_rest for part in pattern)


def _values(pattern: tuple[_Part, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    """Return the named values where the segments fit the pattern, else None."""
    if pattern[-1].is_rest:
        rest = segments[len(pattern) - 1 :]
        if not rest or any(not segment or "/" in segment for segment in rest):
            return None
        segments = (*segments[: len(pattern) - 1], "/".join(rest))
    if len(segments) != len(pattern):
        return None
    values: dict[str, str] = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.is_named and segment:
            values[part.text] = segment
        elif part.is_named or part.text != segment:
            return None
    return values


def _not_allowed(allowed: set[str]) -> HttpProblem:
    if "GET" in allowed:
        allowed = allowed | {"HEAD"}
    methods = ", ".join(sorted(allowed))
    return HttpProblem(
        f"expected one of the methods {methods}",
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        code="method_not_allowed",
        hint=f"repeat it with {methods.replace(', ', ' or ')}",
        headers={"Allow": methods},
    )
