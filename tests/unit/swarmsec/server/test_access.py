"""The adapter from the access table to the server's port."""

from __future__ import annotations

import pytest

from policies.access import RoleWord
from swarmsec.http import Caller, Role, RoleKind
from swarmsec.server.access import PolicyAccess

TABLE = b"""
apiVersion: swarmsec.dev/v1
kind: AccessTable
routes:
  status:
    roles: [admin, node]
  metrics:
    roles: [admin]
    loopbackOnly: [anonymous]
"""


def caller(kind: RoleKind, address: str = "192.0.2.1", scope: str = "") -> Caller:
    return Caller(role=Role(kind=kind, scope=scope), name="", address=address)


def test_the_table_decides_by_the_kind_of_role() -> None:
    access = PolicyAccess.load(TABLE)
    assert access.refusal("status", caller(RoleKind.NODE, scope="abc")) is None
    assert access.refusal("status", caller(RoleKind.OPERATOR)) is not None


@pytest.mark.parametrize("kind", list(RoleKind))
def test_a_route_without_entry_is_refused_for_everybody(kind: RoleKind) -> None:
    assert PolicyAccess.load(TABLE).refusal("nothing", caller(kind, "127.0.0.1")) is not None


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [("127.0.0.1", True), ("::1", True), ("192.0.2.1", False), ("unknown", False)],
)
def test_loopback_is_told_by_the_address(address: str, is_allowed: bool) -> None:
    refusal = PolicyAccess.load(TABLE).refusal("metrics", caller(RoleKind.ANONYMOUS, address))
    assert (refusal is None) == is_allowed


def test_server_and_table_spell_the_roles_alike() -> None:
    assert {str(kind) for kind in RoleKind} == {str(word) for word in RoleWord}
