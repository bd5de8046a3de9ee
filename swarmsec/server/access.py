"""Adapts the access table of ``policies.access`` to the server's port."""

from __future__ import annotations

from policies.access import AccessTable, decide_access, load_access_table
from policies.decisions import Allowed
from swarmsec.http import Caller, RoleKind
from swarmsec.server.addresses import is_loopback


class PolicyAccess:
    """Answers ``ports.AccessDecision`` from an access table.

    Args:
        table: which role kinds may call which route.
    """

    def __init__(self, table: AccessTable) -> None:
        self._table = table
        self._allowed: set[tuple[str, RoleKind, bool]] = set()

    @classmethod
    def load(cls, document: bytes) -> PolicyAccess:
        """Build it from the document that ships as ``policies/bundled/access.yaml``.

        Raises:
            policies.errors.PolicyError: the document is not an access table.
        """
        return cls(load_access_table(document))

    def refusal(self, route_name: str, caller: Caller) -> str | None:
        """Return why the call is refused, or None where it is allowed."""
        kind, loopback = caller.role.kind, is_loopback(caller.address)
        if (route_name, kind, loopback) in self._allowed:
            return None
        decision = decide_access(self._table, route=route_name, role_kind=str(kind), loopback=loopback)
        if not isinstance(decision, Allowed):
            return decision.reason
        # There are as many as routes and roles; the table stays as it is.
        self._allowed.add((route_name, kind, loopback))
        return None
