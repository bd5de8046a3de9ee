"""Names and roles of identities, as text from anybody."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.errors import UsageProblem
from swarmsec.http import RoleKind
from swarmsec.services.access.manage_access import parse_identity_name, parse_identity_role

GIVEN = {
    "admin": RoleKind.ADMIN,
    "operator": RoleKind.OPERATOR,
    "auditor": RoleKind.AUDITOR,
    "driver": RoleKind.DRIVER,
    "signer:registry.example/shop/api": RoleKind.SIGNER,
    "agent:worker-1": RoleKind.AGENT,
}
ELSEWHERE = ["node:worker-1", "swarm-manager:m1", "anonymous"]


@pytest.mark.parametrize("text", GIVEN)
def test_a_role_is_read_back_as_written(text: str) -> None:
    role = parse_identity_role(text)
    assert (str(role), role.kind) == (text, GIVEN[text])


def test_every_role_is_either_given_here_or_refused_by_name() -> None:
    assert {text.partition(":")[0] for text in (*GIVEN, *ELSEWHERE)} == set(RoleKind)


@pytest.mark.parametrize("text", ELSEWHERE)
def test_roles_that_come_from_elsewhere_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"got (node|swarm-manager|anonymous)"):
        parse_identity_role(text)


@given(st.text(max_size=80))
def test_any_text_is_a_role_or_refused(text: str) -> None:
    with suppress(UsageProblem):
        assert str(parse_identity_role(text)) == text


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with suppress(UsageProblem):
        assert parse_identity_name(text) == text
