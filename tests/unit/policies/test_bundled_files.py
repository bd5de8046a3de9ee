"""What ships with the package loads, and nothing else can be asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.bundled_files import BUNDLED_NAMES, SCHEMA_KINDS, bundled, schema
from policies.documents import Level
from policies.errors import PolicyError
from policies.loading import load_documents
from policies.trust import TrustRequirement, decide_trust_scope


def test_everything_named_is_there() -> None:
    assert all(bundled(name) for name in BUNDLED_NAMES)
    assert all(schema(kind) for kind in SCHEMA_KINDS)


@pytest.mark.parametrize("name", ["", "other.yaml", "../errors.py", "/etc/hostname"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(PolicyError, match="expected one of"):
        bundled(name)
    with pytest.raises(PolicyError, match="expected one of"):
        schema(name)


def test_the_default_trust_policy_enforces_everywhere() -> None:
    documents = load_documents(bundled("trust-default.yaml"), source="trust-default.yaml")
    decision = decide_trust_scope(documents, "registry.example/any/app")
    assert isinstance(decision, TrustRequirement)
    assert (decision.level, decision.min_signers, decision.max_age) == (Level.ENFORCE, 1, timedelta(days=90))
