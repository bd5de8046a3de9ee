"""Who may call which HTTP route: a table of roles, and the decision over it.

The table is data (``bundled/access.yaml``); a route without an entry is denied for everybody, no role implies
another, and ``admin`` is listed like the rest. Whether a caller really has a role is found out elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.decisions import Allowed, DenialCode, Denied
from policies.documents import API_VERSION
from policies.errors import InvalidDocument
from policies.trees import Node, quoted, read_choice, read_fields, read_list, read_mapping, read_text
from policies.yamltext import parse_trees

ACCESS_KIND = "AccessTable"
MAX_ROUTES = 512

_ROUTE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}(?:\.[a-z][a-z0-9_-]{0,31}){0,3}", re.ASCII)


class RoleWord(StrEnum):
    """The kinds of roles, as the table and the server spell them."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    SIGNER = "signer"
    DRIVER = "driver"
    AGENT = "agent"
    NODE = "node"
    SWARM_MANAGER = "swarm-manager"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEntry:
    """One route: roles that may call it from anywhere, and roles that may only from the same machine."""

    roles: frozenset[RoleWord]
    loopback_only: frozenset[RoleWord] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTable:
    """Every route that may be called at all, by its name."""

    routes: Mapping[str, AccessEntry]


def load_access_table(text: bytes, *, source: str = "access table") -> AccessTable:
    """Read the table of routes.

    Args:
        text: one YAML document of kind ``AccessTable`` (``schemas/AccessTable.json``).
        source: name of the text in messages.

    Raises:
        InvalidDocument: the text is not exactly such a document.
    """
    trees = parse_trees(text, source=source)
    if len(trees) != 1:
        raise InvalidDocument(f"expected one document, got {len(trees)}", source=source)
    fields = read_fields(trees[0], required=frozenset({"apiVersion", "kind", "routes"}))
    read_text(fields["apiVersion"], pattern=re.compile(re.escape(API_VERSION)), expected=API_VERSION)
    read_text(fields["kind"], pattern=re.compile(ACCESS_KIND), expected=ACCESS_KIND)
    return AccessTable(routes=dict(_entries(fields["routes"])))


def _entries(node: Node) -> list[tuple[str, AccessEntry]]:
    routes = read_mapping(node)
    if not 1 <= len(routes) <= MAX_ROUTES:
        raise node.place.refusal(f"expected 1 to {MAX_ROUTES} routes, got {len(routes)}")
    for name, entry in routes.items():
        if _ROUTE_NAME.fullmatch(name) is None:
            raise entry.place.refusal(f"expected a route name such as ca.bundle, got {quoted(name)}")
    return [(name, _entry(entry)) for name, entry in routes.items()]


def _entry(node: Node) -> AccessEntry:
    fields = read_fields(node, required=frozenset({"roles"}), optional=frozenset({"loopbackOnly"}))
    roles = _roles(fields["roles"])
    near = _roles(fields["loopbackOnly"]) if "loopbackOnly" in fields else frozenset()
    both = sorted(roles & near)
    if both:
        raise node.place.refusal(f"expected {both[0]} in roles or in loopbackOnly, got it in both")
    return AccessEntry(roles=roles, loopback_only=near)


def _roles(node: Node) -> frozenset[RoleWord]:
    items = read_list(node, maximum=len(RoleWord))
    roles = [read_choice(item, RoleWord) for item in items]
    for index, role in enumerate(roles):
        if role in roles[:index]:
            raise items[index].place.refusal(f"expected each role once, got {role} again")
    return frozenset(roles)


def decide_access(table: AccessTable, *, route: str, role_kind: str, loopback: bool) -> Allowed | Denied:
    """Decide whether a role may call a route.

    Args:
        table: the loaded table.
        route: name of the route, such as ``ca.bundle``.
        role_kind: the role's kind, such as ``operator``, without the object it holds for.
        loopback: whether the connection came from the same machine.

    Returns:
        allowed, or denied with the reason; an unknown route or role is denied.
    """
    entry = table.routes.get(route)
    if entry is None:
        return Denied(reason=f"no access entry for route {quoted(route)}", code=DenialCode.UNKNOWN_ROUTE)
    if role_kind in entry.roles:
        return Allowed()
    if role_kind not in entry.loopback_only:
        return Denied(reason=f"role {quoted(role_kind)} may not call {route}", code=DenialCode.ROLE)
    if loopback:
        return Allowed()
    return Denied(
        reason=f"role {quoted(role_kind)} may call {route} from the same machine only",
        code=DenialCode.NOT_LOOPBACK,
    )
