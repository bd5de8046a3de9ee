"""Explanations: every rule appears, with what became of it, and the decision is the real one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.explaining import Outcome, explain
from policies.secret_access import SecretRequestFacts, decide_secret_access
from policies.trust import decide_trust_scope
from tests.unit.policies.builders import secret_policy, trust_policy

DOCUMENTS = [
    secret_policy(
        {"secrets": ["team/app/db"]},
        {"secrets": ["team/**"], "services": ["shop_*"], "effect": "deny"},
        {"secrets": ["other"]},
        name="split",
    ),
    secret_policy({"requireAttached": True, "requireTrustedImage": True}, name="wide"),
    trust_policy(
        {"images": ["**"], "maxAge": "90d"}, {"images": ["r.example/*"], "minSigners": 2, "maxAge": "12h"}, name="site"
    ),
]


def test_a_secret_request_shows_every_rule() -> None:
    explanation = explain(DOCUMENTS, SecretRequestFacts(secret="team/app/db", service="shop_api"))
    assert [(step.basis.policy, step.basis.rule, step.outcome, step.detail) for step in explanation.steps] == [
        ("split", 0, Outcome.SILENCED, "a rule of the same document denies"),
        ("split", 1, Outcome.DECIDED, "deny"),
        ("split", 2, Outcome.NOT_MATCHED, "secrets does not cover the request"),
        ("wide", 0, Outcome.LESS_SPECIFIC, "a more specific rule matches as well"),
    ]


def test_requirements_are_told() -> None:
    explanation = explain(DOCUMENTS, SecretRequestFacts(secret="x"))
    assert explanation.steps[-1].detail == "allow for an attached service and a trusted image"


def test_an_image_shows_every_scope() -> None:
    explanation = explain(DOCUMENTS, "r.example/app")
    assert [(step.outcome, step.detail) for step in explanation.steps] == [
        (Outcome.LESS_SPECIFIC, "a more specific rule matches as well"),
        (Outcome.DECIDED, "enforce, 2 signers, signatures of the last 12 h"),
    ]
    assert explain(DOCUMENTS, "other.example/app").steps[0].detail == "enforce, 1 signer, signatures of the last 90 d"


@given(
    secret=st.sampled_from(["team/app/db", "team/x", "other", ""]),
    service=st.none() | st.sampled_from(["shop_api", "web"]),
    attached=st.booleans(),
    trusted=st.booleans(),
)
def test_the_decision_is_the_real_one(secret: str, service: str | None, attached: bool, trusted: bool) -> None:
    facts = SecretRequestFacts(secret=secret, service=service, attached=attached, image_trusted=trusted)
    assert explain(DOCUMENTS, facts).decision == decide_secret_access(DOCUMENTS, facts)


@pytest.mark.parametrize("image", ["r.example/app", "x.example/a/b", "nginx"])
def test_the_requirement_is_the_real_one(image: str) -> None:
    assert explain(DOCUMENTS, image).decision == decide_trust_scope(DOCUMENTS, image)
