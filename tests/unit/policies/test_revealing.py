"""A value is shown to administrators unless a rule denies the secret to everybody."""

from __future__ import annotations

import pytest

from policies.decisions import Allowed, DenialCode, Denied
from policies.loading import load_documents
from policies.revealing import decide_reveal

POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: db}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_api"], effect: allow}
    - {secrets: ["team/top/**"], effect: deny}
    - {secrets: ["team/app/tls"], services: ["web"], effect: deny}
"""


def decided(secret: str, policy: str = POLICY) -> Allowed | Denied:
    return decide_reveal(load_documents(policy.encode(), source="test") if policy else (), secret)


@pytest.mark.parametrize("secret", ["team/app/db", "team/app/tls", "other"])
def test_what_no_rule_denies_to_everybody_is_shown(secret: str) -> None:
    assert isinstance(decided(secret), Allowed)


def test_without_any_document_an_administrator_sees_it() -> None:
    assert isinstance(decided("team/app/db", ""), Allowed)


def test_a_denying_rule_that_asks_for_nothing_else_forbids_it() -> None:
    answer = decided("team/top/key")

    assert isinstance(answer, Denied)
    assert answer.code is DenialCode.DENY_RULE
    assert answer.basis is not None
    assert (answer.basis.policy, answer.basis.rule) == ("db", 1)


def test_a_denying_rule_over_every_secret_forbids_all() -> None:
    policy = POLICY.split("rules:")[0] + "rules:\n    - {effect: deny}\n"

    assert isinstance(decided("anything", policy), Denied)


@pytest.mark.parametrize("secret", ["", "x" * 5000])
def test_what_is_no_name_is_denied(secret: str) -> None:
    answer = decided(secret)

    assert isinstance(answer, Denied)
    assert answer.code is DenialCode.INVALID_REQUEST
