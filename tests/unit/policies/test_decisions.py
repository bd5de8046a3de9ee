"""Decisions are values, and a denial can be raised."""

from __future__ import annotations

import pytest

from policies.decisions import Basis, DenialCode, Denied
from policies.errors import PolicyDenied


def test_a_denial_can_be_raised() -> None:
    denied = Denied(reason="a rule denies it", code=DenialCode.DENY_RULE)
    with pytest.raises(PolicyDenied, match=r"^a rule denies it$"):
        raise denied.as_error()


def test_a_basis_reads_as_document_rule_and_digest() -> None:
    assert str(Basis(policy="db", digest="sha256:aa", rule=2)) == "db rule 2 (sha256:aa)"
