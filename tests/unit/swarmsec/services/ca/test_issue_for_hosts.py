"""Certificates of hosts and people: their role is what was given."""

from __future__ import annotations

import pytest

from ca.profiles import Profile
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, spki_of


@pytest.mark.parametrize("role", [None, Role(kind=RoleKind.AUDITOR)])
def test_a_host_has_the_role_that_was_given_and_no_other(role: Role | None, desk: Desk) -> None:
    record = desk.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            Profile.CLIENT,
            name="reader",
            role=role,
            spki_der=spki_of(new_key()),
            hosts=("reader.example",),
            requester=OPERATOR,
        )
    )

    assert record.role == (str(role) if role else "")
