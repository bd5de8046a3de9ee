"""The access table: what a route's entry means, and what the bundled table says for every role."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.access import AccessTable, RoleWord, decide_access, load_access_table
from policies.bundled_files import bundled
from policies.decisions import Allowed, DenialCode, Denied
from policies.errors import InvalidDocument
from swarmsec.http import RoleKind

EVERYBODY = frozenset(RoleWord)
KNOWN = EVERYBODY - {RoleWord.ANONYMOUS, RoleWord.SWARM_MANAGER}
READERS = frozenset({RoleWord.ADMIN, RoleWord.OPERATOR, RoleWord.AUDITOR})

FROM_AFAR = {
    "healthz": EVERYBODY,
    "readyz": EVERYBODY,
    "metrics": READERS,
    "openapi": KNOWN,
    "whoami": KNOWN,
    "ca.bundle": EVERYBODY,
    "ca.crl": EVERYBODY,
    "node.join": EVERYBODY,
    "access.enrol": EVERYBODY,
    "secrets.deliver": frozenset({RoleWord.DRIVER}),
    "node.renew": frozenset({RoleWord.DRIVER, RoleWord.AGENT, RoleWord.NODE, RoleWord.SWARM_MANAGER}),
    "node.check": frozenset({RoleWord.DRIVER, RoleWord.AGENT, RoleWord.NODE, RoleWord.SWARM_MANAGER}),
    "node.recover": EVERYBODY,
    "cfssl.sign": frozenset({RoleWord.SWARM_MANAGER}),
    "ca.certificates": READERS,
    "policies.list": READERS,
    "tuf.file": EVERYBODY,
    "tuf.policy": EVERYBODY,
    "trust.sign": frozenset({RoleWord.ADMIN, RoleWord.OPERATOR, RoleWord.SIGNER, RoleWord.ANONYMOUS}),
    "trust.pending": READERS | {RoleWord.SIGNER},
    "trust.signatures": frozenset({RoleWord.ADMIN, RoleWord.OPERATOR, RoleWord.SIGNER}),
}


@pytest.fixture(scope="module")
def table() -> AccessTable:
    return load_access_table(bundled("access.yaml"))


@pytest.mark.parametrize(("route", "role"), list(itertools.product(FROM_AFAR, RoleWord)))
def test_every_role_on_every_route(table: AccessTable, route: str, role: RoleWord) -> None:
    afar = decide_access(table, route=route, role_kind=role.value, loopback=False)
    near = decide_access(table, route=route, role_kind=role.value, loopback=True)
    also_near = {RoleWord.ANONYMOUS} if route == "metrics" else set()
    assert isinstance(afar, Allowed) is (role in FROM_AFAR[route])
    assert isinstance(near, Allowed) is (role in FROM_AFAR[route] | also_near)


def test_anonymous_metrics_are_for_the_same_machine(table: AccessTable) -> None:
    denied = decide_access(table, route="metrics", role_kind="anonymous", loopback=False)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.NOT_LOOPBACK


@pytest.mark.parametrize("route", ["", "nothing", "HEALTHZ", "healthz.", "__class__"])
@pytest.mark.parametrize("role", RoleWord)
def test_a_route_without_entry_is_denied_to_all(table: AccessTable, route: str, role: RoleWord) -> None:
    denied = decide_access(table, route=route, role_kind=role.value, loopback=True)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.UNKNOWN_ROUTE


@pytest.mark.parametrize("role", ["", "Admin", "root", "signer:shop/api", "admin "])
def test_an_unknown_role_is_denied(table: AccessTable, role: str) -> None:
    denied = decide_access(table, route="healthz", role_kind=role, loopback=True)
    assert isinstance(denied, Denied)
    assert denied.code is DenialCode.ROLE


def test_the_table_and_the_server_spell_roles_alike() -> None:
    assert {role.value for role in RoleWord} == {role.value for role in RoleKind}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{apiVersion: swarmsec.dev/v1, kind: AccessTable, routes: {}}", "expected 1 to 512 routes, got 0"),
        (b"{apiVersion: swarmsec.dev/v1, kind: Table, routes: {a: {roles: [admin]}}}", "kind: expected AccessTable"),
        (b"{apiVersion: v1, kind: AccessTable, routes: {a: {roles: [admin]}}}", "apiVersion: expected"),
        (b"{apiVersion: swarmsec.dev/v1, kind: AccessTable, routes: {a: {roles: [admin]}}}\n---\na: b", "got 2"),
        (
            b"{apiVersion: swarmsec.dev/v1, kind: AccessTable, routes: {a: {roles: [admin], loopbackOnly: [admin]}}}",
            "expected admin in roles or in loopbackOnly, got it in both",
        ),
        (
            b"{apiVersion: swarmsec.dev/v1, kind: AccessTable, routes: {a: {roles: [admin]}, a: {roles: [node]}}}",
            "each key once",
        ),
    ],
)
def test_a_table_that_is_not_exactly_one_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(InvalidDocument, match=message):
        load_access_table(text)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_our_words(text: bytes) -> None:
    with pytest.raises(InvalidDocument):
        load_access_table(text)
